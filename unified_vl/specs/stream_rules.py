"""What a task whose train split is streamed (`data.stream`) cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.readers.registry import READERS
from unified_vl.specs.reading.document import KeyPath, Problem

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def stream_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `data.stream`: above all, what would need all rows."""
    data = spec.data
    if not data.stream:
        if data.shuffle_shards != 1:
            yield Problem(("data", "shuffle_shards"), "has no effect without data.stream")
        return
    if "train" not in data.splits:
        yield Problem(("data", "stream"), "has no effect without a train split")
    if READERS[data.reader].path not in ("file", "either"):
        message = f"{data.reader} reads no files one by one"
        yield Problem(("data", "stream"), message, expected="false")
    choices = spec.generate.choices
    field = None if choices is None or choices.field is None else spec.fields.get(choices.field)
    counts, others = "counts the rows, and nobody counts those of a stream", "a path with {split}"
    reads, draws = "would read all of a stream", "takes any rows, and a stream has few open"
    needs: list[tuple[KeyPath, bool, str, str | None]] = [
        (("data", "split_column"), data.split_column is not None, reads, others),
        (("data", "splits", "fraction"), data.shares is not None, reads, others),
        (("data", "language_temperature"), data.language_temperature is not None, counts, None),
        (("example", "shots"), spec.example.shots is not None, draws, None),
        (("example", "mismatch"), spec.example.mismatch is not None, draws, None),
        (
            ("generate", "choices", "field"),
            field is not None and field.names is None,
            reads,
            "the choices themselves",
        ),
    ]
    for place, said, message, expected in needs:
        if said:
            yield Problem(place, message, expected=expected)
