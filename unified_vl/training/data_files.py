"""The files that a run reads, as they were: so that a resume sees which of them has changed.

Of each file its size, its time and, within a limit, the SHA-256 of its content are part of the
checkpoint. A file of the same size and time counts as the same; otherwise its content decides,
so that data which were copied are no other data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unified_vl.data.rows.paths import existing, languages_apart
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.files import read_json_object, with_slashes
from unified_vl.readers.registry import READERS
from unified_vl.remote.fetching import local, name_below
from unified_vl.remote.urls import joined, url_of
from unified_vl.training.build import Parts

MOST_CONTENT = 1 << 31  # bytes that are read for digests; of files beyond, size and time count
NAMED = 3  # changed files that a message names


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was.

    Attributes:
        size: in bytes.
        time: of its last change, in nanoseconds.
        digest: of its content; None beyond the limit.
    """

    size: int
    time: int
    digest: str | None


SeenFiles = Mapping[str, SeenFile]


def files_of(parts: Parts) -> dict[str, Path]:
    """What a run reads of its data root, by name: tables first, then the images they name."""
    every = [*parts.streams.values(), *parts.validation.values()]
    streams = [each for each in every if not each.data.streamed]  # of others the names count
    found: dict[str, Path] = {}
    for stream in streams:
        found.update(_tables(stream.data))
    for stream in streams:
        root = stream.data.root
        if url_of(root) is not None:
            continue  # an image that has changed has another version in the cache
        found.update(
            {name: with_slashes(root / name) for name in sorted(set(stream.data.image_files()))}
        )
    return found


def _tables(data: TaskData) -> Iterator[tuple[str, Path]]:
    spec, root = data.spec, data.root
    paths = [] if spec.data.exclude is None else [local(joined(root, spec.data.exclude))]
    if READERS[spec.data.reader].path != "id":  # what a hub gives has a version of its own
        for tag in languages_apart(spec, data.split):
            for together in existing(spec, data.split, root, tag):
                paths += together.values()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
            yield name_below(root, file), file


def look_at(files: Mapping[str, Path], before: SeenFiles | None = None) -> dict[str, SeenFile]:
    """What there is now; contents are read only of files that are not as they were `before`.

    Files that are not there are left out: rows that need them say so.
    """
    seen: dict[str, SeenFile] = {}
    left = MOST_CONTENT
    for name, path in files.items():
        try:
            told = path.stat()
            if not path.is_file():
                continue
            size, time = told.st_size, told.st_mtime_ns
            known = None if before is None else before.get(name)
            if known is not None and (known.size, known.time) == (size, time):
                seen[name] = known
                continue
            left -= size
            seen[name] = SeenFile(size, time, _digest(path) if left >= 0 else None)
        except OSError:
            continue
    return seen


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def changed_files(before: SeenFiles, now: SeenFiles) -> list[str]:
    """What is different, a line a file: `see_train.jsonl has changed`."""
    told = [f"{name} is gone" for name in sorted(before.keys() - now.keys())]
    told += [f"{name} is new" for name in sorted(now.keys() - before.keys())]
    for name in sorted(before.keys() & now.keys()):
        old, new = before[name], now[name]
        known = old.digest is not None and new.digest is not None
        if old.size != new.size or (known and old.digest != new.digest):
            told.append(f"{name} has changed")
        elif not known and old.time != new.time:
            told.append(f"{name} has another time")
    return sorted(told, key=lambda line: not line.endswith("changed"))


def refusal(changed: list[str], checkpoint: Path) -> UserError:
    """That a run does not go on with other data."""
    more = len(changed) - NAMED
    rest = f", and {more} more" if more > 0 else ""
    return UserError(
        f"the data are not what they were when this checkpoint was written: "
        f"{', '.join(changed[:NAMED])}{rest}",
        file=checkpoint,
        expected="the same data; --accept-changed-data goes on with these",
    )


def to_json(seen: SeenFiles) -> str:
    """The text of a checkpoint's `data.json`."""
    return json.dumps({name: [f.size, f.time, f.digest] for name, f in seen.items()})


def read_seen(path: Path) -> dict[str, SeenFile] | None:
    """What `to_json` wrote; None where a checkpoint has none."""
    if not path.is_file():
        return None
    return {name: SeenFile(*values) for name, values in read_json_object(path).items()}
