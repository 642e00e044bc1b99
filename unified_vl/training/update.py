"""One update of the weights: from the batches of one task, or of all tasks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, UnifiedVLOutput
from unified_vl.model.learning.target_loss import Targets
from unified_vl.specs.run import Run
from unified_vl.training.balancing.task_gradients import TaskGradients
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import Process
from unified_vl.training.loss import step_loss
from unified_vl.training.objectives.objective import Objective


@dataclass(frozen=True)
class TaskBatch:
    """This rank's share of a global batch, in the parts in which it is computed."""

    task: str
    parts: tuple[Batch, ...]


@dataclass(frozen=True)
class TaskLoss:
    """What a batch of a task had to tell.

    Attributes:
        loss: the mean over its target tokens, on all ranks.
        tokens: their number.
        rows: of its global batch; as many as always where it is None.
        density: the share of tokens in what this rank computed for it; the rest is padding.
        objectives: its other losses by name, where the mixture asks for any.
        factor: what the mixture's balance has multiplied its loss, or gradient, by; None where
            there is no balance.
    """

    task: str
    loss: float
    tokens: int
    density: float = 1.0
    rows: int | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)
    factor: float | None = None


def backward(
    engine: Engine,
    batches: Sequence[TaskBatch],
    tokens: Sequence[int],
    run: Run,
    weights: Mapping[str, float],
    objectives: Mapping[str, Mapping[str, Objective]],
    apart: TaskGradients | None = None,
) -> list[TaskLoss]:
    """Leave the gradients of an update in the engine; says what each batch's loss was.

    Each batch counts by its token mean, times its task's weight. Several, of a joint
    update, count alike, or by their numbers of target tokens (`joint_weights`).

    Args:
        batches: this rank's share.
        tokens: target tokens of each batch, on all ranks.
        run: label smoothing, z-loss and, in its mixture, `joint_weights`.
        weights: of the tasks' losses.
        objectives: of each task, by name.
        apart: gets the gradients of the tasks, in place of the engine.
    """
    told = []
    for index, batch in enumerate(batches):
        share = 1 / len(batches)
        if run.loaded_mixture.schedule.joint_weights == "tokens":
            share = tokens[index] / sum(tokens)
        loss_sum = torch.zeros((), dtype=torch.float64)
        beside = dict.fromkeys(objectives[batch.task], 0.0)
        for number, part in enumerate(batch.parts, 1):
            of_part = _loss_of_part(
                engine,
                part,
                run,
                objectives[batch.task],
                weight=weights[batch.task],
                tokens=tokens[index],
                parts=len(batch.parts),
                apart=apart is not None,
            )
            if apart is None:
                last = index + 1 == len(batches) and number == len(batch.parts)
                engine.backward(of_part.objective * share, last=last)
            else:
                found = engine.gradient(of_part.objective * share)
                apart.add(batch.task, engine.process.mean_(found))
            for other in objectives[batch.task].values():
                other.remember()
            loss_sum += of_part.token_sum.detach().cpu()
            for name, value in of_part.beside.items():
                beside[name] += value
        for name, other in objectives[batch.task].items():
            if other.per != "part":  # it is this rank's share
                beside[name] = engine.process.total(torch.tensor(beside[name]))[0]
        loss = engine.process.total(loss_sum)[0] / tokens[index]
        places = sum(part.places for part in batch.parts)
        density = sum(part.counts.tokens for part in batch.parts) / max(places, 1)
        told.append(
            TaskLoss(batch.task, loss, tokens[index], density, batch.parts[0].global_rows, beside)
        )
    return told


def gradient_alone(
    engine: Engine,
    batch: TaskBatch,
    tokens: int,
    run: Run,
    weight: float,
    objectives: Mapping[str, Objective],
) -> torch.Tensor:
    """The gradient that a batch alone would give, on all ranks, beside those of the update.

    Args:
        batch: this rank's share.
        tokens: its target tokens, on all ranks.
        run: label smoothing and z-loss.
        weight: of the task's loss.
        objectives: of the task, by name.

    Returns:
        As `Engine.gradient`; the same on all ranks.
    """
    total: torch.Tensor | None = None
    for part in batch.parts:
        of_part = _loss_of_part(
            engine,
            part,
            run,
            objectives,
            weight=weight,
            tokens=tokens,
            parts=len(batch.parts),
            apart=True,
        )
        found = engine.gradient(of_part.objective)
        total = found if total is None else total.add_(found)
    assert total is not None, "a batch has parts"
    return engine.process.mean_(total)


@dataclass(frozen=True)
class _PartLoss:
    """What a part of a batch adds to an update, and what is told of it."""

    objective: torch.Tensor
    token_sum: torch.Tensor
    beside: Mapping[str, float]


def _loss_of_part(
    engine: Engine,
    part: Batch,
    run: Run,
    objectives: Mapping[str, Objective],
    *,
    weight: float,
    tokens: int,
    parts: int,
    apart: bool = False,
) -> _PartLoss:
    moved = part.to(engine.process.device)
    targets = _targets(moved, run, objectives)
    momentum = _of_momentum(engine, objectives, moved)
    within = [
        partial(_within, each, moved, engine.process, momentum) for each in objectives.values()
    ]
    inputs = _more_inputs(objectives, moved)
    output = engine.outputs(moved, targets, inputs, within, apart=apart)
    part_sum = output.target_loss
    assert part_sum is not None
    left = 1 - sum(each.weight for each in objectives.values() if each.takes_share)
    objective = step_loss(part_sum, tokens, engine.process.world, weight * left)
    beside = {}
    for name, other in objectives.items():
        number = {"part": parts, "row": moved.global_rows, "token": tokens}[other.per]
        value = other.loss(output, moved, engine.process) / number
        # DeepSpeed takes the mean over the ranks of what here is a sum
        share = weight * other.weight if other.takes_share else other.weight
        objective = objective + share * engine.process.world * value
        beside[name] = value.item()
    return _PartLoss(objective, part_sum, beside)


def _within(
    other: Objective,
    batch: Batch,
    process: Process,
    momentum: Mapping[str, torch.Tensor] | None,
    model: Backbone,
    output: UnifiedVLOutput,
) -> Mapping[str, Any]:
    output.momentum = momentum
    return other.within(model, output, batch, process)


def _of_momentum(
    engine: Engine, objectives: Mapping[str, Objective], batch: Batch
) -> Mapping[str, torch.Tensor] | None:
    asking = [each for each in objectives.values() if each.reads_momentum]
    if not asking:
        return None

    def compute(model: Backbone) -> dict[str, torch.Tensor]:
        return {key: value for each in asking for key, value in each.momentum(model, batch).items()}

    found: dict[str, torch.Tensor] = engine.momentum(compute)
    return found


def _more_inputs(objectives: Mapping[str, Objective], batch: Batch) -> dict[str, Any]:
    return {key: value for each in objectives.values() for key, value in each.inputs(batch).items()}


def _targets(batch: Batch, run: Run, objectives: Mapping[str, Objective]) -> Targets:
    assert batch.labels_BT is not None, "rows of training have targets"
    logits = any(each.reads_logits for each in objectives.values())
    return Targets(batch.labels_BT, run.label_smoothing, run.z_loss, logits)
