"""Tasks whose answers belong together: scores of rows that are right in both (`with`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_vl.data.example import Example
from unified_vl.specs.task import TaskSpec

Rights = dict[tuple[str, str], bool]
"""Whether the row of a language and key is right."""


def in_order_of_need(specs: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The specs, each after those whose answers its scores look at, else as they were.

    Raises:
        UserError: when tasks need each other's.
    """
    left, ordered = list(specs), list[TaskSpec]()
    while left:
        waiting = {spec.task for spec in left}
        ready = next((spec for spec in left if not _partners(spec) & waiting), None)
        if ready is None:
            index = next(i for i, score in enumerate(left[0].score) if score.with_ in waiting)
            raise left[0].error(
                ("score", index, "with"),
                "these tasks need each other's answers",
                expected="a task whose scores do not name this one",
            )
        left.remove(ready)
        ordered.append(ready)
    return ordered


def _partners(spec: TaskSpec) -> set[str | None]:
    return {score.with_ for score in spec.score} - {None, spec.task}


def right_partners(
    examples: Sequence[Example], rights: Mapping[str, Rights]
) -> dict[str, list[bool | None]]:
    """By each other task so far: whether the row of the same key is right; None for no such row."""
    return {
        task: [known.get((example.language, example.key)) for example in examples]
        for task, known in rights.items()
    }
