"""The models that a run writes: that of its last step, and that of its best checkpoint."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unified_vl.checkpoint_folders import find_fault, folder_of
from unified_vl.files import settle_directory
from unified_vl.inference.saved_models.adapter import Adapter, unlike
from unified_vl.inference.saved_models.model_directory import (
    describe_model,
    save_model,
    saved_facts,
)
from unified_vl.model.backbones.adapter import their_name
from unified_vl.model.pretrained.architecture import open_start
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.tuning.adapters import merged_weights
from unified_vl.model.tuning.names import second_names
from unified_vl.run_record import BEST_MODEL
from unified_vl.specs.run import Run
from unified_vl.specs.runs.lora import LoraSpec
from unified_vl.training.build import Parts
from unified_vl.training.distributed.agreement import together
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.record.best import Best
from unified_vl.training.record.journal import Journal


class ModelWriter:
    """Writes model directories below the output directory.

    Args:
        run, parts: of the training.
        engine: has the weights.
        journal: tells where a model is, and how long its training took.
    """

    def __init__(self, run: Run, parts: Parts, engine: Engine, journal: Journal) -> None:
        self.run = run
        self.engine = engine
        self.journal = journal
        self._parts = parts

    def write(self, name: str, step: int, **more: Any) -> None:
        """Write OUTPUT/NAME, whole or not at all: the engine's model, which is that after `step`.

        Args:
            more: facts of it beside those of the run.

        Raises:
            DiskFull: when there is no room for it; one that is there stays.
        """
        run, parts, process = self.run, self._parts, self.engine.process
        folder = run.output / name
        weights, adapter = self.engine.weights(), None
        with together(process):
            if process.rank == 0:
                if run.lora is not None and run.lora.save == "adapter":
                    adapter = self._adapter(run.lora, weights, folder)
                if run.lora is not None:
                    weights = merged_weights(weights, run.lora)
                whole = type(parts.model)(parts.model.config)
                whole.load_state_dict(weights)
                facts = {
                    "run": run.run,
                    "steps": step,
                    "seed": run.seed,
                    "batch_size": run.batch_size,
                    "processes": process.world,
                    "seconds": round(self.journal.seconds, 1),
                    **more,
                }
                if parts.start is not None:
                    facts["started_from"] = parts.start.facts()
                shots = {task: stream.builder.shots() for task, stream in parts.streams.items()}
                specs = parts.specs.values()
                save_model(folder, whole, parts.codec, specs, facts, shots=shots, adapter=adapter)
                self.journal.say(f"the model after step {step} is in {folder}")

    def describe(self, folder: Path) -> None:
        """Write what the weights of a checkpoint are of, so that a training can start from it."""
        describe_model(folder, self._parts.model.config, self._parts.codec)

    def _adapter(
        self, lora: LoraSpec, weights: Mapping[str, torch.Tensor], folder: Path
    ) -> Adapter:
        """What is saved of the weights where it is adapters alone."""
        run, parts = self.run, self._parts
        assert run.model.from_ is not None and parts.start is not None
        source = open_start(run, download=False)
        theirs = isinstance(source, TransformersCheckpoint)
        base = source.in_memory() if isinstance(source, TransformersCheckpoint) else source
        is_here = Path(run.model.from_).is_dir()
        return Adapter(
            base=str(base.directory.resolve()) if is_here else run.model.from_,
            beside=os.path.relpath(base.directory, folder) if is_here else None,
            fingerprint=parts.start.fingerprint,
            lora=lora,
            weights=weights,
            others=unlike(weights, base, parts.model.dtype, second_names(parts.model)),
            name_of=their_name if theirs else str,
        )

    def write_best(self, best: Best) -> None:
        """Write OUTPUT/best_model: the engine's model, which is that of the best checkpoint."""
        assert best.step is not None
        self.write(BEST_MODEL, best.step, scored_step=best.scored)


def mend_best_model(writer: ModelWriter, best: Best, checkpoints: Path, step: int) -> None:
    """See to it that OUTPUT/best_model is that of the best checkpoint, after a start from `step`.

    A run that was killed, or had no room, while it wrote it left none, or that of another
    step. It is written anew from the best checkpoint; where that is lost too, a line says so
    and the next checkpoint that has a score or loss is the best.

    Args:
        best: as the checkpoint of `step`, which the engine has loaded, remembers it.
        checkpoints: their folder.
    """
    engine, journal = writer.engine, writer.journal
    found, lost = None, None
    with together(engine.process):
        if engine.process.rank == 0:
            found, lost = _look(writer.run.output / BEST_MODEL, best, checkpoints)
    found, lost = engine.process.from_first((found, lost))
    if found is None:
        return
    if best.step is None or lost is not None:
        gone = "" if best.step is None else f", and the checkpoint of step {best.step} {lost}"
        journal.say(f"{BEST_MODEL} {found}{gone}: the next best one takes its place")
        best.forget()
        return
    journal.say(f"{BEST_MODEL} {found}: it is written anew from the checkpoint of {best.step}")
    if best.step != step:
        engine.load(folder_of(checkpoints, best.step))
    writer.write_best(best)
    if best.step != step:
        engine.load(folder_of(checkpoints, step))


def _look(folder: Path, best: Best, checkpoints: Path) -> tuple[str | None, str | None]:
    """What is wrong with the best model, and with the checkpoint it could be made of."""
    settle_directory(folder)
    facts = saved_facts(folder)
    if facts is None:
        if best.step is None and not folder.exists():
            return None, None
        found = "is not whole" if folder.exists() else "is missing"
    elif facts.get("steps") == best.step:
        return None, None
    else:
        found = f"is of step {facts.get('steps')}"
    if best.step is None:
        return found, None
    source = folder_of(checkpoints, best.step)
    if not source.is_dir():
        return found, "is gone"
    return found, None if (fault := find_fault(source)) is None else f"is lost ({fault})"
