"""What the rows of a split are known by, wherever else they turn up: images and texts."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import regex

from unified_vl.authoring.checking.image_hashes import ImageHash, ImageIndex, hash_image
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.selection import is_blank
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow
from unified_vl.specs.task import TaskSpec

LONG = 32  # characters of a text that two people hardly write alike
_BLOCK = 1024  # rows read at a time
_NOT_WORDS = regex.compile(r"[^\p{L}\p{M}\p{N}]+")
_IDEOGRAPH = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")
Report = Callable[[BadRow], None]


@dataclass
class Fingerprints:
    """What the rows of a split are known by.

    Attributes:
        spec: the task.
        split: the split.
        rows: `file:row` and key of each row.
        images: of each image its hash, and the rows that have it, by the image's place.
        texts: of each long text the rows that have it, by its digest. Of rows with an image only
            texts that are to be written count where they are held out: questions repeat.
        sources: of everything that a row without image reads, the names of images whose regions it
            reads among it, the rows that read it.
    """

    spec: TaskSpec
    split: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    images: dict[str, tuple[ImageHash, list[int]]] = field(default_factory=dict)
    texts: dict[bytes, list[int]] = field(default_factory=dict)
    held_texts: dict[bytes, int] = field(default_factory=dict)
    sources: dict[bytes, list[int]] = field(default_factory=dict)

    @cached_property
    def by_content(self) -> dict[bytes, int]:
        """The first row of each image, by the digest of its bytes."""
        return {h.content: rows[0] for h, rows in reversed(list(self.images.values()))}

    @cached_property
    def index(self) -> tuple[ImageIndex, list[int]]:
        """The images to look near ones up in, and the first row of each."""
        held = list(self.images.values())
        return ImageIndex([h for h, _ in held]), [rows[0] for _, rows in held]


class FingerprintMaker:
    """Takes the fingerprints of splits; an image that several name is read once.

    Args:
        loader: finds images below the data root.
        progress: is told how far it is.
    """

    def __init__(self, loader: ImageLoader, progress: Callable[[str], None]) -> None:
        self.loader = loader
        self.progress = progress
        self._known: dict[str, ImageHash | None] = {}  # None for one that cannot be read

    @property
    def images(self) -> int:
        """How many images were read."""
        return sum(known is not None for known in self._known.values())

    def take(self, data: TaskData, report: Report) -> Fingerprints:
        """The fingerprints of all rows of a split.

        Args:
            data: the split.
            report: is told of each image that cannot be read.
        """
        spec = data.spec
        reader = _Texts(spec)
        images = read_images(spec)
        fingerprints = Fingerprints(spec, data.split)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(data), _BLOCK):
                block = data.rows(range(start, min(start + _BLOCK, len(data))))
                self.progress(f"{spec.task}: {data.split} {start:,} of {len(data):,} rows compared")
                found = [_images_of(spec, row, images, report) for row in block]
                self._read(found, block, pool, report)
                for row, names in zip(block, found, strict=True):
                    number = len(fingerprints.rows)
                    fingerprints.rows.append((row.where, row.key(spec.data.key_column)))
                    for name in dict.fromkeys(names):
                        known = self._known[name]
                        if known is not None:
                            fingerprints.images.setdefault(name, (known, []))[1].append(number)
                    reader.add(row, number, fingerprints)
                del block, found, row  # not both blocks at once: rows may hold their images
        return fingerprints

    def _read(
        self,
        found: Iterable[Mapping[str, Any]],
        rows: Iterable[Row],
        pool: ThreadPoolExecutor,
        report: Report,
    ) -> None:
        """Read the images of a block that are not known."""
        new: dict[str, tuple[Any, Row]] = {}
        for images, row in zip(found, rows, strict=True):
            for name, value in images.items():
                if name not in self._known:
                    new.setdefault(name, (value, row))
        for name, known in zip(new, pool.map(self._hash, new.values()), strict=True):
            self._known[name] = known if isinstance(known, ImageHash) else None
            if isinstance(known, BadRow):
                report(known)

    def _hash(self, image: tuple[Any, Row]) -> ImageHash | BadRow:
        value, row = image
        try:
            return hash_image(self.loader.content(value, row.where, row.linked), row.where)
        except BadRow as error:
            return error


class _Texts:
    """Reads the texts of a task's rows."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        written = {*spec.fields_of(spec.target), *(score.against for score in spec.score)}
        texts = [name for name, f in spec.fields.items() if f.of_kind.free_text]
        self.written = [name for name in texts if name in written]
        self.read = [name for name in texts if name not in written]
        self.languages = [n for n, f in spec.fields.items() if f.of_kind.names_language]
        self.has_image = any(field.of_kind.is_video for field in spec.fields.values()) or bool(
            read_images(spec)
        )
        self.regions = [n for n, f in spec.fields.items() if f.of_kind.has_features]

    def add(self, row: Row, number: int, fingerprints: Fingerprints) -> None:
        language = row.language or self.spec.data.languages[0]

        def values(names: Iterable[str]) -> list[str]:
            columns = (self.spec.fields[name].column_in(language) for name in names)
            return [t for c in columns for v in _flat(row.columns.get(c)) if (t := normal(v))]

        read, written = values(self.read), values(self.written)
        for text in {*read, *written}:
            if len(text) + 2 * len(_IDEOGRAPH.findall(text)) < LONG:
                continue
            digest = _digest(text)
            fingerprints.texts.setdefault(digest, []).append(number)
            if not (self.has_image or self.regions) or text in written:
                fingerprints.held_texts.setdefault(digest, number)
        if not self.has_image and (read or written):
            shown = values(self.regions)
            said = [language, *values(self.languages), *shown, *(read or written)]
            fingerprints.sources.setdefault(_digest("\0".join(said)), []).append(number)


def normal(text: str) -> str:
    """What of a text must agree: its letters and digits, whatever their case and form."""
    return str(_NOT_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold())).strip()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()


def _flat(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)


def read_images(spec: TaskSpec) -> list[str]:
    """The fields that hold images which the model reads; those that it only writes are answers."""
    read = spec.fields_of(spec.source)
    images = [(name, field) for name, field in spec.fields.items() if field.of_kind.is_image]
    return [name for name, field in images if field.writing == "nothing" or name in read]


def _images_of(spec: TaskSpec, row: Row, names: Iterable[str], report: Report) -> dict[str, Any]:
    """The images of a row by what names each: its path, its place, or its bytes."""
    found: dict[str, Any] = {}
    for name in names:
        column = spec.fields[name].column_in(row.language or spec.data.languages[0])
        held = row.columns.get(column)
        if spec.fields[name].missing == "allow" and is_blank(held):
            continue
        for value in held if isinstance(held, list) else [held]:
            if isinstance(value, str):
                try:
                    value = row.image(value)
                except BadRow as error:
                    report(error)
                    continue
                found[value] = value
            elif isinstance(value, Mapping) and value.get("file") is not None:
                found[f"{value['file']}\0{value.get('offset')}"] = value
            elif isinstance(value, Mapping) and value.get("bytes") is None:
                found[str(value.get("path"))] = value
            elif isinstance(value, bytes | Mapping):
                content = value if isinstance(value, bytes) else value["bytes"]
                found[hashlib.blake2b(content, digest_size=16).hexdigest()] = content
    return found
