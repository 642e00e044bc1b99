"""What a reader is given, and how it says what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from unified_vl.errors import UserError, nearest
from unified_vl.kinds.kind import Kind
from unified_vl.parts import KeyPath
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.table import is_utf8
from unified_vl.remote.fetching import name_below
from unified_vl.remote.urls import joined, url_of

MOST_NAMES, LONG_NAME = 50, 60  # of columns that a message lists
K = TypeVar("K", bound=ReaderKeys)

if TYPE_CHECKING:
    import pyarrow as pa


class Field(Protocol):
    """What a field of a spec says of its column, as far as a reader may ask."""

    @property
    def kind(self) -> str:
        """What a value means: text, image, box and so on."""

    @property
    def of_kind(self) -> Kind:
        """What its kind is to the rest of the project."""

    @property
    def many(self) -> bool:
        """Whether the column holds a list."""

    @property
    def missing(self) -> str | None:
        """What becomes of a row without a value: `drop`, `allow`, or None for a bad row."""

    @property
    def empty(self) -> bool | None:
        """Whether a list may be empty."""


@dataclass(slots=True)
class Kept:
    """What a reader says beside the table: which rows of a file it gave, above all.

    Attributes:
        numbers: the place of each in the file, from 0; None for all of them.
        left_out: how many it left out, by what they lack: "lack their image".
        instead: what a file without a row of the task holds, for messages.
        nearest: what of that may be meant.
        links: folders outside the data root that links in a listed folder lead to, with the
            name of one of these links.
        files: the file of each row, relative to the data root, where they are in several.
        lost: how many things of rows it left out, by what they are: "objects of crowds".
        part: what is said behind the name of a file whose rows are not counted from its start.
    """

    numbers: Sequence[int] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    instead: str = ""
    nearest: str | None = None
    links: dict[Path, str] = field(default_factory=dict)
    files: Sequence[str] | None = None
    lost: Counter[str] = field(default_factory=Counter)
    part: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one split of a task, in one language where each has its own.

    Attributes:
        files: the files by the names that the reader gives them; "path" for a single one. All
            exist.
        needed: every column that the spec reads, with the key that names it.
        fields: the fields of the spec by their names.
        languages: the tags of all languages of the spec.
        language_name: what the files call a language, by its tag.
        tag_of: the tag of what the files call a language; None for one that is not listed.
        error: makes an error that points at a key of the spec, such as ("data", "path").
        root: the data root, which holds the files.
        split: what the data call the split.
        language: the language that the files are in; None where a column says.
        images: the folder of the images, relative to the root; empty where the spec names none.
        keys: the reader's own keys.
        columns: what the spec calls the columns of files that do not name them.
        markers: those of `needed` that say what a row is, not what is in it: its key, its
            language, its split.
        skips: whether what breaks the format is left out and counted, not refused.
        alone: whether the files are of this split alone.
        part: which part of a file is meant, from 0, and how many it has; None for all of it. Every
            row is in one part.
        kept: what a reader says beside the table.
    """

    files: Mapping[str, Path]
    needed: Mapping[str, KeyPath]
    fields: Mapping[str, Field]
    languages: Sequence[str]
    language_name: Callable[[str], str]
    tag_of: Callable[[str], str | None]
    error: Callable[..., UserError]
    root: Path
    split: str = "train"
    language: str | None = None
    images: str = ""
    keys: ReaderKeys = field(default_factory=ReaderKeys)
    columns: Sequence[str] = ()
    markers: Sequence[str] = ()
    skips: bool = False
    alone: bool = True
    part: tuple[int, int] | None = None
    kept: Kept = field(default_factory=Kept)

    @property
    def path(self) -> Path:
        """The first file, which stands for all in messages."""
        return next(iter(self.files.values()))

    @property
    def image_root(self) -> Path:
        """Where paths of images start, whether it is there or not."""
        return joined(self.root, self.images)

    @property
    def image_folder(self) -> Path:
        """The folder of the images.

        Raises:
            UserError: when it is not there.
        """
        folder = self.image_root
        url = url_of(folder)
        if url is not None:
            message = f"{url!r} is a URL, and this reader looks which images there are"
            raise self.error(("data", "images"), message, expected="a folder of this machine")
        if not folder.is_dir():
            raise self.error(("data", "images"), f"there is no folder {str(folder)!r}")
        return folder

    def own(self, kind: type[K]) -> K:
        """The reader's own keys, as what they are."""
        assert isinstance(self.keys, kind)
        return self.keys

    def name(self, path: Path) -> str:
        """A file as rows name it: relative to the data root, or by its URL."""
        return name_below(self.root, path)

    def field_of(self, column: str) -> Field | None:
        """The field that reads a column; None where only another key of the spec names it."""
        place = self.needed[column]
        return self.fields[str(place[1])] if place[0] == "fields" else None

    def lose(self, what: str, count: int) -> None:
        """Say that things of rows are left out."""
        if count:
            self.kept.lost[what] += count

    def may_lack(self, column: str) -> bool:
        """Whether no row of a file need have a column, since a field may be missing."""
        field = self.field_of(column)
        return field is not None and field.missing == "allow"

    def keep(self, numbers: Sequence[int], of: int, why: str) -> None:
        """Say which rows of a file the table holds, and what the others lack."""
        if len(numbers) < of:
            self.kept.numbers = numbers
            self.leave_out(of - len(numbers), why)

    def found_in(self, files: Sequence[Path]) -> None:
        """Say which file each row is, the only one of it. A name that is no text is not said."""
        names = [self.name(path) for path in files]
        known = [is_utf8(name) for name in names]
        self.kept.files = [
            name if said else self.name(self.path) for name, said in zip(names, known, strict=True)
        ]
        self.kept.numbers = [0 if said else place for place, said in enumerate(known)]

    def leave_out(self, count: int, why: str) -> None:
        """Say that rows, or what would have been some, are none of the table."""
        if count:
            self.kept.left_out[why] = self.kept.left_out.get(why, 0) + count

    def require(self, known: Sequence[str]) -> None:
        """That each needed column is there, once.

        Raises:
            UserError: naming the key of the spec and the nearest column.
        """
        for column, place in self.needed.items():
            if known.count(column) > 1:
                raise self.error(place, f"{str(self.path)!r} has the column {column!r} twice")
            if column not in known:
                close = nearest(column, known)
                raise self.error(
                    place,
                    f"{str(self.path)!r} has no column {column!r}",
                    expected=None if close else f"one of {_some(known)}",
                    nearest=close,
                )


def _some(names: Sequence[str]) -> str:
    """Names of columns as a message lists them: of a file that is read wrongly, they are long."""
    shown = [name if len(name) <= LONG_NAME else f"{name[:LONG_NAME]}..." for name in names]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(shown[:MOST_NAMES])}{more}"


def begins(number: int, of: int, count: int) -> int:
    """Where a part of so many things begins, of as many parts; the first part is never empty."""
    return -(-count * number // of)


def place_type() -> pa.DataType:
    """An image in a file of others, as `data.images` reads it: where its bytes are."""
    import pyarrow as pa

    whole = pa.int64()
    return pa.struct({"file": pa.string(), "offset": whole, "size": whole, "base64": pa.bool_()})


def first_line(error: BaseException) -> str:
    """What a library's error says first."""
    return str(error).strip().split("\n", 1)[0]
