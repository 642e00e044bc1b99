"""Where else a run's events are shown: TensorBoard, Weights & Biases.

Both are optional (`pip install 'unified_vl[tensorboard]'`, `unified_vl[wandb]`); the
record itself is events.jsonl.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.run_record import Event, ScoreEvent, StepEvent, StopAndGoEvent, ValidationEvent
from unified_vl.specs.run import Run

OF_A_STEP = ("loss", "grad_norm", "lr", "updates", "epochs", "target_tokens")


class Tracker(Protocol):
    """Shows the numbers of a run."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers by name, `what/task`, after so many steps."""

    def close(self) -> None:
        """Nothing follows."""


class TensorBoard:
    """Event files in OUTPUT/tensorboard; those after `step` of an earlier start are void."""

    def __init__(self, run: Run, step: int) -> None:
        _require("tensorboard", run)
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.output / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """One W&B run a run file's name; `WANDB_PROJECT`, `WANDB_MODE` and the like apply."""

    def __init__(self, run: Run, step: int) -> None:
        wandb = _require("wandb", run)
        self._run = wandb.init(
            name=run.run,
            dir=str(run.output),
            id=f"{run.run}-{run.seed}",
            resume="allow" if step else None,
            config=run.model_dump(mode="json"),
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, type[TensorBoard] | type[WeightsAndBiases]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


def start_trackers(run: Run, step: int) -> list[Tracker]:
    """The trackers that a run file names, after so many steps are done.

    Raises:
        UserError: for one whose package is not installed.
    """
    return [TRACKERS[name](run, step) for name in run.trackers]


def numbers_of(event: Event) -> dict[str, float]:
    """What of an event is drawn, named `what/task`."""
    match event:
        case StepEvent():
            numbers = {name: getattr(event, name) for name in OF_A_STEP}
            numbers |= {"padding": 1 - event.density, **event.speed, **event.objectives}
        case ValidationEvent():
            numbers = {"validation_loss": event.loss}
        case ScoreEvent():
            numbers = {"score": event.score}
        case StopAndGoEvent():
            numbers = {"state": event.state == "GO"}
        case _:
            return {}
    return {f"{name}/{event.task}": float(value) for name, value in numbers.items()}


def _require(package: str, run: Run) -> Any:
    try:
        require(package)
    except UserError as error:
        raise run.error(("trackers",), error.message, expected=error.expected) from error
    return importlib.import_module(package)
