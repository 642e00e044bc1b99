"""WebDataset's shards: tar files whose neighbouring members of one name are a row.

The names and places of the members are read, texts are taken in, and of an image only the
place is kept. Nothing is unpacked, so the names of members lead nowhere.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from unified_vl.errors import UserError
from unified_vl.json_text import parse_json
from unified_vl.readers.compressed import open_unpacked
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, first_line, place_type
from unified_vl.readers.table import NO_TEXT, Columns, Table, holds_no_text

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "__key__"
TEXTS = ("txt", "text", "caption", "transcript", "json", "cls")
_LARGEST_TEXT = 1 << 24  # bytes
_LOOKED_AT = 100  # rows whose JSON tells which columns there are


@dataclass(slots=True)
class Sample:
    """The members of a row: where each begins, and its size in bytes."""

    key: str
    members: dict[str, tuple[int, int]] = field(default_factory=dict)


def read_webdataset(source: Source) -> Table:
    """The columns that the spec names: images by their place, all else by its content."""
    shard, packed = open_unpacked(source.path)
    with shard:
        samples = list(samples_of(source.path, shard))
        if samples:  # an empty shard lacks no column
            source.require(_known(source, samples, shard))
        columns: dict[str, Sequence[Any] | pa.Array] = {}
        for column in source.needed:
            cells = list(_cells(source, column, samples, shard))
            # what members hold may be of any kind, and nested: Arrow would want one
            if _is_image(source, column):
                columns[column] = _contents(cells, shard) if packed else _places(cells)
            else:
                columns[column] = cells
    return Columns(columns)


def _contents(cells: list[Any], shard: BinaryIO) -> list[bytes | None]:
    """The bytes of images at their places, for a shard that is not on disk as it is read."""
    found: list[bytes | None] = []
    for place in cells:
        if place is not None:
            shard.seek(place["offset"])
        found.append(None if place is None else shard.read(place["size"]))
    return found


def samples_of(path: Path, shard: BinaryIO) -> Iterator[Sample]:
    """The rows of a shard.

    Args:
        path: its file, for messages.
        shard: what is in it, unpacked.

    Raises:
        UserError: when it is no tar file, or has a member twice.
    """
    sample: Sample | None = None
    for member in _members(path, shard):
        folder, slash, name = member.name.rpartition("/")
        stem, dot, extension = name.partition(".")
        if not stem or not dot:
            continue  # a hidden file, or a note without an extension
        key, extension = f"{folder}{slash}{stem}", extension.lower()
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = Sample(key)
        if extension in sample.members:
            raise UserError(f"has the member {member.name!r} twice", file=path)
        sample.members[extension] = (member.offset_data, member.size)
    if sample is not None:
        yield sample


def _members(path: Path, shard: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The plain files of a tar.

    Raises:
        UserError: when it is broken, or ends too early.
    """
    size = shard.seek(0, 2)
    shard.seek(0)
    last = "its beginning"
    try:
        with closing(tarfile.TarFile(fileobj=shard)) as archive:  # of no compression
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # or it keeps them all
                if member.size < 0 or member.offset_data + member.size > size:
                    raise UserError(f"ends within its member {member.name!r}", file=path)
                last = repr(member.name)
                if member.isreg() and not member.issparse():
                    yield member
            end = archive.offset
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
        raise UserError(
            f"is broken after {last}: {first_line(error)}", file=path, expected="a tar file"
        ) from error
    shard.seek(end)  # a header that makes no sense ends tarfile's reading silently
    if any(shard.read(tarfile.BLOCKSIZE)):
        raise UserError(f"is broken after {last}", file=path, expected="a tar file")


def _known(source: Source, samples: list[Sample], shard: BinaryIO) -> list[str]:
    """The columns of a shard, and those that name several members of which it has one."""
    extensions = dict.fromkeys(name for sample in samples for name in sample.members)
    known = dict.fromkeys([KEY, *extensions])
    for column in source.needed:
        if ";" in column and any(part in extensions for part in column.split(";")):
            known[column] = None
    if all(column in known for column in source.needed):
        return list(known)
    for sample in samples[:_LOOKED_AT]:
        for name in filter(_is_json, sample.members):
            known.update((f"{name}.{key}", None) for key in _json(source, sample, name, shard))
    for column in source.needed:
        head = column.rpartition(".")[0]
        if len(samples) > _LOOKED_AT and _is_json(head) and head in extensions:
            known[column] = None  # a later row may have it
    return list(known)


def _cells(source: Source, column: str, samples: list[Sample], shard: BinaryIO) -> Iterator[Any]:
    if column == KEY:
        yield from (_readable(sample.key) for sample in samples)
        return
    name = source.name(source.path)
    is_image = _is_image(source, column)
    choices = column.split(";")
    for sample in samples:
        extension = next((part for part in choices if part in sample.members), None)
        if extension is None:
            head, _, key = column.rpartition(".")
            found = head in sample.members and _is_json(head)
            yield _readable(_json(source, sample, head, shard).get(key) if found else None)
        elif is_image:
            start, size = sample.members[extension]
            yield {"file": name, "offset": start, "size": size, "base64": False}
        else:
            yield _readable(_content(source, sample, extension, shard))


def _readable(value: Any) -> Any:
    return NO_TEXT if holds_no_text(value) else value


def _content(source: Source, sample: Sample, extension: str, shard: BinaryIO) -> Any:
    """What a member holds, by the end of its name."""
    kind = extension.rpartition(".")[2]
    if kind == "json":
        return _json(source, sample, extension, shard)
    if kind not in TEXTS:
        raise UserError(
            f"is a member that is not read as text: {sample.key}.{extension}",
            file=source.path,
            field=extension,
            expected=f"{', '.join(TEXTS)}, or a field of kind image",
        )
    text = _text(source, sample, extension, shard)
    return text.strip() if kind == "cls" else text


def _json(source: Source, sample: Sample, extension: str, shard: BinaryIO) -> dict[str, Any]:
    where = f"{sample.key}.{extension}"
    try:
        value = parse_json(_text(source, sample, extension, shard))
    except ValueError as error:
        raise UserError(f"is not JSON: {error}", file=source.path, field=where) from error
    if not isinstance(value, dict):
        raise UserError("is not an object", file=source.path, field=where)
    return value


def _text(source: Source, sample: Sample, extension: str, shard: BinaryIO) -> str:
    start, size = sample.members[extension]
    where = f"{sample.key}.{extension}"
    if size > _LARGEST_TEXT:
        message = f"is a text of {size} bytes"
        raise UserError(message, file=source.path, field=where, expected="at most 16 MiB")
    shard.seek(start)
    try:
        return shard.read(size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=source.path, field=where) from error


def _is_json(extension: str) -> bool:
    return extension.rpartition(".")[2] == "json"


def _is_image(source: Source, column: str) -> bool:
    field = source.field_of(column)
    return field is not None and field.of_kind.is_input_image


def _places(cells: Sequence[Any]) -> pa.Array:
    """The places of images; a shard may have none of them."""
    import pyarrow as pa

    return pa.array(cells, place_type())


WEBDATASET = Reader(
    "webdataset",
    "Shards of WebDataset, `.tar` files: neighbouring members whose names are the same "
    "up to the first dot are a row. A column is `__key__` (that name), the rest of a member's "
    "name (`jpg`, `txt`, `cls`), several of which the row has one (`jpg;png`), or a key of a "
    "JSON member (`json.caption`). Images stay in the file until they are asked for; nothing "
    "is unpacked. Of a compressed shard (`.tar.gz`, `.tgz`, `.tar.bz2`, `.tar.xz`), which must "
    "be read from its beginning, texts and images are held in memory, at most 2 GiB.",
    read=read_webdataset,
    images="never",
)
