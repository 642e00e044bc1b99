"""Answers of other models, read by the grammar of the task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unified_vl.codecs.segments import Segment, Text
from unified_vl.data.example import Example
from unified_vl.inference.inputs import target_fields
from unified_vl.inference.prediction import FLAGS, Alternative, Exchange, Prediction
from unified_vl.inference.written.other_script import in_other_script
from unified_vl.kinds.places import PlaceKind
from unified_vl.other_models.choices_in_text import ChoiceFinder
from unified_vl.other_models.place_conventions import PlaceConvention, shape_at
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.generate import MIXED

_THOUGHT = re.compile(r"^\s*<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.S)


@dataclass(frozen=True, slots=True)
class Said:
    """What another model gave for a row, as it came.

    Attributes:
        text: what it wrote.
        score: of the answer, where there is one.
        cut: whether the limit of tokens ended it.
        error: why there is no answer.
        ranked: all choices with their scores, the best first, where they were scored.
        asked: the prompt.
        seen: (width, height) in pixels of the first image as it was resized for the model.
    """

    text: str = ""
    score: float | None = None
    cut: bool = False
    error: str | None = None
    ranked: tuple[tuple[str, float], ...] = ()
    asked: str | None = None
    seen: tuple[int, int] | None = None


class AnswerReader:
    """Makes predictions of what other models say about rows of a task.

    An answer that the grammar of the task does not fit is no answer: the prediction keeps its text
    and says why in `error`.

    Args:
        spec: the task, its choices known.
        places: how the model writes places in an image.
    """

    def __init__(self, spec: TaskSpec, places: PlaceConvention) -> None:
        self._spec = spec
        self._places = places
        self._fields = [spec.fields[name] for name in target_fields(spec)]
        self._choice = ChoiceFinder(spec.choices) if spec.generate.choices is not None else None
        kinds = [field.of_kind for field in self._fields if field.writing == "places"]
        self._place = next((kind for kind in kinds if isinstance(kind, PlaceKind)), None)
        self._labelled = any(field.labels is not None for field in self._fields)

    def read(self, said: Said, example: Example) -> Prediction:
        """The prediction of a text, parsed."""
        if said.ranked:
            ranked = [Alternative(text, score) for text, score in said.ranked]
            best = self._made(ranked[0].text, [], example, said, None)
            return replace(best, score=ranked[0].score, alternatives=tuple(ranked))
        if said.error is not None:
            return self._made(said.text, [], example, said, said.error)
        text = _THOUGHT.sub("", said.text).strip()
        size = said.seen if self._places.of_seen and said.seen else example.image_size
        if self._place is not None:
            return self._with_places(self._place, text, size or (1, 1), example, said)
        if self._choice is not None:
            found = self._choice(text)
            error = "it is none of the choices" if found is None else None
            return self._made(text if found is None else found, [], example, said, error)
        for field in self._fields:
            heard = field.of_kind.heard(text, self._spec.answer_form)
            if self._spec.generate.allow in field.of_kind.allows and heard != text:
                error = f"there is no {field.kind} in it" if heard is None else None
                return self._made(text if heard is None else heard, [], example, said, error)
        return self._made(text, [], example, said, None if text else "it is empty")

    def given(self, row: Mapping[str, Any], example: Example) -> Prediction:
        """The prediction of a row of answers that has the values themselves, as `predict` writes
        them; of one with a text alone, that text parsed."""
        kind = self._place
        score = row.get("score")
        said = Said(
            text=str(row.get("prediction") or ""),
            score=float(score) if isinstance(score, int | float) else None,
            error=None if row.get("error") is None else str(row["error"]),
        )
        alternatives = row.get("alternatives")
        if kind is None or said.error is not None or not isinstance(row.get(kind.rows), list):
            found = self.read(said, example)
        else:
            size = example.image_size or (1, 1)
            shapes = [
                shape_at(kind, [v / size[i % 2] for i, v in enumerate(_floats(xy))])
                for xy in row[kind.rows]
            ]
            labels = row.get("labels") if self._labelled else None
            labels = labels if isinstance(labels, list) else [None] * len(shapes)
            segments: list[Segment] = []
            for label, shape in zip(labels, shapes, strict=False):
                if shape is not None:
                    segments += [*([Text(str(label))] if label else []), shape]
            lost = None if segments or not row[kind.rows] else f"it has no {kind.name}"
            found = self._made(said.text, segments, example, said, lost)
        if isinstance(alternatives, list) and alternatives and found.error is None:
            texts = [str(one.get("prediction") or "") for one in alternatives]
            found = replace(found, alternatives=tuple(Alternative(t, 0.0) for t in texts))
        flags: dict[str, Any] = {
            flag: row[flag] is True for flag in FLAGS if row.get(flag) is not None
        }
        return replace(found, **flags, exchange=None)

    def _with_places(
        self, kind: PlaceKind, text: str, size: tuple[int, int], example: Example, said: Said
    ) -> Prediction:
        found = self._places.shapes(text, kind, size)
        if not self._spec.answer_form.many:
            found = found[:1]
        segments: list[Segment] = []
        for label, shape in found:
            segments += [*([Text(label)] if label and self._labelled else []), shape]
        if self._spec.generate.allow == MIXED and not self._labelled:
            segments.insert(0, Text(text))
        none = not found and not (self._spec.answer_form.empty and not text.strip("[] \n"))
        written = " ".join(part.text for part in segments if isinstance(part, Text))
        return self._made(
            text if none else written,
            [] if none else segments,
            example,
            said,
            f"there is no {kind.name} in it" if none else None,
        )

    def _made(
        self,
        text: str,
        segments: Sequence[Segment],
        example: Example,
        said: Said,
        error: str | None,
    ) -> Prediction:
        kinds = {field.kind: field.of_kind for field in self._fields}
        shapes: dict[str, list[Any]] = {}
        parts: tuple[Any, ...] = tuple(segments)
        for name, kind in kinds.items():
            fields = [field for field in self._fields if field.kind == name]
            parts = tuple(kind.answered(parts, fields))
            shapes |= kind.row(text, parts, example.image_size or (1, 1), fields)
        return Prediction(
            key=example.key,
            text=text,
            score=said.score,
            error=error,
            segments=parts or ((Text(text),) if text and self._place is None else ()),
            shapes=shapes,
            cut=said.cut,
            other_script=error is None
            and self._place is None
            and in_other_script(self._spec, text, example, ""),
            exchange=Exchange(said.asked, said.text),
        )


def _floats(values: Any) -> list[float]:
    if not isinstance(values, list | tuple):
        return []
    return [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
