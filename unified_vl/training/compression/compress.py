"""A smaller model made of a saved one: by rounds of pruning and training, or by distillation.

A round of pruning takes away the heads and feed-forward units that matter least, and trains what
is left by the run file. It starts from the weights that these have, or, with `rewind`, from those
of an early checkpoint of the model's training (the lottery ticket, arXiv 1803.03635; rewinding to
an early step, 1903.01611). Distillation is one round, of a model of fewer layers or of other sizes,
with the saved model as its teacher (`training.distillation`).

    OUTPUT/round-1/start/    what the round's training starts from: a saved model
    OUTPUT/round-1/run/      the output of its training
    OUTPUT/round-1/kept.json the heads and units that are left, by their numbers in the first model
    OUTPUT/plan.json         what was asked for, which a resume has to ask for again
    OUTPUT/compress.json     the table
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.files import read_json_object, write_atomically
from unified_vl.inference.saved_models.model_directory import (
    SavedModel,
    load_model,
    save_model,
    saved_facts,
)
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.run_record import MODEL
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.compression.importance import By, importance
from unified_vl.training.compression.measured import measure
from unified_vl.training.compression.pruning import best, composed, fewer_layers, smaller
from unified_vl.training.compression.rewinding import rewound
from unified_vl.training.compression.student import student_keys
from unified_vl.training.trainer import train

_EARLY = "an early checkpoint of the model's training"
Kept = dict[str, tuple[int, ...]]
TABLE, PLAN = "compress.json", "plan.json"
REPLACED = ("model", "output", "teacher")  # keys of the run that are not the run file's
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pruning:
    """How a model loses heads and units.

    Attributes:
        share: of them that is gone in the end.
        rounds: in which they go, each the same share of what is left.
        by: how their importance is measured.
        batches: of each task that it is measured on.
        rewind: a checkpoint or saved model with the weights that each round starts from; the
            weights that there are unless given.
    """

    share: float
    rounds: int = 1
    by: By = "taylor"
    batches: int = 8
    rewind: Path | None = None

    def left(self, of: int, number: int) -> int:
        """How many of so many are left after round `number`, which counts from 1; at least one."""
        return max(1, round(of * (1 - self.share) ** (number / self.rounds)))


@dataclass(frozen=True)
class Student:
    """What a model is distilled into.

    Attributes:
        layers: blocks of encoder and decoder that are left of the model; or else
        keys: of a run's `model` that differ from the model's own, drawn at random.
    """

    layers: tuple[int, int] | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)


def compress(
    model: Path,
    run_file: Path,
    output: Path,
    how: Pruning | Student,
    *,
    overrides: tuple[str, ...] = (),
    teacher: Mapping[str, float] | None = None,
    limit: int | None = None,
    resume: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Make a smaller model, and measure both.

    Args:
        model: the directory of a saved model of this project's architecture.
        run_file: how the smaller one is trained: tasks, data, batch size, steps, optimiser.
        output: a new folder, or with `resume` the same as before.
        how: what is made smaller.
        overrides: keys of the run to set, but for its `model`, `output` and `teacher`.
        teacher: weights of `teacher` in the run, by key, where the model teaches the smaller one.
        limit: rows of a task that are scored; all unless given.
        resume: go on where it was interrupted.
        say: told what is done.

    Returns:
        The table: `{"models": [...]}` of `measure`, the first that of the model.

    Raises:
        UserError: for a model, run or output that cannot be used, or a resume of something else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("compress runs as one process", expected="a command without a launcher")
    if not resume and output.exists() and any(output.iterdir()):
        raise UserError(
            "the output directory is not empty", file=output, expected="an empty one, or --resume"
        )
    for override in overrides:
        if override.split("=")[0].split(".")[0].strip() in REPLACED:
            raise UserError(
                f"found {override!r}",
                file="command line",
                expected=f"keys other than {', '.join(REPLACED)}, which compress sets itself",
            )
    if isinstance(how, Pruning) and how.rewind is not None and not how.rewind.exists():
        raise UserError("does not exist", file=how.rewind, field="rewind", expected=_EARLY)
    saved = load_model(model)
    own = isinstance(saved.model, UnifiedVLForConditionalGeneration)
    if not own or getattr(saved.model.config, "int8", False):
        raise UserError(
            f"the model is {'in int8' if own else 'computed by `transformers`'}",
            file=model,
            expected="one of this project's architecture, in float32",
        )
    work = _Work(model.resolve(), saved, run_file, output, overrides, dict(teacher or {}), say)
    _keep_plan(output, {"model": str(model.resolve()), "how": _told(how), "teacher": work.teacher})
    rounds = (
        [work.prune(how, n) for n in _rounds(how)]
        if isinstance(how, Pruning)
        else [work.distil(how)]
    )
    run = work.run(1, [])
    tasks = [spec.task for spec in run.loaded_mixture.specs if _is_scored(spec)]
    named = {"before": model, **{f"round {n}": each for n, each in enumerate(rounds, 1)}}
    table = {"models": measure(named, tasks, run.data, limit), "how": _told(how)}
    write_atomically(output / TABLE, json.dumps(table, indent=1, ensure_ascii=False))
    return table


def _keep_plan(output: Path, plan: Mapping[str, Any]) -> None:
    """Write down what is made, or see that it is the same as before."""
    path = output / PLAN
    if not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(plan, indent=1, ensure_ascii=False))
        return
    before = read_json_object(path)
    for name, value in plan.items():
        if before.get(name) != value:
            raise UserError(
                f"{name} was {json.dumps(before.get(name))} before, and is {json.dumps(value)}",
                file=path,
                expected="the same to go on with, or another output",
            )


def _rounds(how: Pruning) -> range:
    return range(1, how.rounds + 1)


def _is_scored(spec: Any) -> bool:
    return bool({"test", "validation"} & set(spec.data.splits))


def _told(how: Pruning | Student) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(vars(how), default=str))
    return found


@dataclass(frozen=True)
class _Work:
    model: Path
    saved: SavedModel
    run_file: Path
    output: Path
    overrides: tuple[str, ...]
    teacher: dict[str, float]
    say: Say

    def run(self, number: int, keys: list[str]) -> Run:
        """The run of a round."""
        told = [f"output={json.dumps(str((self._folder(number) / 'run').resolve()))}"]
        if self.teacher:
            weights = {"model": str(self.model), **self.teacher}
            told.append(f"teacher={json.dumps(weights)}")
        return load_run(self.run_file, [*told, *keys, *self.overrides])

    def prune(self, how: Pruning, number: int) -> Path:
        """Round `number`; returns the model that it gives."""
        folder, before = self._folder(number), self.model
        kept: Kept | None = None
        if number > 1:
            before = self._folder(number - 1) / "run" / MODEL
            found = read_json_object(self._folder(number - 1) / "kept.json")
            kept = {name: tuple(each) for name, each in found.items()}
        if saved_facts(folder / "start") is None or not (folder / "kept.json").is_file():
            saved: Any = load_model(before)
            chosen = self._chosen(how, number, saved, before)
            whole = chosen if kept is None else composed(kept, chosen)
            if how.rewind is None:
                start = smaller(saved.model, chosen)
            else:
                start = smaller(rewound(how.rewind, self._whole), whole)
            self._save(folder / "start", start, before)
            write_atomically(folder / "kept.json", json.dumps(whole))
        return self._trained(number, [_model_from(folder / "start")])

    def _chosen(self, how: Pruning, number: int, saved: SavedModel, before: Path) -> Kept:
        """The heads and units of the model before that are left."""
        config = self.saved.model.config
        batches = []
        if how.by == "taylor":
            run = self.run(number, [_model_from(before), "teacher=null"])
            parts = build(beginning_of(run, resume=False))
            for stream in parts.streams.values():
                batches += [stream.batch(n, 0, 1) for n in range(how.batches)]
        scores = importance(saved.model, batches, how.by)
        heads, units = how.left(config.num_heads, number), how.left(config.d_ff, number)
        self.say(f"round {number}: {heads} heads and {units} units of each layer are left")
        return best(scores, heads, units)

    def distil(self, how: Student) -> Path:
        """The one round of distillation; returns the model that it gives."""
        start = self._folder(1) / "start"
        if how.layers is None:
            keys = student_keys(self._whole.config, how.keys)
            return self._trained(1, [f"model={json.dumps(keys)}"])
        if saved_facts(start) is None:
            self._save(start, fewer_layers(self._whole, *how.layers), self.model)
        return self._trained(1, [_model_from(start)])

    @property
    def _whole(self) -> UnifiedVLForConditionalGeneration:
        assert isinstance(self.saved.model, UnifiedVLForConditionalGeneration), "seen before"
        return self.saved.model

    def _trained(self, number: int, keys: list[str]) -> Path:
        run = self.run(number, keys)
        if saved_facts(run.output / MODEL) is None:
            self.say(f"round {number}: training into {run.output}")
            train(run, resume=run.output.exists() and any(run.output.iterdir()))
        return run.output / MODEL

    def _save(self, folder: Path, model: Any, made_of: Path) -> None:
        """A model of the tokenizer and tasks of the first, but other weights."""
        saved = self.saved
        facts = {"made_of": str(made_of)}
        save_model(folder, model, saved.codec, saved.specs.values(), facts, shots=dict(saved.shots))

    def _folder(self, number: int) -> Path:
        return self.output / f"round-{number}"


def _model_from(folder: Path) -> str:
    return f"model={json.dumps({'from': str(folder.resolve())})}"
