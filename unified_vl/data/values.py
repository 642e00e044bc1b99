"""The columns of a row to typed values: what each field of a spec says that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Image, ImageCodes, Segment, Tag
from unified_vl.data.cells import (
    Cell,
    Size,
    chosen,
    items_of,
    numbers_of,
    said,
    texts_of,
    whole_number,
)
from unified_vl.data.image_codes import ImageCodeCache
from unified_vl.data.images import ImageLoader
from unified_vl.data.row import Row
from unified_vl.data.selection import is_blank
from unified_vl.data.shapes import ShapeReader
from unified_vl.errors import BadRow, nearest
from unified_vl.geometry import Box, Point, Polygon
from unified_vl.languages.tags import nearest_tag
from unified_vl.specs.checks import named_slots
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
BETWEEN_POLYGONS = ";"


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
        self._may_be_empty = _only_joined(spec) | _of_none(spec)
        self._needs_size = {
            name: field.kind == "image" or field.writing == "places"
            for name, field in spec.fields.items()
        }
        self.shapes = ShapeReader(spec)

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

        A field that may be empty has none in a row without it.

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
        image: LoadedImage | None = None
        main = self.spec.image_field
        if not sized and not any(self._needs_size[n] for n in names):
            main = None
        for name in (main, *names) if main is not None else names:
            if name in values:
                continue
            allowed = self.spec.fields[name].missing == "allow"
            if allowed and is_blank(row.columns.get(columns[name])):
                values[name] = ()
                continue
            cell = self._cell(row, name, columns)
            values[name] = self._value(cell, columns, language, image)
            if name == main:
                first = values[name][0]
                assert isinstance(first, (Image, ImageCodes)) and first.image is not None
                image = first.image
        return values, None if image is None else (image.width, image.height)

    def _cell(self, row: Row, name: str, columns: Mapping[str, str]) -> Cell:
        column = columns[name]
        value = row.columns.get(column)
        if value is None:
            close = None if column in row.columns else nearest(column, row.columns)
            raise BadRow("is missing", file=row.where, field=column, nearest=close)
        return Cell(row, name, column, self.spec.fields[name], value, name in self._may_be_empty)

    def _value(
        self, cell: Cell, columns: Mapping[str, str], language: str, image: LoadedImage | None
    ) -> Value:
        match cell.field.kind:
            case "text":
                return texts_of(cell)
            case "number":
                return numbers_of(cell)
            case "label":
                return self._labels(cell, language)
            case "choice":
                options = texts_of(self._cell(cell.row, str(cell.field.of), columns))
                return (chosen(cell, options),)
            case "image" if cell.field.as_ != "codes":
                return tuple(Image(self._image(cell, self.images, x)) for x in items_of(cell))
            case "image" | "image_codes":
                return tuple(self._in_codes(cell, item) for item in items_of(cell))
            case "box":
                return self._boxes(cell, columns, language, image)
            case "point" | "polygon":
                return self.shapes.places(cell, image)
            case _:
                return self._language(cell)

    def _image(self, cell: Cell, loader: ImageLoader, value: object) -> LoadedImage:
        row = cell.row
        try:
            allowed = self.spec.data.truncated_images == "allow"
            return loader.load(row.image(value), row.where, row.linked, truncated=allowed)
        except BadRow as error:
            error.field = cell.column
            raise

    def _in_codes(self, cell: Cell, value: object) -> ImageCodes:
        """An image in codes: of its pixels, or those that the row has."""
        if isinstance(value, (list, tuple)) and cell.field.kind == "image_codes":
            return self._given_codes(cell, value)
        image = self._image(cell, self._code_loader, value)
        if self._code_images is None:
            return ImageCodes((), 0, image)
        codes_hw = self._codes.codes(image.pixels_HWC)
        return ImageCodes(tuple(codes_hw.reshape(-1).tolist()), codes_hw.shape[1], image)

    def _given_codes(self, cell: Cell, values: Sequence[object]) -> ImageCodes:
        images = self._code_images
        if images is None:
            return ImageCodes((), 0)
        count = images.codec.codes
        codes = [whole_number(value) for value in values]
        known = [code for code in codes if code is not None and 0 <= code < count]
        if len(known) != len(codes) or len(known) != images.places:
            expected = f"{images.places} whole numbers from 0 to {count - 1}"
            raise cell.bad(f"found {said(values)}", expected)
        grid_1hw = np.array(known, dtype=np.int64).reshape(1, *images.grid)
        pixels_HWC = images.codec.decode(grid_1hw)[0]
        height, width = images.size
        return ImageCodes(tuple(known), images.grid[1], LoadedImage(pixels_HWC, width, height))

    def _language(self, cell: Cell) -> tuple[Tag, ...]:
        tag = self.spec.data.tag_of(cell.value) if isinstance(cell.value, str) else None
        if tag is None:
            raise unlisted(self.spec, cell.row, cell.column, cell.value)
        return (Tag(f"language:{tag}"),)

    def _labels(self, cell: Cell, language: str) -> tuple[str, ...]:
        """Names of classes, from their numbers or as they are."""
        names = self.spec.class_names(cell.name, language)
        first = cell.field.first or 0
        found = []
        for item in items_of(cell):
            number = whole_number(item)
            if number is not None and first <= number < first + len(names):
                found.append(names[number - first])
            elif isinstance(item, str) and item.strip() in names:
                found.append(item.strip())
            else:
                expected = f"{first} to {first + len(names) - 1}, or a name of a class"
                close = nearest(str(item), names) if isinstance(item, str) else None
                raise cell.bad(f"found {said(item)}", expected, close)
        return tuple(found)

    def _boxes(
        self, cell: Cell, columns: Mapping[str, str], language: str, image: LoadedImage | None
    ) -> tuple[Box, ...]:
        boxes = self.shapes.boxes(cell, image)
        if cell.field.labels is None:
            return boxes
        beside = self._cell(cell.row, cell.field.labels, columns)
        labels = self._value(beside, columns, language, image) if boxes or beside.value else ()
        if len(labels) != len(boxes):
            raise beside.bad(f"holds {len(labels)} labels for {len(boxes)} boxes")
        return tuple(replace(b, label=str(n)) for b, n in zip(boxes, labels, strict=True))


def _only_joined(spec: TaskSpec) -> frozenset[str]:
    """Fields that are read within joins alone, which may be of nothing: a dialogue's first turn."""
    shots = () if spec.shot is None else slots(spec.shot)
    direct = {*slots(spec.source), *slots(spec.target), *shots}
    joined = {name for join in spec.example.join.values() for name in named_slots(join.each)}
    return frozenset(joined - direct)


def _of_none(spec: TaskSpec) -> frozenset[str]:
    """Lists of shapes that may be of none, and those of their labels."""
    shapes = [(name, field) for name, field in spec.fields.items() if field.empty]
    return frozenset(n for name, field in shapes for n in (name, field.labels) if n is not None)


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
        expected="a tag of it, or a name in data.language_names",
        nearest=nearest_tag(str(language), spec.data.languages),
    )
