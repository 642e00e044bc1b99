"""What metrics compare: the answers of a task, and what of each prediction they look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from unified_vl.geometry import Box, Point, Polygon


@dataclass(frozen=True, slots=True)
class Answers:
    """What was predicted, what was right, and in which language, row by row.

    Attributes:
        predictions: what the metric's `answer` makes of each prediction; a tuple of texts where
            another task read several, of which the best counts; for a metric that `ranks` all
            choices of the row as they are written, the best first.
        references: the right answers of each row, at least one.
        languages: the language tag of each row, or None.
        threshold: the overlap from which a box counts as found, or the distance up to which
            a point does.
        keys: what each row is called.
        implied: the keys of the rows whose answers follow from each row's.
        groups: what is the same for rows of a group.
        top: how many of the nearest count, or of a row's texts.
        positive: the class that is looked for.
        partners: whether the row of the same key of another task is right; None without one.
        relevances: by what each choice of a row is written as, how fitting people find it; None
            where they were not asked.
        columns: by other keys of the score that name a column, what each row has there.
        images: what tells the image of each row from others, and its width and height in pixels.
    """

    predictions: Sequence[Any]
    references: Sequence[Sequence[Any]]
    languages: Sequence[str | None]
    threshold: float = 0.5
    keys: Sequence[str] = ()
    implied: Sequence[Sequence[str]] = ()
    groups: Sequence[str] = ()
    top: int = 1
    positive: str = ""
    partners: Sequence[bool | None] = ()
    relevances: Sequence[Mapping[str, float] | None] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    images: Sequence[tuple[str, tuple[int, int]]] = ()

    def __len__(self) -> int:
        return len(self.predictions)

    def of(self, rows: Sequence[int]) -> Answers:
        """Some of the rows."""
        return Answers(
            [self.predictions[i] for i in rows],
            [self.references[i] for i in rows],
            [self.languages[i] for i in rows],
            self.threshold,
            [self.keys[i] for i in rows] if self.keys else (),
            [self.implied[i] for i in rows] if self.implied else (),
            [self.groups[i] for i in rows] if self.groups else (),
            self.top,
            self.positive,
            [self.partners[i] for i in rows] if self.partners else (),
            [self.relevances[i] for i in rows] if self.relevances else (),
            {key: [values[i] for i in rows] for key, values in self.columns.items()},
            [self.images[i] for i in rows] if self.images else (),
        )


class Predicted(Protocol):
    """What metrics may know of a prediction (`inference.prediction.Prediction` is one)."""

    @property
    def text(self) -> str | None: ...

    @property
    def segments(self) -> Sequence[Any]: ...

    @property
    def images(self) -> Sequence[Any]: ...

    @property
    def score(self) -> float | None: ...


def text_of(prediction: Predicted) -> str:
    """The text of an answer."""
    return prediction.text or ""


def first_box(prediction: Predicted) -> Box | None:
    """The first box of an answer, where it has one."""
    return next((each for each in prediction.segments if isinstance(each, Box)), None)


def first_point(prediction: Predicted) -> Point | None:
    """The first point of an answer, where it has one."""
    return next((each for each in prediction.segments if isinstance(each, Point)), None)


def polygons(prediction: Predicted) -> list[Polygon]:
    """All outlines of an answer."""
    return [each for each in prediction.segments if isinstance(each, Polygon)]
