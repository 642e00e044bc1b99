"""Whether tasks pull the weights in the same direction: norms and cosines of their gradients.

As in PCGrad (arXiv 2001.06782, section 2): two tasks are in conflict where the cosine of their
gradients is below zero. Each is that of the task's next batch, with its weight, its other losses
and without dropout.

Legend: T tasks.
"""

from __future__ import annotations

import math

import torch

from unified_vl.run_record import GradientsEvent
from unified_vl.training.balancing.task_gradients import TaskGradients
from unified_vl.training.distributed.agreement import agree
from unified_vl.training.prefetch import share_of
from unified_vl.training.state import Training
from unified_vl.training.update import TaskBatch, gradient_alone

DIGITS = 6  # of norms and cosines in the record


def measure_gradients(training: Training, step: int) -> None:
    """Write an event of the gradients of all tasks; nothing that is trained or drawn changes.

    Args:
        step: the next one.
    """
    parts, run, engine = training.parts, training.run, training.engine

    def next_batches() -> list[TaskBatch]:
        return [
            TaskBatch(task, tuple(stream.micro_batches(training.drawn[task], *share_of(training))))
            for task, stream in parts.streams.items()
        ]

    training.begin_objectives()
    agreed = agree(training.process, step, next_batches, parts.objectives)
    gradients = TaskGradients(training.process, parts.model)
    with engine.without_dropout():
        for batch, tokens in zip(agreed.batches, agreed.tokens, strict=True):
            weight = parts.weights[batch.task] * training.balance.factor(batch.task)
            objectives = parts.objectives[batch.task]
            found = gradient_alone(engine, batch, tokens, run, weight, objectives)
            gradients.add(batch.task, found)
    products = gradients.products()
    training.journal.gradients(
        GradientsEvent(
            step=step,
            tasks=gradients.tasks,
            norms={group: _norms(of_TT) for group, of_TT in products.items()},
            cosines={group: cosines(of_TT) for group, of_TT in products.items()},
        )
    )


def cosines(products_TT: torch.Tensor) -> list[list[float | None]]:
    """Of each pair, from inner products; None where one is zero or no number."""
    norms = [math.sqrt(max(value, 0.0)) for value in products_TT.diagonal().tolist()]

    def cosine(value: float, norm: float) -> float | None:
        return _number(value / norm) if norm > 0 else None

    return [
        [cosine(value, norms[i] * norms[j]) for j, value in enumerate(row)]
        for i, row in enumerate(products_TT.tolist())
    ]


def _norms(products_TT: torch.Tensor) -> list[float | None]:
    return [_number(math.sqrt(max(value, 0.0))) for value in products_TT.diagonal().tolist()]


def _number(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
