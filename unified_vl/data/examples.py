"""Rows to examples: the typed pieces that a task's templates ask for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from unified_vl.codecs.boxes import box_from_row
from unified_vl.codecs.segments import Box, Image, Segment, Tag, Text
from unified_vl.data.images import ImageLoader
from unified_vl.data.sources import Row
from unified_vl.errors import BadRow, nearest
from unified_vl.specs.languages import language_name
from unified_vl.specs.task import FieldSpec, TaskSpec, TaskTags
from unified_vl.specs.template import Slot, Template, fill

Value = tuple[str, ...] | tuple[Box, ...] | tuple[Image, ...] | tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """What the model reads and writes for one row; segments, no tensors.

    Attributes:
        task: name of the task.
        language: tag of the row's language.
        key: names the row in predictions.
        source: what the model reads.
        target: what it shall write; empty when it was not asked for.
        references: the right answers by scored field; empty without target.
        groups: what the scores are broken down by, as names and values.
        where: `file:row`.
        image_size: (width, height) in pixels of the user's image, where there is one.
    """

    task: str
    language: str
    key: str
    source: tuple[Segment, ...]
    target: tuple[Segment, ...]
    references: Mapping[str, tuple[str, ...] | tuple[Box, ...]]
    groups: Mapping[str, str]
    where: str
    image_size: tuple[int, int] | None


def task_tags(spec: TaskSpec, tags: TaskTags) -> list[str]:
    """Names of the tags that {task} stands for in a spec's templates: one, or none."""
    if tags == "task":
        return [f"task:{spec.task}"]
    return [] if tags == "none" else [f"family:{spec.family}"]


class ExampleBuilder:
    """Turns the rows of a task into examples.

    Args:
        spec: the task.
        images: reads its images.
        tags: what {task} stands for.
    """

    def __init__(self, spec: TaskSpec, images: ImageLoader, tags: TaskTags = "task") -> None:
        self.spec = spec
        self.tags = tags
        self.images = images
        self._plan = cache(self._plan_for)
        self._source_fields = _fields_of(spec, spec.source)
        self._target_fields = _fields_of(spec, spec.target)
        self._scored = tuple(dict.fromkeys(score.against for score in spec.score))

    def build(self, row: Row, *, seed: int | None, with_target: bool = True) -> Example:
        """The example of a row.

        Args:
            row: the row.
            seed: decides what `pick: random` takes; None takes the first, for scoring.
            with_target: whether the row holds the answer too.

        Raises:
            BadRow: for a value that is missing, empty or of the wrong kind, a box
                outside its image, an unknown language, or an image that cannot be read.
        """
        plan = self._plan_of(row)
        names = self._source_fields
        if with_target:
            names = tuple(dict.fromkeys((*names, *self._target_fields, *self._scored)))
        values, size = self._values(row, names, plan.columns)
        chosen = self._choose(values, seed)
        target = _fill(plan.target, chosen) if with_target else ()
        references = {name: values[name] for name in self._scored} if with_target else {}
        return Example(
            task=self.spec.task,
            language=plan.language,
            key=self._key(row),
            source=_fill(plan.source, chosen),
            target=target,
            references=references,  # type: ignore[arg-type]  # rules: scored are texts or boxes
            groups=self._groups(row, plan.language),
            where=row.where,
            image_size=size,
        )

    def _plan_of(self, row: Row) -> _Plan:
        language = row.language
        languages = self.spec.data.languages
        if language is None and len(languages) == 1:
            language = languages[0]
        if language not in languages:
            column = self.spec.data.language_column or "language"
            raise self._unlisted(row, column, language)
        return self._plan(language)

    def _plan_for(self, language: str) -> _Plan:
        columns = {n: fill(f.column, language=language) for n, f in self.spec.fields.items()}
        return _Plan(
            language,
            columns,
            self._in_language(self.spec.source, language),
            self._in_language(self.spec.target, language),
        )

    def _in_language(self, template: Template, language: str) -> tuple[str | Slot | Tag, ...]:
        """A template with all but its fields filled in."""
        name = language_name(language)
        pieces: list[str | Slot | Tag] = []
        for piece in template:
            if isinstance(piece, str) or piece.name in self.spec.fields:
                pieces.append(piece)
            elif piece.name in self.spec.wording:
                text = self.spec.wording_in(piece.name, language)
                pieces.append(fill(text, language_name=name))
            elif piece.name == "language_name":
                pieces.append(name)
            elif piece.name == "language":
                pieces.append(Tag(f"language:{language}"))
            else:
                pieces += [Tag(name) for name in task_tags(self.spec, self.tags)]
        return tuple(pieces)

    def _values(
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
        try:
            return Image(self.images.load(value, row.where))
        except BadRow as error:
            error.field = column
            raise

    def _language(self, row: Row, column: str, value: object) -> tuple[Tag, ...]:
        if value not in self.spec.data.languages:
            raise self._unlisted(row, column, value)
        return (Tag(f"language:{value}"),)

    def _unlisted(self, row: Row, column: str, language: object) -> BadRow:
        return BadRow(
            f"the language {language!r} is not among data.languages",
            file=row.where,
            field=column,
            nearest=nearest(str(language), self.spec.data.languages),
        )

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

    def _choose(self, values: Mapping[str, Value], seed: int | None) -> Mapping[str, Value]:
        pick = self.spec.example.pick
        if not pick:
            return values
        chosen = dict(values)
        random = None if seed is None else Random(seed)
        for name, how in pick.items():
            if name in values:
                several = values[name]
                first = random is None or how == "first"
                number = 0 if first or random is None else random.randrange(len(several))
                chosen[name] = several[number : number + 1]
        return chosen

    def _key(self, row: Row) -> str:
        column = self.spec.data.key_column
        key = None if column is None else row.columns.get(column)
        return row.where if key is None else str(key)

    def _groups(self, row: Row, language: str) -> dict[str, str]:
        return {
            name: language if name == "language" else str(row.columns.get(name))
            for name in self.spec.report_by
            if name == "language" or name in row.columns
        }


def _bad(row: Row, column: str, message: str, expected: str | None = None) -> BadRow:
    return BadRow(message, file=row.where, field=column, expected=expected)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of a task is the same for every row of a language."""

    language: str
    columns: Mapping[str, str]
    source: tuple[str | Slot | Tag, ...]
    target: tuple[str | Slot | Tag, ...]


def _fields_of(spec: TaskSpec, template: Template) -> tuple[str, ...]:
    names = (piece.name for piece in template if isinstance(piece, Slot))
    return tuple(dict.fromkeys(name for name in names if name in spec.fields))


def _fill(plan: tuple[str | Slot | Tag, ...], values: Mapping[str, Value]) -> tuple[Segment, ...]:
    """The segments of a template: neighbouring texts are one, stripped at its ends."""
    segments: list[Segment] = []
    text = ""
    for piece in plan:
        parts = values[piece.name] if isinstance(piece, Slot) else (piece,)
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            if text and (stripped := text.strip()):
                segments.append(Text(stripped))
            text = ""
            segments.append(part)
    if text and (stripped := text.strip()):
        segments.append(Text(stripped))
    return tuple(segments)


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
