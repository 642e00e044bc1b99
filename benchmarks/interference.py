"""What the updates of each task do to the others, from where a training stands.

    python benchmarks/interference.py RUN.yaml                # at its newest checkpoint
    python benchmarks/interference.py RUN.yaml --batches 16 --lr 1e-4

Three tables, Markdown, of a run with one batch an update:

- by group of weights, where a task's gradients lie (after clipping);
- by group, how far a task moves the weights beside what it would if the second moments were its own
  (AdaTask, arXiv 2211.15055): the mean of its gradients' root mean squares, each divided by that of
  all tasks. Below 1 the others hold it back, above 1 it holds back the others;
- what some updates of each task, one after the other, do to the validation loss of every task, at
  the learning rate that the run had there (nearly zero at its end: then give another).

Nothing is trained: weights are those of the start again afterwards, and nothing is written.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unified_vl.checkpoint_folders import newest
from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.model.learning.target_loss import Targets
from unified_vl.run_record import ALL_WEIGHTS, CHECKPOINTS
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.balancing.task_gradients import group_names
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import Parts, build
from unified_vl.training.course.between_steps import validation_batches
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import Process, start_process
from unified_vl.training.learning_rate import learning_rate
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.update import TaskBatch, gradient_alone

FLOOR = 1e-3  # of a root mean square that is divided by, as a share of their mean


@dataclass(frozen=True)
class Interference:
    """What was measured, tasks in the order of the mixture.

    Attributes:
        squares: by group of weights, each task's share of its own squared gradient.
        reach: by group, how far each task moves the weights beside what it would alone.
        validated: the tasks that have a validation split.
        losses: of each of these, in nats a target token.
        changes: of these losses (columns) by updates of each task (rows).
    """

    tasks: Sequence[str]
    squares: Mapping[str, Sequence[float]]
    reach: Mapping[str, Sequence[float]]
    validated: Sequence[str]
    losses: Sequence[float]
    changes: Sequence[Sequence[float]]


class Measurement:
    """A model at the weights of a run, in float32 and in one process; to be closed.

    Args:
        file: of the run.
        checkpoint: its folder.
        batches: of each task.
        rate: the learning rate; that of the step behind the checkpoint unless given.
    """

    def __init__(
        self, file: Path, checkpoint: Path, batches: int, rate: float | None = None
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:  # nothing is written there
            keys = [f"model.from={checkpoint}", f"output={folder}/run", "engine=null"]
            self.run: Run = load_run(file, keys)
            beginning = beginning_of(self.run, resume=False)
            self.run, self.process = beginning.run, start_process()
            self.parts: Parts = build(beginning)
        optimizer = build_optimizer(self.parts.model, self.run.optimizer)
        scales = {id(p): g["lr_scale"] for g in optimizer.param_groups for p in g["params"]}
        self.engine = Engine(self.process, self.parts.model, optimizer, self.run)
        self.validation = validation_batches(self.parts, self.process)
        self.batches = batches
        done = int(checkpoint.name.rpartition("-")[2])
        planned = learning_rate(done, self.run.last_step, self.run.optimizer)
        self.rate = planned if rate is None else rate
        named = self.parts.model.named_parameters()
        self.weights = {name: weight for name, weight in named if weight.requires_grad}
        self.scale = torch.cat(
            [torch.full((weight.numel(),), scales[id(weight)]) for weight in self.weights.values()]
        )
        groups = group_names(self.parts.model)
        self.groups: dict[str, list[slice]] = {}
        place = 0
        for name, weight in self.weights.items():
            self.groups.setdefault(groups[name], []).append(slice(place, place + weight.numel()))
            place += weight.numel()

    def close(self) -> None:
        """Let go of the weights."""
        self.engine.close()

    def measure(self) -> Interference:
        """All of it; dropout is off."""
        tasks = list(self.parts.streams)
        with self.engine.without_dropout():
            own = {task: self._root_mean_square(task) for task in tasks}
            together = torch.stack([each.square() for each in own.values()]).mean(0).sqrt()
            before = self._losses()
            changes = [self._changes(task, together, before) for task in tasks]
        groups = {ALL_WEIGHTS: [slice(None)], **self.groups}
        return Interference(
            tasks=tasks,
            squares={g: [_share(own[task], of) for task in tasks] for g, of in groups.items()},
            reach={
                g: [_reach(own[task], together, of) for task in tasks] for g, of in groups.items()
            },
            validated=list(self.validation),
            losses=before,
            changes=changes,
        )

    def _gradient(self, task: str, number: int) -> torch.Tensor:
        """Of a batch behind all that the run trains on, as it is clipped."""
        stream = self.parts.streams[task]
        parts = stream.micro_batches(self.run.last_step + number, *_alone(self.process))
        batch = TaskBatch(task, tuple(parts))
        tokens = sum(part.target_tokens for part in batch.parts)
        weight, objectives = self.parts.weights[task], self.parts.objectives[task]
        found = gradient_alone(self.engine, batch, tokens, self.run, weight, objectives)
        norm = found.norm().item()
        return found if self.run.clip is None else found.mul_(min(1.0, self.run.clip / norm))

    def _root_mean_square(self, task: str) -> torch.Tensor:
        squares = sum(self._gradient(task, number).square() for number in range(self.batches))
        assert isinstance(squares, torch.Tensor), "there are batches"
        return squares.div_(self.batches).sqrt_()

    @torch.no_grad()
    def _losses(self) -> list[float]:
        found = []
        for batches in self.validation.values():
            losses = [self._loss_sum(batch) for batch in batches]
            found.append(sum(losses) / sum(batch.target_tokens for batch in batches))
        return found

    def _loss_sum(self, batch: Batch) -> float:
        assert batch.labels_BT is not None, "validation needs targets"
        targets = Targets(batch.labels_BT, logits=False)
        loss = self.engine.outputs(batch, targets, apart=True).target_loss
        assert loss is not None
        return loss.item()

    def _changes(self, task: str, together: torch.Tensor, before: Sequence[float]) -> list[float]:
        """After updates of a task, as AdamW makes them without momentum; then they are undone."""
        kept = [weight.detach().clone() for weight in self.weights.values()]
        divisor = together + together.mean() * FLOOR
        for number in range(self.batches):
            step = self._gradient(task, number).mul_(self.scale).div_(divisor)
            pieces = step.mul_(self.rate).split([each.numel() for each in kept])
            with torch.no_grad():
                for weight, piece in zip(self.weights.values(), pieces, strict=True):
                    weight.sub_(piece.view_as(weight))
        after = self._losses()
        with torch.no_grad():
            for weight, old in zip(self.weights.values(), kept, strict=True):
                weight.copy_(old)
        return [now - was for now, was in zip(after, before, strict=True)]


def _alone(process: Process) -> tuple[int, int, int]:
    return process.rank, process.world, 1


def _share(own: torch.Tensor, group: Sequence[slice]) -> float:
    whole = own.square().sum()
    return float(sum(own[of].square().sum() for of in group) / whole)


def _reach(own: torch.Tensor, together: torch.Tensor, group: Sequence[slice]) -> float:
    """The mean over the weights that any task moves."""
    moved = [together[of] > 0 for of in group]
    ratios = [(own[of][at] / together[of][at]).sum() for of, at in zip(group, moved, strict=True)]
    return float(sum(ratios) / sum(at.sum() for at in moved))


def as_tables(found: Interference, batches: int) -> str:
    """The three tables, as Markdown."""
    lines: list[str] = []

    def table(
        title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float]], digits: int
    ) -> None:
        lines.extend([title, "", f"| | {' | '.join(columns)} |"])
        lines.append("| --- |" + " ---: |" * len(columns))
        for name, values in rows.items():
            lines.append(f"| {name} | {' | '.join(f'{value:.{digits}f}' for value in values)} |")
        lines.append("")

    table("Share of a task's squared gradient:", found.tasks, found.squares, 2)
    table("How far it moves the weights beside moments of its own:", found.tasks, found.reach, 2)
    table("Validation losses, nats a token:", found.validated, {"now": found.losses}, 3)
    rows = dict(zip(found.tasks, found.changes, strict=True))
    thousandths = {name: [1000 * each for each in values] for name, values in rows.items()}
    table(f"Their change in 1e-3 nats, by {batches} updates of:", found.validated, thousandths, 1)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the file of a run")
    parser.add_argument("--batches", type=int, default=8, help="of each task")
    parser.add_argument("--lr", type=float, help="of the updates; the run's there unless given")
    options = parser.parse_args()
    if options.batches < 1:
        parser.error("--batches: at least 1")
    try:
        checkpoint = checkpoint_of(load_run(options.run).output)
        opened = Measurement(options.run, checkpoint, options.batches, options.lr)
    except UserError as error:
        parser.error(str(error))
    with contextlib.closing(opened) as measurement:
        print(as_tables(measurement.measure(), options.batches))


def checkpoint_of(output: Path) -> Path:
    """The newest one of a run.

    Raises:
        UserError: when there is none.
    """
    name = newest(output / CHECKPOINTS)
    if name is None:
        raise UserError("there is no checkpoint", file=output, expected="the output of a run")
    return output / CHECKPOINTS / name


if __name__ == "__main__":
    main()
