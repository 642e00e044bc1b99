"""What a trained model is worth to new tasks: `python benchmarks/continue_training.py MODEL DATA`.

From a model of Emoji World's demo to a task that it does not know (counting), a 15th language
(Dutch captions) and another vendor's art for the same emoji: from nothing, from the model, with
LoRA, and with two of its old tasks kept in the mixture, with and without stop-and-go; with 30, 100
and 300 training rows. While a run trains, the new task is scored on validation rows; afterwards it
and all old tasks are scored on test rows. Needed from the npm registry: names of emoji as CLDR
writes them (`annotations/nl/annotations.json` of cldr-annotations-full), and a folder of art whose
files are called by code points (`img/google/64` of emoji-datasource-google).

    python benchmarks/continue_training.py runs/demo/model data/emoji_world \\
        --names annotations.json --art img/google/64 --vendor "emoji-datasource-google 16.0.0"

Finished runs stand in `cells.json` of the output folder and are not done again; `--table` records
those that are finished. `--arms nothing` does those that need of the model no more than its
tokenizer and its sizes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from continued_tables import LONGER, NOTHING, tell
from continued_tasks import KEPT, NEW, OLD, PIECES, write_data, write_specs

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import read_json_object, write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.pretrained.saved_model import SavedModel
from unified_vl.run_record import EVENTS
from unified_vl.specs.load import load_run, load_task, load_tasks
from unified_vl.specs.runs.vision import ENCODERS
from unified_vl.training.tokenizers.tokenizer_extension import extend_tokenizer
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs
from unified_vl.training.trainer import train

ROOT = Path(__file__).parents[1]
OPTIMIZER = {
    "lr": 8e-4,
    "vision_lr_scale": 3,
    "embedding_lr_scale": 3,
    "betas": [0.9, 0.98],
    "weight_decay": 0.01,
    "warmup_steps": 20,
    "decay": "linear",
}
SLOWLY = {"optimizer": {**OPTIMIZER, "lr": 2e-4}}
# Embeddings learn at the same rate as in a training of all weights.
LORA = {
    "lora": {"rank": 16, "also_train": ["encoder.embedding.weight", "lm_head.weight"]},
    "optimizer": {**OPTIMIZER, "lr": 2.4e-3, "embedding_lr_scale": 1},
}
# As the demo itself was trained; with 8 rows an update nothing is learnt from nothing.
WIDELY = {"batch_size": 32, "optimizer": {**OPTIMIZER, "warmup_steps": 100}}
CELLS = "cells.json"
BATCH = 8
POINTS = 5  # of a curve


@dataclass(frozen=True)
class Arm:
    """A way to learn a new task.

    Attributes:
        rows: numbers of training rows that it is tried with, the first with every seed (but for
            the longest trainings) and the others with one.
        times: how many times the updates of the others it takes.
        keys: of its run file, beside or in place of those of all.
        kept: whether old tasks stay in the mixture, with an update for each of the new task's.
        schedule: of the mixture.
        points: scorings on the way; stop-and-go goes by them.
    """

    rows: tuple[int, ...]
    times: int = 1
    keys: dict[str, Any] = field(default_factory=dict)
    kept: bool = False
    schedule: dict[str, Any] = field(default_factory=dict)
    points: int = POINTS


ARMS = {
    NOTHING: Arm((300,), times=3, points=3 * POINTS),
    LONGER: Arm((3000,), times=20, points=4 * POINTS, keys=WIDELY),
    "the model": Arm((300, 30, 100)),
    "the model, a quarter of the rates": Arm((300,), keys=SLOWLY),
    "the model, LoRA": Arm((300, 30, 100), keys=LORA),
    "the model, old tasks kept": Arm((300,), kept=True),
    "the model, old tasks kept, stop-and-go": Arm(
        (300,),
        kept=True,
        schedule={"stop_and_go": {"patience": 2, "gap": 4, "max_drop": 0.05}},
        points=2 * POINTS,
    ),
}
ROWS = tuple(sorted({count for arm in ARMS.values() for count in arm.rows}))


@dataclass(frozen=True)
class Cell:
    """One training."""

    task: str
    arm: str
    rows: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.task} from {self.arm}, {self.rows} rows, seed {self.seed}"


def cells(arms: Sequence[str], seeds: int) -> Iterator[Cell]:
    """All trainings with the usual number of rows before those with others, seed by seed."""
    for seed in range(seeds):
        arms = [arm for arm in arms if seed == 0 or arm != LONGER]
        for place in range(max(len(ARMS[arm].rows) for arm in arms) if seed == 0 else 1):
            for arm in arms:
                for rows in ARMS[arm].rows[place : place + 1]:
                    for task in NEW:
                        yield Cell(task, arm, rows, seed)


class Bench:
    """Trains and scores cells in a folder."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.model = given.model.resolve()
        self.root = given.output.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self.data = self.root / "data"
        self.emoji = write_data(given.data.resolve(), self.data, given.names, given.art, ROWS)
        write_specs(self.root, ROWS)
        self.old = {task: self.model / "specs" / f"{task}.yaml" for task in OLD}

    def kept(self, name: str, make: Any) -> Any:
        """A result that was made before, or is made now."""
        file = self.root / CELLS
        known = read_json_object(file) if file.exists() else {}
        if name not in known:
            made = make()
            # Read anew: another process may have finished others in the meantime.
            known = read_json_object(file) if file.exists() else {}
            known[name] = made
            write_atomically(file, json.dumps(known, indent=1) + "\n")
            print(name, made, flush=True)
        return known[name]

    def before(self) -> dict[str, float]:
        """What the model reaches in its old tasks, and in captions of the other art."""
        found = self.score(self.model, list(self.old.values()), self.data)
        other = self.score(self.model, [self.old[KEPT[0]]], self.data / "before")
        return {**found, "other_art": other[KEPT[0]]}

    def trained(self, cell: Cell) -> dict[str, Any]:
        """The curve of a cell, its scores on test rows, and the updates of each task."""
        folder = self.root / "now" / cell.name.replace(" ", "-").replace(",", "")
        shutil.rmtree(folder, ignore_errors=True)
        run = load_run(self.write_run(cell, folder))
        model = train(run, progress=False)
        specs = [self.root / f"{cell.task}_{cell.rows}.yaml"]
        specs += [] if cell.arm in (NOTHING, LONGER) else self.old.values()
        curve, updates = [], {}
        for line in (run.output / EVENTS).read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "score" and event["task"] == cell.task:
                curve.append([event["updates"], round(event["score"], 1)])
            if event["event"] in ("step", "score"):
                updates[event["task"]] = event["updates"]
        scored = self.score(model, specs, self.data)
        shutil.rmtree(folder)
        return {"curve": curve, "test": scored, "updates": updates}

    def write_run(self, cell: Cell, folder: Path) -> Path:
        """The mixture and run files of a cell."""
        folder.mkdir(parents=True)
        arm = ARMS[cell.arm]
        spec = {"spec": str(self.root / f"{cell.task}_{cell.rows}.yaml")}
        tasks: list[dict[str, Any]] = [spec]
        if arm.kept:
            tasks = [spec | {"batches": len(KEPT)}, *({"spec": str(self.old[k])} for k in KEPT)]
        steps = self.given.updates * arm.times * (2 if arm.kept else 1)
        mixture = {"mixture": "new", "version": 1, "tasks": tasks, "schedule": arm.schedule}
        run = {
            "run": "new_task",
            "version": 1,
            "seed": cell.seed,
            "mixture": "mixture.yaml",
            "data": str(self.data),
            "tokenizer": str(self.tokenizer(cell)),
            "output": "run",
            "steps": steps,
            "batch_size": BATCH,
            "model": self.sizes() if cell.arm in (NOTHING, LONGER) else {"from": str(self.model)},
            "optimizer": OPTIMIZER,
            "max_source_tokens": 96,
            "max_target_tokens": 48,
            "validation_rows": BATCH,
            "validate_every": steps,
            "score_every": steps // arm.points,
            "score_rows": 64,
            "checkpoint_every": 10 * steps,
            "keep_best": False,
            **arm.keys,
        }
        for file, values in (("mixture.yaml", mixture), ("run.yaml", run)):
            (folder / file).write_text(json.dumps(values), encoding="utf-8")
        return folder / "run.yaml"

    def sizes(self) -> dict[str, Any]:
        """The `model` keys of a run from nothing that has the sizes of the model."""
        keys = dict(SavedModel(self.model).architecture)
        keys = {key: value for key, value in keys.items() if value is not None}
        read = ("kind", "image_size", *ENCODERS[keys["vision"]["kind"]].reads)
        keys["vision"] = {key: keys["vision"][key] for key in read}
        return keys

    def tokenizer(self, cell: Cell) -> Path:
        """The model's, with the tags of the task and, for a language, pieces of its text."""
        folder = self.root / f"tokenizer_{cell.task}_{cell.rows}"
        if not folder.exists():
            specs = load_tasks([self.root / f"{cell.task}_{cell.rows}.yaml"])
            texts = texts_of_specs(specs, self.data)
            pieces = PIECES.get(cell.task, 0)
            extend_tokenizer(self.model / "tokenizer", folder, specs, texts, pieces)
        return folder

    def score(self, model: Path, specs: Sequence[Path], data: Path) -> dict[str, float]:
        """The primary metric of each task on test rows, in percent."""
        predictor = UnifiedVL.from_pretrained(model)
        tasks = [load_task(path) for path in specs]
        done = evaluate(predictor, tasks, "test", data, limit=self.given.scored, resamples=0)
        return {
            name: round(of["metrics"][of["primary"]], 1)
            for name, of in done.report["tasks"].items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--names", type=Path, required=True, help="of emoji, in Dutch")
    parser.add_argument("--art", type=Path, required=True, help="a folder of PNG files")
    parser.add_argument("--vendor", required=True, help="package and version of the art")
    parser.add_argument("--updates", type=int, default=100, help="of a new task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scored", type=int, default=100, help="rows of each task")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--table", action="store_true", help="record what is finished")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "continue_training")
    given = parser.parse_args()
    bench = Bench(given)
    todo = list(cells(given.arms, given.seeds))
    if given.table:
        known = read_json_object(bench.root / CELLS)
        todo = [cell for cell in todo if cell.name in known]
    results = [
        {"cell": cell, **bench.kept(cell.name, lambda cell=cell: bench.trained(cell))}
        for cell in todo
    ]
    if len(given.arms) == len(ARMS):
        before = bench.kept("before", bench.before)
        steps = str(read_json_object(bench.model / "training.json").get("steps"))
        tell(results, before, given, steps, bench.emoji)


if __name__ == "__main__":
    main()
