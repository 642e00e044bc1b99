"""What a task whose train split is streamed (`data.stream`) cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.readers.registry import READERS
from unified_vl.specs.reading.document import KeyPath, Problem

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def _part_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `data.file_parts`."""
    data = spec.data
    if not READERS[data.reader].parts:
        some = " or ".join(name for name, reader in READERS.items() if reader.parts)
        message = f"{data.reader} reads a file as a whole"
        yield Problem(("data", "file_parts"), message, expected=f"1, or the reader {some}")
    if data.exclude is not None and data.key_column is None:
        message = "names rows by their number in the file, which a part does not know"
        yield Problem(("data", "exclude"), message, expected="data.key_column")


def stream_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `data.stream`: above all, what would need all rows."""
    data = spec.data
    if not data.stream:
        for key in ("shuffle_shards", "file_parts"):
            if getattr(data, key) != 1:
                yield Problem(("data", key), "has no effect without data.stream")
        return
    if data.file_parts != 1:
        yield from _part_problems(spec)
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
