"""The columns of a row to typed values: what each field of a spec says that they mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unified_vl.codecs.boxes import box_from_row
from unified_vl.codecs.segments import Box, Image, Tag
from unified_vl.data.images import ImageLoader
from unified_vl.data.sources import Row
from unified_vl.errors import BadRow, nearest
from unified_vl.specs.fields import FieldSpec
from unified_vl.specs.task import TaskSpec

Value = tuple[str, ...] | tuple[Box, ...] | tuple[Image, ...] | tuple[Tag, ...]


class ValueReader:
    """Reads the fields of a task's rows.

    Args:
        spec: the task.
        images: reads its images.
    """

    def __init__(self, spec: TaskSpec, images: ImageLoader) -> None:
        self.spec = spec
        self.images = images

    def read(
        self, row: Row, names: Iterable[str], columns: Mapping[str, str]
    ) -> tuple[dict[str, Value], tuple[int, int] | None]:
        """All values of each field, and the size of the image (read first: boxes need it)."""
        values: dict[str, Value] = {}
        size: tuple[int, int] | None = None
        main = self.spec.image_field
        for name in (main, *names) if main is not None else names:
            if name in values:
                continue
            field, column = self.spec.fields[name], columns[name]
            value = row.columns.get(column)
            if value is None:
                close = None if column in row.columns else nearest(column, row.columns)
                raise BadRow("is missing", file=row.where, field=column, nearest=close)
            match field.kind:
                case "image":
                    values[name] = (self._image(row, column, value),)
                case "text":
                    values[name] = self._texts(row, column, field, value)
                case "box":
                    values[name] = self._boxes(row, column, field, value, size)
                case "language":
                    values[name] = self._language(row, column, value)
            if name == main:
                image = values[name][0]
                assert isinstance(image, Image)
                size = (image.image.width, image.image.height)
        return values, size

    def _image(self, row: Row, column: str, value: object) -> Image:
        if row.images and isinstance(value, str):
            value = f"{row.images}/{value}"
        try:
            return Image(self.images.load(value, row.where))
        except BadRow as error:
            error.field = column
            raise

    def _language(self, row: Row, column: str, value: object) -> tuple[Tag, ...]:
        if value not in self.spec.data.languages:
            raise unlisted(self.spec, row, column, value)
        return (Tag(f"language:{value}"),)

    def _texts(self, row: Row, column: str, field: FieldSpec, value: object) -> tuple[str, ...]:
        texts = []
        for item in self._items(row, column, field, value):
            if not isinstance(item, str) and not _is_number(item):
                raise _bad(row, column, f"found {_say(item)}", "text")
            text = str(item).strip()
            if not text:
                raise _bad(row, column, "is empty", "text")
            texts.append(text)
        return tuple(texts)

    def _boxes(
        self,
        row: Row,
        column: str,
        field: FieldSpec,
        value: object,
        size: tuple[int, int] | None,
    ) -> tuple[Box, ...]:
        width, height = size or (1, 1)
        assert field.layout is not None and field.units is not None
        boxes = []
        for item in self._items(row, column, field, _unpacked(value)):
            if not isinstance(item, Sequence) or not all(_is_number(v) for v in item):
                raise _bad(row, column, f"found {_say(item)}", "a box of four numbers")
            try:
                boxes.append(box_from_row(item, field.layout, field.units, width, height))
            except ValueError as error:
                raise _bad(row, column, str(error)) from error
        return tuple(boxes)

    def _items(self, row: Row, column: str, field: FieldSpec, value: object) -> Sequence[Any]:
        """The values of a field: one, or those of its list."""
        if not field.many:
            return (value,)
        value = _unpacked(value)
        if not isinstance(value, (list, tuple)):
            raise _bad(row, column, f"found {_say(value)}", "a list, for many: true")
        if not value:
            raise _bad(row, column, "is an empty list", "at least one value")
        return value


def unlisted(spec: TaskSpec, row: Row, column: str, language: object) -> BadRow:
    """The error for a language that a spec does not list."""
    return BadRow(
        f"the language {language!r} is not among data.languages",
        file=row.where,
        field=column,
        nearest=nearest(str(language), spec.data.languages),
    )


def _bad(row: Row, column: str, message: str, expected: str | None = None) -> BadRow:
    return BadRow(message, file=row.where, field=column, expected=expected)


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
