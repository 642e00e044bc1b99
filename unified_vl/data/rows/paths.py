"""The files of a split: path templates filled in, and `*` matched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from unified_vl.errors import UserError, nearest
from unified_vl.readers.registry import READERS
from unified_vl.remote.fetching import fetched, matching
from unified_vl.remote.urls import joined, url_of
from unified_vl.specs.reading.document import KeyPath
from unified_vl.specs.reading.ranges import listed
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName
from unified_vl.specs.tasks.template import fill


def filled(spec: TaskSpec, split: SplitName, language: str | None) -> dict[str, str]:
    """The files of a split by name, relative to the data root ("path" for a single one)."""
    return {n: in_split(spec, t, split, language) for n, t in spec.data.templates.items()}


def own_filled(spec: TaskSpec, split: SplitName, language: str | None) -> dict[str, str]:
    """The keys of the reader that have slots, filled in as paths are."""
    return {key: in_split(spec, t, split, language) for key, t in spec.data.own_templates.items()}


def in_split(spec: TaskSpec, text: str, split: SplitName, language: str | None) -> str:
    """A template of `data` with what the files call a split and a language."""
    tag = spec.data.language_name(language or spec.data.languages[0])
    return fill(text, split=spec.data.splits[split], language=tag)


def languages_apart(spec: TaskSpec, split: SplitName) -> Sequence[str | None]:
    """The languages that have files of their own; None alone where a column names them."""
    languages = spec.data.languages
    places = {
        (*filled(spec, split, tag).values(), *own_filled(spec, split, tag).values())
        for tag in languages
    }
    return languages if len(places) == len(languages) else [None]


@dataclass(frozen=True)
class Shard:
    """Files of a split that are read together, as `places` calls them.

    Attributes:
        language: what their rows are in; None where a column says.
        files: each by its name.
        part: which part of its file is meant, from 0, and of how many; None for all of it.
    """

    language: str | None
    files: Mapping[str, Path]
    part: tuple[int, int] | None = None


def shards_of(spec: TaskSpec, split: SplitName, root: Path) -> list[Shard]:
    """All files of a split, or their parts, none of them opened.

    Raises:
        UserError: as `places` does.
    """
    tags = languages_apart(spec, split)
    found = [Shard(tag, each) for tag in tags for each in places(spec, split, root, tag)]
    of = spec.data.file_parts
    if of == 1 or split != "train":
        return found
    return [replace(each, part=(number, of)) for each in found for number in range(of)]


def first_shards(spec: TaskSpec, split: SplitName, root: Path) -> list[Shard]:
    """The first file, or part of one, of each language that has its own: what stands for a split
    that is streamed wherever it is not trained on."""
    by_language = {each.language: each for each in reversed(shards_of(spec, split, root))}
    return [by_language[tag] for tag in languages_apart(spec, split)]


def existing(
    spec: TaskSpec, split: SplitName, root: Path, language: str | None
) -> list[dict[str, Path]]:
    """The files of a split that are read together, each by its name; remote ones as copies.

    Raises:
        UserError: for a file or folder that is not there, and as `places` does.
    """
    return [on_this_machine(spec, each) for each in places(spec, split, root, language)]


def places(
    spec: TaskSpec, split: SplitName, root: Path, language: str | None
) -> list[dict[str, Path]]:
    """What the files of a split that are read together are called; a URL stands for itself.

    A name with `*` stands for several, sorted, and one with `{000..127}` for that many; where
    several names have one, the first files of each belong together, then the second.

    Raises:
        UserError: for a `*` that nothing matches, or names that do not match as many files.
    """
    found: dict[str, list[Path]] = {}
    for name, text in filled(spec, split, language).items():
        found[name] = []
        for one in listed(text):
            if "*" in one and READERS[spec.data.reader].path != "id":
                found[name] += _matched(spec, root, one, name)
            else:
                found[name].append(joined(root, one))
    first = next(iter(found))
    for name, paths in found.items():
        if len(paths) != len(found[first]):
            raise spec.error(
                _place(name),
                f"there are {len(paths)} files of it, and {len(found[first])} of {first!r}",
            )
    return [dict(zip(found, paths, strict=True)) for paths in zip(*found.values(), strict=True)]


def on_this_machine(spec: TaskSpec, together: Mapping[str, Path]) -> dict[str, Path]:
    """Files that are read together where they can be opened.

    Raises:
        UserError: for one that is not there, or cannot be fetched.
    """
    if READERS[spec.data.reader].path == "id":
        return dict(together)
    return {name: _existing(spec, path, name) for name, path in together.items()}


def _matched(spec: TaskSpec, root: Path, text: str, name: str) -> list[Path]:
    pattern_url = url_of(joined(root, text))
    if pattern_url is not None:
        with _told_at(spec, name):
            urls = matching(pattern_url)
            if not urls:
                raise UserError("no file matches", file=pattern_url)
        return list(map(Path, urls))
    pattern = re.sub(r"([?\[])", r"[\1]", text)  # only * has a meaning
    paths = sorted(path for path in root.glob(pattern) if _is_right(spec, path))
    if not paths:
        what = "folder" if READERS[spec.data.reader].path == "folder" else "file"
        raise spec.error(_place(name), f"no {what} matches {str(root / text)!r}")
    return paths


@contextmanager
def _told_at(spec: TaskSpec, name: str) -> Iterator[None]:
    """What is wrong with a remote file is told at the key of the spec that names it."""
    try:
        yield
    except UserError as error:
        said = f"{error.file!r}: {error.message}" if error.file else error.message
        raise spec.error(_place(name), said, expected=error.expected) from error


def _remote(spec: TaskSpec, url: str, name: str) -> Path:
    with _told_at(spec, name):
        if READERS[spec.data.reader].path == "folder":
            message = f"{spec.data.reader} reads a folder, and this is a URL"
            raise UserError(message, file=url, expected="a folder of this machine")
        return fetched(url, keep=True)


def _existing(spec: TaskSpec, path: Path, name: str) -> Path:
    url = url_of(path)
    if url is not None:
        return _remote(spec, url, name)
    if not path.exists():
        what = "folder" if READERS[spec.data.reader].path == "folder" else "file"
        close = _nearest_file(path)
        raise spec.error(_place(name), f"there is no {what} {str(path)!r}", nearest=close)
    if not _is_right(spec, path):
        found, right = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise spec.error(_place(name), f"{str(path)!r} is a {found}", expected=f"a {right}")
    return path


def _is_right(spec: TaskSpec, path: Path) -> bool:
    kind = READERS[spec.data.reader].path
    return (kind != "file" and path.is_dir()) or (kind != "folder" and path.is_file())


def _place(name: str) -> KeyPath:
    return ("data", "path") if name == "path" else ("data", "files", name)


def _nearest_file(path: Path) -> str | None:
    if not path.parent.is_dir():
        return None
    return nearest(path.name, (p.name for p in path.parent.iterdir()))
