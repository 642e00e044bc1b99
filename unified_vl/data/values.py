"""The columns of a row to typed values: what each field of a spec says that they mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Box, Image, ImageCodes, Point, Polygon, Segment, Tag
from unified_vl.codecs.shapes import box_from_row, points_from_row
from unified_vl.data.image_codes import ImageCodeCache
from unified_vl.data.images import ImageLoader
from unified_vl.data.sources import Row
from unified_vl.errors import BadRow, nearest
from unified_vl.specs.checks import named_slots
from unified_vl.specs.fields import SHAPES, FieldSpec, ShapeKind
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import slots

Value = (
    tuple[str, ...]
    | tuple[Box, ...]
    | tuple[Point | Polygon, ...]
    | tuple[Image, ...]
    | tuple[ImageCodes, ...]
    | tuple[Tag, ...]
)
Size = tuple[int, int]  # (width, height) in pixels of the user's image
BETWEEN_POLYGONS = ";"
SIZED = ("image", *SHAPES)  # kinds that are read with the size of the image


class ValueReader:
    """Reads the fields of a task's rows.

    Args:
        spec: the task.
        images: reads its images.
        code_images: makes codes of images; without, images in codes have none.
        code_cache: where these are kept; None keeps none.
    """

    def __init__(
        self,
        spec: TaskSpec,
        images: ImageLoader,
        code_images: CodeImages | None = None,
        code_cache: Path | None = None,
    ) -> None:
        self.spec = spec
        self.images = images
        self._code_images = code_images
        self._code_loader = images
        if code_images is not None:
            self._code_loader = ImageLoader(images.root, code_images.size, holes=True)
            self._codes = ImageCodeCache(code_images.codec, code_cache)
        self._may_be_empty = _only_joined(spec)

    def read(
        self,
        row: Row,
        names: Iterable[str],
        columns: Mapping[str, str],
        language: str,
        *,
        sized: bool = True,
    ) -> tuple[dict[str, Value], Size | None]:
        """All values of each field, and the size of the first image (read first: shapes need it).

        Args:
            row: the row.
            names: the fields to read.
            columns: the column of each field.
            language: of the row; names of classes may differ by it.
            sized: whether the first image is read although no name asks for it.

        Raises:
            BadRow: for a value that is missing, empty or not of its kind.
        """
        values: dict[str, Value] = {}
        size: Size | None = None
        main = self.spec.image_field
        if not sized and not any(self.spec.fields[n].kind in SIZED for n in names):
            main = None
        for name in (main, *names) if main is not None else names:
            if name in values:
                continue
            cell = self._cell(row, name, columns)
            values[name] = self._value(cell, columns, language, size)
            if name == main:
                first = values[name][0]
                assert isinstance(first, (Image, ImageCodes)) and first.image is not None
                size = (first.image.width, first.image.height)
        return values, size

    def _cell(self, row: Row, name: str, columns: Mapping[str, str]) -> _Cell:
        column = columns[name]
        value = row.columns.get(column)
        if value is None:
            close = None if column in row.columns else nearest(column, row.columns)
            raise BadRow("is missing", file=row.where, field=column, nearest=close)
        return _Cell(row, name, column, self.spec.fields[name], value, name in self._may_be_empty)

    def _value(
        self, cell: _Cell, columns: Mapping[str, str], language: str, size: Size | None
    ) -> Value:
        match cell.field.kind:
            case "text":
                return _texts(cell)
            case "number":
                return _numbers(cell)
            case "label":
                return self._labels(cell, language)
            case "choice":
                options = _texts(self._cell(cell.row, str(cell.field.of), columns))
                return (_chosen(cell, options),)
            case "image" if cell.field.as_ != "codes":
                return tuple(Image(self._image(cell, self.images, x)) for x in _items(cell))
            case "image" | "image_codes":
                return tuple(self._in_codes(cell, item) for item in _items(cell))
            case "box":
                return self._boxes(cell, columns, language, size)
            case "point" | "polygon":
                return _places(cell, size)
            case "language":
                return self._language(cell)

    def _image(self, cell: _Cell, loader: ImageLoader, value: object) -> LoadedImage:
        row = cell.row
        if row.images and isinstance(value, str):
            value = f"{row.images}/{value}"
        try:
            return loader.load(value, row.where)
        except BadRow as error:
            error.field = cell.column
            raise

    def _in_codes(self, cell: _Cell, value: object) -> ImageCodes:
        """An image in codes: of its pixels, or those that the row has."""
        if isinstance(value, (list, tuple)) and cell.field.kind == "image_codes":
            return self._given_codes(cell, value)
        image = self._image(cell, self._code_loader, value)
        if self._code_images is None:
            return ImageCodes((), 0, image)
        codes_hw = self._codes.codes(image.pixels_HWC)
        return ImageCodes(tuple(codes_hw.reshape(-1).tolist()), codes_hw.shape[1], image)

    def _given_codes(self, cell: _Cell, values: Sequence[object]) -> ImageCodes:
        images = self._code_images
        if images is None:
            return ImageCodes((), 0)
        count = images.codec.codes
        codes = [_whole(value) for value in values]
        known = [code for code in codes if code is not None and 0 <= code < count]
        if len(known) != len(codes) or len(known) != images.places:
            expected = f"{images.places} whole numbers from 0 to {count - 1}"
            raise cell.bad(f"found {_say(values)}", expected)
        grid_1hw = np.array(known, dtype=np.int64).reshape(1, *images.grid)
        pixels_HWC = images.codec.decode(grid_1hw)[0]
        height, width = images.size
        return ImageCodes(tuple(known), images.grid[1], LoadedImage(pixels_HWC, width, height))

    def _language(self, cell: _Cell) -> tuple[Tag, ...]:
        if cell.value not in self.spec.data.languages:
            raise unlisted(self.spec, cell.row, cell.column, cell.value)
        return (Tag(f"language:{cell.value}"),)

    def _labels(self, cell: _Cell, language: str) -> tuple[str, ...]:
        """Names of classes, from their numbers or as they are."""
        names = self.spec.class_names(cell.name, language)
        first = cell.field.first or 0
        found = []
        for item in _items(cell):
            number = _whole(item)
            if number is not None and first <= number < first + len(names):
                found.append(names[number - first])
            elif isinstance(item, str) and item.strip() in names:
                found.append(item.strip())
            else:
                expected = f"{first} to {first + len(names) - 1}, or a name of a class"
                close = nearest(str(item), names) if isinstance(item, str) else None
                raise cell.bad(f"found {_say(item)}", expected, close)
        return tuple(found)

    def _boxes(
        self, cell: _Cell, columns: Mapping[str, str], language: str, size: Size | None
    ) -> tuple[Box, ...]:
        width, height = size or (1, 1)
        field = cell.field
        assert field.layout is not None and field.units is not None
        boxes = []
        for item in _items(cell):
            numbers = _list_of_numbers(item)
            if numbers is None:
                raise cell.bad(f"found {_say(item)}", "a box of four numbers")
            try:
                boxes.append(box_from_row(numbers, field.layout, field.units, width, height))
            except ValueError as error:
                raise cell.bad(str(error)) from error
        if field.labels is None:
            return tuple(boxes)
        beside = self._cell(cell.row, field.labels, columns)
        labels = self._value(beside, columns, language, size)
        if len(labels) != len(boxes):
            raise beside.bad(f"holds {len(labels)} labels for {len(boxes)} boxes")
        return tuple(replace(b, label=str(n)) for b, n in zip(boxes, labels, strict=True))


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value of a row with all that a message about it says."""

    row: Row
    name: str
    column: str
    field: FieldSpec
    value: object
    may_be_empty: bool

    def bad(self, message: str, expected: str | None = None, nearest: str | None = None) -> BadRow:
        return BadRow(
            message, file=self.row.where, field=self.column, expected=expected, nearest=nearest
        )


def _only_joined(spec: TaskSpec) -> frozenset[str]:
    """Fields that are read within joins alone, which may be of nothing: a dialogue's first turn."""
    shots = () if spec.shot is None else slots(spec.shot)
    direct = {*slots(spec.source), *slots(spec.target), *shots}
    joined = {name for join in spec.example.join.values() for name in named_slots(join.each)}
    return frozenset(joined - direct)


def _items(cell: _Cell) -> Sequence[Any]:
    """The values of a field: one, or those of its list."""
    if not cell.field.many:
        return (cell.value,)
    value = _unpacked(cell.value)
    if not isinstance(value, (list, tuple)):
        raise cell.bad(f"found {_say(value)}", "a list, for many: true")
    if not value and not cell.may_be_empty:
        raise cell.bad("is an empty list", "at least one value")
    return value


def _texts(cell: _Cell) -> tuple[str, ...]:
    texts = []
    for item in _items(cell):
        if not isinstance(item, str) and not _is_number(item):
            raise cell.bad(f"found {_say(item)}", "text")
        text = str(item).strip()
        if not text:
            raise cell.bad("is empty", "text")
        texts.append(text)
    return tuple(texts)


def _numbers(cell: _Cell) -> tuple[str, ...]:
    """Numbers as they are written: with the field's digits behind the point."""
    digits = cell.field.decimals or 0
    found = []
    for item in _items(cell):
        try:
            number = float(item) if isinstance(item, str) or _is_number(item) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise cell.bad(f"found {_say(item)}", "a number")
        text = f"{number:.{digits}f}"
        found.append(text.removeprefix("-") if float(text) == 0 else text)
    return tuple(found)


def _chosen(cell: _Cell, options: Sequence[str]) -> str:
    """The letter, the number or the text of a choice."""
    first = cell.field.first or 0
    number = _whole(cell.value)
    if number is None or not first <= number < first + len(options):
        last = first + len(options) - 1
        raise cell.bad(f"found {_say(cell.value)}", f"a number from {first} to {last}")
    place = number - first
    if cell.field.write == "text":
        return options[place]
    return str(place + 1) if cell.field.write == "number" else letter(place)


def letter(place: int) -> str:
    """A for 0, B for 1, ..., AA for 26."""
    text = ""
    while place >= 0:
        place, digit = divmod(place, 26)
        text, place = chr(ord("A") + digit) + text, place - 1
    return text


def _places(cell: _Cell, size: Size | None) -> tuple[Point | Polygon, ...]:
    width, height = size or (1, 1)
    field = cell.field
    assert field.units is not None
    kind: ShapeKind = "point" if field.kind == "point" else "polygon"
    found = []
    for item in _items(cell):
        numbers = _list_of_numbers(item)
        if numbers is None:
            raise cell.bad(f"found {_say(item)}", f"the numbers of a {kind}")
        try:
            found.append(points_from_row(numbers, kind, field.units, width, height))
        except ValueError as error:
            raise cell.bad(str(error)) from error
    return tuple(found)


def pieces_of(value: Value) -> Iterator[str | Segment]:
    """What a field's values write into a template: texts, and segments of other kinds.

    A box comes behind its label; polygons have a text between them, or two would be one.
    """
    for number, item in enumerate(value):
        if isinstance(item, Box) and item.label is not None:
            yield f" {item.label} "
        if isinstance(item, Polygon) and number:
            yield BETWEEN_POLYGONS
        yield item


def unlisted(spec: TaskSpec, row: Row, column: str, language: object) -> BadRow:
    """The error for a language that a spec does not list."""
    return BadRow(
        f"the language {language!r} is not among data.languages",
        file=row.where,
        field=column,
        nearest=nearest(str(language), spec.data.languages),
    )


def _list_of_numbers(value: object) -> list[float] | None:
    """The numbers of a list, one pair of brackets less where points are pairs; else None."""
    value = _unpacked(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    flat = [n for item in value for n in (item if isinstance(item, (list, tuple)) else (item,))]
    return flat if all(_is_number(v) for v in flat) else None


def _whole(value: object) -> int | None:
    """A whole number, also as a cell of CSV has it."""
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    return int(value) if isinstance(value, (int, float)) and _is_whole(value) else None


def _is_whole(value: float) -> bool:
    return _is_number(value) and value == int(value)


def _unpacked(value: object) -> object:
    """A list out of a cell of CSV, which holds it as JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _say(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
