"""Each place of a round draws its task (T5, arXiv 1910.10683, section 3.5.2)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from unified_vl.specs.schedule import SampledKeys
from unified_vl.training.schedules.schedule import Rules, Schedule, ScheduleKind, Turns


class Sampled(Schedule):
    """Every batch draws its task, independently of the others.

    Args:
        weights: above 0; a task is drawn with its share of those of the round's tasks.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        weights: Mapping[str, float],
        rules: Rules | None = None,
    ) -> None:
        super().__init__(tasks, batches, rules)
        if any(not weights[task] > 0 for task in tasks):
            raise ValueError(f"every task needs a weight above 0, not {dict(weights)}")
        self.weights = {task: weights[task] for task in tasks}

    def fill(self, number: int, tasks: Sequence[str]) -> tuple[str, ...]:
        if not tasks:
            return ()
        steps = sum(self.batches[task] for task in tasks)
        draw = random.Random(f"{self.rules.seed}/{number}")
        return tuple(draw.choices(tasks, [self.weights[task] for task in tasks], k=steps))


def size_weights(
    rows: Mapping[str, int], temperature: float = 1.0, limit: int | None = None
) -> dict[str, float]:
    """min(rows, limit) ** (1 / temperature), T5's mixing (arXiv 1910.10683, section 3.5.2).

    Temperature 1 is in proportion to size, a higher one nearer to equal shares.
    """
    sizes = {task: count if limit is None else min(count, limit) for task, count in rows.items()}
    return {task: float(size) ** (1 / temperature) for task, size in sizes.items()}


def _make(turns: Turns) -> Schedule:
    spec = turns.spec
    sizes = turns.rows if spec.by == "rows" else turns.batches
    weights = size_weights(sizes, spec.temperature, spec.limit)
    return Sampled(turns.tasks, turns.batches, weights, turns.rules)


SAMPLED = ScheduleKind("sampled", SampledKeys, _make)
