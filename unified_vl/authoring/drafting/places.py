"""Where the data of a task lie, as a spec says it: what a file or folder is, and its siblings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from unified_vl.authoring.drafting.columns import SPLITS
from unified_vl.authoring.drafting.files.annotation_files import (
    annotation_reader,
    annotations_in,
    root_of,
    splits_of,
)
from unified_vl.authoring.drafting.files.recognised import first_recognised, recognised
from unified_vl.authoring.drafting.files.written_files import without_written
from unified_vl.errors import UserError
from unified_vl.image_formats import is_image
from unified_vl.languages.tags import subtags
from unified_vl.specs.tasks.data import SplitName

TABLES = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".tmx": "tmx",
}
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ROBOFLOW = ("_annotations.", "_classes.")  # how its files are called
METADATA = ("metadata.jsonl", "metadata.csv")
KNOWN = (
    "a JSONL, CSV, TSV, Parquet or Arrow file, COCO's JSON or conversations in JSON, TMX, a tar of "
    "WebDataset, or images"
)
MOST_FILES = 100_000  # of a folder that are looked at
_WORDS = {word: split for split, words in SPLITS.items() for word in words}
_SPLIT_WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(_WORDS)})(?![a-z])", re.IGNORECASE)
_TAG = r"[a-z]{2,3}(?:[-_][A-Z][a-z]{3})?(?:[-_][A-Z]{2})?(?:@[a-z]+)?"  # zh_CN, zho_Hans
_LANGUAGE_WORD = re.compile(rf"(?<![A-Za-z]){_TAG}(?![A-Za-z])")
_SHARD = re.compile(r"(?<=[-_.])\d{2,}")


@dataclass(frozen=True)
class Place:
    """Where the data of a task lie.

    Attributes:
        reader: what reads them.
        root: the data root.
        parts: the path below it, part by part; of several files `*` stands for what differs,
            and the words of split and language are `{split}` and `{language}`.
        splits: what each split is called in the path.
        languages: tags that files are named after; none where they are not.
        file: a file (or folder) to look into, of the train split where there is one.
        encoding: of a table of text, where it was said.
    """

    reader: str
    root: Path
    parts: tuple[str, ...]
    splits: dict[SplitName, str]
    languages: tuple[str, ...]
    file: Path
    encoding: str | None = None

    @property
    def path(self) -> str:
        """The path template of a spec."""
        return "/".join(self.parts)

    def above(self) -> Place:
        """The same place with a data root one folder further up."""
        parent = self.root.parent
        return replace(self, root=parent, parts=(_escaped(self.root.name), *self.parts))


def find_place(given: Path, root: Path | None = None) -> Place:
    """Where the data are that a file or folder holds.

    Args:
        given: the file or folder.
        root: the data root, which holds it; for None the working directory where that is what is
            given, else the folder around it.

    Raises:
        UserError: when there is nothing that a reader reads.
    """
    if not given.exists():
        raise UserError("there is nothing here", file=given, expected=KNOWN)
    given = given.resolve()
    above = given.parent if root is None else root.resolve()
    if not given.is_relative_to(above):
        raise UserError("is not below the data root", file=given, expected=f"a path in {root}")
    reader, file = _file(given) if given.is_file() else _in_folder(given)
    place = _named(reader, file, above)
    inside = file != given and file.is_relative_to(given)
    beside = "{split}" in place.parts[0] and len(place.splits) > 1  # others are named as it is
    if root is None and given == Path.cwd() and inside and not beside:
        place = _named(reader, file, given)  # `--from .`: the commands that follow say `--data .`
    own = splits_of(reader, file)
    if own:
        return replace(place, splits=own)
    # of `train/data.csv` the folder is what names the split
    if root is None and given.is_file() and not _has_split(place):
        outer = _named(reader, file, above.parent)
        if len(outer.splits) > 1 and _has_split(outer):
            return outer
    return place


def _file(given: Path) -> tuple[str, Path]:
    """What reads a file, and what it reads: the file, or the folder of many like it."""
    own = recognised(given)
    if own is not None:
        return own, given
    reader = annotation_reader(given)
    if reader is not None:
        return reader, root_of(reader, given, given.parent.parent)
    return _reader_of(given), given


def _reader_of(file: Path) -> str:
    suffix = file.suffix.lower()
    if file.name.lower().endswith(TARS):
        return "webdataset"
    if suffix == ".json":
        return "json"  # what is in it decides
    if suffix not in TABLES:
        kind = f"a {suffix} file" if suffix else "a file without a suffix"
        raise UserError(f"is {kind}, which no reader reads", file=file, expected=KNOWN)
    return TABLES[suffix]


def _in_folder(folder: Path) -> tuple[str, Path]:
    """What of a folder is to be looked into, and what reads it."""
    files = [path for path in _files(folder) if not path.name.startswith(".")]
    files = without_written(files, folder)
    own = first_recognised(files)
    if own is not None:
        return own, _first([path for path in files if recognised(path) == own])
    annotated_by_tool = annotations_in(folder, files)
    if annotated_by_tool is not None:
        return annotated_by_tool
    files = [p for p in files if not p.name.startswith("_") or p.name.startswith(ROBOFLOW)]
    if any(path.name in METADATA for path in files):
        return "imagefolder", _split_folder(folder)
    for suffixes, reader in (TARS, "webdataset"), (tuple(TABLES), ""):
        found = [path for path in files if path.name.lower().endswith(suffixes)]
        if found:
            file = _first(found)
            return reader or TABLES[file.suffix.lower()], file
    if any(is_image(path) for path in files):
        annotated = [path for path in files if path.suffix.lower() == ".json"]
        if annotated:
            return "json", _first(annotated)
        described = has_texts_beside(files)
        return "image_texts" if described else "imagefolder", _split_folder(folder)
    annotated = [path for path in files if path.suffix.lower() == ".json"]
    if annotated:
        return "json", _first(annotated)
    raise UserError("holds nothing that could be read", file=folder, expected=KNOWN)


def has_texts_beside(files: Sequence[Path]) -> bool:
    """Whether images have text files beside them: `a.txt` or `a.de.txt` for `a.jpg`."""
    texts = {path.with_suffix("") for path in files if path.suffix.lower() == ".txt"}
    texts |= {path.with_suffix("") for path in texts}
    return any(is_image(p) and p.with_suffix("") in texts for p in files)


def _files(folder: Path) -> Iterator[Path]:
    yield from islice((path for path in folder.rglob("*") if path.is_file()), MOST_FILES)


def _first(files: Sequence[Path]) -> Path:
    """Of train where names say so, and of captions rather than of other annotations."""

    def order(path: Path) -> tuple[bool, bool, int, str]:
        words = [_WORDS[word.lower()] for word in _SPLIT_WORD.findall(str(path))]
        return "caption" not in path.name, "train" not in words, len(path.parts), str(path)

    return min(files, key=order)


def _split_folder(folder: Path) -> Path:
    """The folder below that is named after the train split (or another), else the folder."""
    named = {
        _WORDS[path.name.lower()]: path
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name.lower() in _WORDS
    }
    return next((named[split] for split in SPLITS if split in named), folder)


def _named(reader: str, file: Path, root: Path) -> Place:
    """A file as one of several that its name tells apart: shards, splits and languages."""
    parts = [_escaped(part) for part in file.relative_to(root).parts]
    name = parts[-1]
    shards = _SHARD.sub("*", name) if file.is_file() else name
    if shards != name and len(list(file.parent.glob(_literal(shards)))) > 1:
        parts[-1] = shards
    splits: dict[SplitName, str] = {}
    for index in reversed(range(len(parts))):
        splits = _splits(parts, index, root)
        if splits:
            break
    languages = () if file.is_dir() else _languages(parts, root, next(iter(splits.values()), ""))
    if splits:
        said = "/".join(parts).replace("{split}", next(iter(splits.values())))
        file = min(root.glob(_literal(said.replace("{language}", (*languages, "")[0]))))
    return Place(reader, root, tuple(parts), splits or {"train": "all"}, languages, file)


def _splits(parts: list[str], index: int, root: Path) -> dict[SplitName, str]:
    """The splits that one part of a path names; that part then has `{split}`."""
    found = list(_SPLIT_WORD.finditer(parts[index]))
    if not found:
        return {}
    word = found[-1]
    before, after = parts[index][: word.start()], parts[index][word.end() :]
    splits: dict[SplitName, str] = {}
    for split, words in SPLITS.items():
        for name in words:
            for said in (name, name.capitalize(), name.upper()):
                sibling = [*parts[:index], f"{before}{said}{after}", *parts[index + 1 :]]
                if any(root.glob(_literal("/".join(sibling)))):
                    splits.setdefault(split, said)
    if splits:
        parts[index] = f"{before}{{split}}{after}"
    return splits


def _languages(parts: list[str], root: Path, split: str) -> tuple[str, ...]:
    """The languages that the name of a file tells apart; the name then has `{language}`."""
    stem, dot, suffix = parts[-1].rpartition(".")
    for word in _LANGUAGE_WORD.finditer(stem):
        if not _is_tag(word.group()):
            continue
        before, after = stem[: word.start()], stem[word.end() :]
        template = "/".join([*parts[:-1], f"{before}*{after}{dot}{suffix}"])
        pattern = re.compile(
            re.escape(before.replace("{split}", split)) + f"({_TAG})" + re.escape(after)
        )
        names = (path.stem for path in root.glob(_literal(template.replace("{split}", split))))
        tags = sorted(m[1] for name in names if (m := pattern.fullmatch(name)) and _is_tag(m[1]))
        if len(tags) > 1:
            parts[-1] = f"{before}{{language}}{after}{dot}{suffix}"
            return tuple(tags)
    return ()


def _is_tag(word: str) -> bool:
    """Whether CLDR has a name for its language; of long codes (`cat`) only with more behind."""
    from babel import Locale

    known = Locale("en").languages
    return word in known or (len(word) > 3 and subtags(word).language in known)


def _has_split(place: Place) -> bool:
    return "{split}" in place.path


def _escaped(name: str) -> str:
    """A name as a template has it."""
    return name.replace("{", "{{").replace("}", "}}")


def _literal(template: str) -> str:
    """A glob pattern in which only * has a meaning."""
    plain = template.replace("{{", "{").replace("}}", "}")
    return re.sub(r"([?\[])", r"[\1]", plain)
