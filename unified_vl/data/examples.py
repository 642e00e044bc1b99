"""Rows to examples: the typed pieces that a task's templates ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from unified_vl.codecs.segments import Segment, Shape, Tag, Text
from unified_vl.data.images import ImageLoader
from unified_vl.data.sources import Row
from unified_vl.data.values import Value, ValueReader, pieces_of, unlisted
from unified_vl.specs.languages import language_name
from unified_vl.specs.task import TaskSpec, TaskTags
from unified_vl.specs.template import Slot, Template, fill


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
    references: Mapping[str, tuple[str | Shape, ...]]
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
        self._values = ValueReader(spec, images)
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
        values, size = self._values.read(row, names, plan.columns, plan.language)
        chosen = self._choose(values, seed)
        target = _fill(plan.target, chosen) if with_target else ()
        references = {name: values[name] for name in self._scored} if with_target else {}
        return Example(
            task=self.spec.task,
            language=plan.language,
            key=row.key(self.spec.data.key_column),
            source=_fill(plan.source, chosen),
            target=target,
            references=references,  # type: ignore[arg-type]  # rules: texts or shapes
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
            raise unlisted(self.spec, row, column, language)
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

    def _groups(self, row: Row, language: str) -> dict[str, str]:
        return {
            name: language if name == "language" else str(row.columns.get(name))
            for name in self.spec.report_by
            if name == "language" or name in row.columns
        }


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
        parts = pieces_of(values[piece.name]) if isinstance(piece, Slot) else (piece,)
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
