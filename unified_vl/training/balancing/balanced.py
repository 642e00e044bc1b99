"""The backward pass of an update, with what the mixture's balance makes of its tasks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from unified_vl.run_record import ALL_WEIGHTS
from unified_vl.training.balancing.task_gradients import TaskGradients
from unified_vl.training.state import Training
from unified_vl.training.update import TaskBatch, TaskLoss, backward


def balanced_backward(
    training: Training, step: int, batches: Sequence[TaskBatch], tokens: Sequence[int]
) -> list[TaskLoss]:
    """Leave the gradients of an update in the engine; says what each batch's loss was.

    Args:
        step: the one under way.
        batches: this rank's share.
        tokens: target tokens of each batch, on all ranks.
    """
    training.begin_objectives()
    run, parts, engine, balance = training.run, training.parts, training.engine, training.balance
    factors = {batch.task: balance.factor(batch.task) for batch in batches}
    weights = {task: parts.weights[task] * factor for task, factor in factors.items()}
    gradients = TaskGradients(training.process, parts.model) if balance.takes_gradients else None
    told = backward(engine, batches, tokens, run, weights, parts.objectives, gradients)
    if gradients is not None:
        found = balance.combine(gradients.products()[ALL_WEIGHTS].tolist(), f"{run.seed}/{step}")
        combined = dict(zip(gradients.tasks, found, strict=True))
        engine.backward_of(gradients.combined(combined))
        factors = {task: factors[task] * factor for task, factor in combined.items()}
    if run.loaded_mixture.balance is None:
        return told
    return [replace(each, factor=factors[each.task]) for each in told]


def mean_of_each(told: Sequence[TaskLoss]) -> dict[str, float]:
    """The loss of each task of an update, which may have several batches of it."""
    tasks = dict.fromkeys(each.task for each in told)
    return {
        task: statistics.fmean(each.loss for each in told if each.task == task) for task in tasks
    }
