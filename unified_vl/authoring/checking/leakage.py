"""Rows of training that a held-out split has too (the "clean" rule of 12-in-1, arXiv
1912.02315, section 4.1: no image of any task's test split is trained on by any task)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.authoring.checking.fingerprints import Fingerprints
from unified_vl.data.rows.exclusion import excluded_keys
from unified_vl.errors import UserError

How = Literal["same image", "image that looks the same", "same text"]
ORDER = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Leak:
    """A row that is also in a split that is held out from it.

    Attributes:
        task: its task.
        split: its split: train, or validation where a test split has it too.
        key: what names it in the data (the value of `data.key_column`, else `file:row`).
        where: `file:row`.
        how: what of it is there too.
        held_task: the task of the other row.
        held_split: its split.
        held_where: `file:row` of it.
    """

    task: str
    split: str
    key: str
    where: str
    how: How
    held_task: str
    held_split: str
    held_where: str


def find_leaks(splits: Sequence[Fingerprints], findings: Findings, root: Path) -> tuple[Leak, ...]:
    """The rows of training that a held-out split has, each once for each such split.

    Within a spec all splits are compared; with those of another spec its train split, with
    what is reported there: the test split, or validation where there is none.

    Args:
        splits: the fingerprints of all splits of all specs.
        findings: takes one finding for each pair of splits, about the rows that `data.exclude`
            does not leave out already.
        root: the data root.
    """
    leaks: list[Leak] = []
    for known, held in _pairs(splits):
        found = list(_compare(known, held))
        leaks += found
        left_out = excluded_keys(known.spec, root) if known.split == "train" else frozenset()
        _report(known, held, [leak for leak in found if leak.key not in left_out], findings)
    return tuple(leaks)


def file_of_leaks(root: Path, name: Path) -> Path:
    """Where the list of leaks is written: below the data root, as `data.exclude` reads it.

    Args:
        root: the data root.
        name: the file, relative to the root; or absolute, in it.

    Raises:
        UserError: when it leaves the data root.
    """
    file = root / name
    if not file.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{str(name)!r} leaves the data root",
            field="--write-leaks",
            expected="a file below it, where data.exclude is read from",
        )
    return file


def as_jsonl(leaks: Iterable[Leak]) -> str:
    """The train rows among them as `data.exclude` reads them, a line a row."""
    rows = {(leak.task, leak.key): leak for leak in leaks if leak.split == "train"}
    return "".join(f"{json.dumps(asdict(leak), ensure_ascii=False)}\n" for leak in rows.values())


def _pairs(splits: Sequence[Fingerprints]) -> Iterator[tuple[Fingerprints, Fingerprints]]:
    tasks: dict[int, dict[str, Fingerprints]] = {}
    for fingerprints in splits:
        tasks.setdefault(id(fingerprints.spec), {})[fingerprints.split] = fingerprints
    for of_task in tasks.values():
        yield from combinations((of_task[name] for name in ORDER if name in of_task), 2)
    for one in tasks.values():
        for other in tasks.values():
            held = other.get("test") or other.get("validation")
            if one is not other and "train" in one and held is not None:
                yield one["train"], held


def _compare(known: Fingerprints, held: Fingerprints) -> Iterator[Leak]:
    """Rows of `known` that are in `held` too: by image, then by text."""
    seen: set[int] = set()

    def leaks(rows: Iterable[int], of: int, how: How) -> Iterator[Leak]:
        for number in rows:
            if number not in seen:
                seen.add(number)
                where, key = known.rows[number]
                names = (held.spec.task, held.split, held.rows[of][0])
                yield Leak(known.spec.task, known.split, key, where, how, *names)

    images = list(known.images.values())
    for image, rows in images:
        if image.content in held.by_content:
            yield from leaks(rows, held.by_content[image.content], "same image")
    if images and held.images:
        index, firsts = held.index
        nearest = index.nearest([image for image, _ in images])
        for (_, rows), place in zip(images, nearest, strict=True):
            if place is not None:
                yield from leaks(rows, firsts[place], "image that looks the same")
    if known.spec is held.spec:
        for source in known.sources.keys() & held.sources.keys():
            yield from leaks(known.sources[source], held.sources[source][0], "same text")
    else:
        for text in known.texts.keys() & held.held_texts.keys():
            yield from leaks(known.texts[text], held.held_texts[text], "same text")


def _report(
    known: Fingerprints, held: Fingerprints, leaks: Sequence[Leak], findings: Findings
) -> None:
    if not leaks:
        return
    first = min(leaks, key=lambda leak: (leak.how, leak.where))
    counted = Counter(leak.how for leak in leaks)
    how = ", ".join(f"{count:,} by the {name}" for name, count in sorted(counted.items()))
    rows = share(len(leaks), len(known.rows))
    place = held.split if known.spec is held.spec else f"{held.split} of {held.spec.task}"
    error = known.spec.error(
        ("data", "splits", known.split),
        f"{rows} of {known.split} are in {place} too: {how} (first: {first.where} is "
        f"{first.held_where})",
    )
    remedy = (
        "leave them out by data.exclude: FILE, which check --write-leaks writes"
        if known.split == "train"
        else "split the data anew"
    )
    findings.add(error, "warning", remedy=remedy, rate=len(leaks) / len(known.rows))
