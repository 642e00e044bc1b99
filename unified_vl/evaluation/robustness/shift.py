"""The answers of a task: those of its rows, and how often training has each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow
from unified_vl.specs.tasks.choices import same_choice

MOST_ROWS = 20_000  # of training that are read, a fixed random choice


def answers_of(examples: Sequence[Example], field: str) -> list[str | None]:
    """The right answer of each row; of several the most frequent one."""
    return [commonest(example.references.get(field, ())) for example in examples]


def trained_answers(
    builder: ExampleBuilder, train: TaskData, indices: Sequence[int], field: str
) -> Counter[str]:
    """How often rows of training have each answer.

    Args:
        builder: reads them.
        train: the train split.
        indices: the rows to look at.
        field: which the answer is in.
    """
    found: Counter[str] = Counter()
    for start in range(0, len(indices), 256):
        for row in train.rows(indices[start : start + 256]):
            try:
                answer = commonest(builder.values_of(row, (field,))[field])
            except BadRow:
                continue  # training skips it, or stopped there
            if answer is not None:
                found[answer] += 1
    return found


def commonest(values: Sequence[Any]) -> str | None:
    """The most frequent of texts, the first of equally frequent ones."""
    texts = Counter(same_choice(value) for value in values if isinstance(value, str))
    return texts.most_common(1)[0][0] if texts else None
