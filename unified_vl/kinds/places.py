"""What kinds of places in an image share: boxes, points, polygons and others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from unified_vl.geometry import Shape, to_pixels
from unified_vl.kinds.hooks.cells import Cell, Size, is_number
from unified_vl.kinds.hooks.drafts import Draft, Recognised
from unified_vl.kinds.hooks.frames import Frame, short, upright
from unified_vl.kinds.hooks.motion import Motion, Moved
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.kind import AnyField, Kind, Reading, RowType, Rules
from unified_vl.parts import KeyPath, Part, Problem, one_of

Orientation = Literal["upright", "stored"]
Units = Literal["pixels", "relative"]
ColumnName = Annotated[str, Field(min_length=1)]


_SPACES = str.maketrans("[](),;", "      ")


class PlaceKeys(Part):
    """What a field says of places in an image."""

    columns: tuple[ColumnName, ...] | None = Field(
        default=None,
        description="A single box or point only, in place of `column`: the columns of its numbers.",
        examples=[["xmin", "ymin", "xmax", "ymax"]],
    )
    units: Units | None = Field(
        default=None,
        description="Boxes, points and polygons only, and mandatory there: pixels of the image, "
        "or fractions of it.",
        examples=["pixels"],
    )
    size: tuple[ColumnName, ColumnName] | None = Field(
        default=None,
        description="Shapes in pixels only: the columns of the width and the height of the image "
        "that they were drawn on, where the images on disk may be larger or smaller.",
        examples=[["width", "height"]],
    )
    orientation: Orientation | None = Field(
        default=None,
        description="Shapes only: whether they are places of the image as EXIF turns it (upright), "
        "or of the pixels as its file stores them (upright unless given).",
        examples=["stored"],
    )
    clip: bool | None = Field(
        default=None,
        description="Shapes only: whether what lies a pixel or more beyond the edge of the image "
        "is cut off there; otherwise it is an error.",
        examples=[True],
    )
    empty: bool | None = Field(
        default=None,
        description="Lists of shapes only: whether a row may have none, and an answer be empty.",
        examples=[True],
    )


class PlaceKind(Kind):
    """A place in an image: x y x y ..., written in location tokens.

    Attributes:
        rows: the key of its values in rows of predictions, such as `points`.
        value: the class of its values, made of as many numbers as it has.
        count: how many numbers say where it is, of an open one at least.
        is_open: whether there may be more of them, two by two.
        rising: whether each number of the second half is above its own of the first, as the
            second corner of a box is; answers obey it.
        metrics: that a draft scores one with, the first primary.
        tokens: room that a draft gives one.
        labelled: which of `allows` is the grammar where each comes behind a label.
        may_be_flat: whether it may be smaller than a location token tells apart.
        in_image: whether it is measured in an image at all, and not in a video's time.
        turns: whether it can be turned with its image; an upright rectangle is none then.
    """

    rows: ClassVar[str]
    value: ClassVar[type[Shape]]
    count: ClassVar[int]
    is_open: ClassVar[bool] = False
    rising: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ()
    tokens: ClassVar[int] = 0
    labelled: ClassVar[str | None] = None
    may_be_flat: ClassVar[bool] = False
    in_image: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    writing = "places"
    page_hint = "numbers, with commas between them"
    is_list = True
    reads: ClassVar[tuple[str, ...]] = ("units", "size", "orientation", "clip", "empty")
    mandatory = MappingProxyType({"units": one_of(("pixels", "relative"))})

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, PlaceKeys)
        expected = "a field of kind 'image' beside it"
        if field.units == "pixels" and not rules.has_image:
            yield Problem((*place, "units"), "pixels of what?", expected=expected)
        if field.size is not None and field.units != "pixels":
            yield Problem((*place, "size"), "says nothing of fractions", expected="units: pixels")
        if field.orientation is not None and not rules.has_image:
            yield Problem((*place, "orientation"), "of what image?", expected=expected)
        if field.empty is not None and not field.many:
            yield Problem((*place, "empty"), "one value is never none", expected="many: true")

    @property
    def json_schema(self) -> dict[str, Any]:
        most = {} if self.is_open else {"maxItems": self.count}
        return {"type": "array", "items": {"type": "number"}, "minItems": self.count, **most}

    @property
    def plural(self) -> str:
        return self.rows

    def is_whole(self, count: int) -> bool:
        """Whether so many numbers are one place of this kind."""
        return count == self.count or (self.is_open and count > self.count and count % 2 == 0)

    def made(self, xy: Sequence[float]) -> Shape:
        """The value at fractions x, y, x, y, ... of the image, as many as it has."""
        return self.value(*xy)

    def placed(self, values: Sequence[float], frame: Frame, field: Any) -> tuple[Shape, float]:
        """The value that the numbers of a data file mean, and how many pixels of it lay beyond the
        edge.

        Args:
            values: the numbers.
            frame: what they are measured in.
            field: what the spec says of them.

        Raises:
            ValueError: for another count, numbers that are not finite, or a place outside the
                image by a pixel or more.
        """
        if not self.is_whole(len(values)) or not all(math.isfinite(float(v)) for v in values):
            raise ValueError(f"a {self.name} is {self.counted}, not {short(values)}")
        xy, beyond = frame.inside([float(v) for v in values], f"{self.name} {short(values)}")
        return self.made(upright(xy, frame.orientation)), beyond

    def moved_along(self, value: Any, motion: Motion) -> Moved | None:
        """Where a value is once its image was moved; None where it is no longer in the image.

        A kind that does not say otherwise stays whole, or is lost: none of its places may be cut.
        """
        xy = motion.of(value.coordinates)
        if not all(0.0 <= number <= 1.0 for number in xy):
            return None
        return Moved(self.relabelled(self.made(xy), value), 1.0)

    def relabelled(self, value: Any, other: Any) -> Any:
        """A value with the label of another, where that has one."""
        label = self.label_of(other)
        return value if label is None else replace(value, label=label)

    def label_of(self, value: Any) -> str | None:
        """What is in a place, where its value says so."""
        return None

    def outline(self, xy: Sequence[float]) -> tuple[str, dict[str, Any]]:
        """The SVG element at x, y, x, y, ... and its attributes."""
        return "polygon", {"points": " ".join(map(str, xy))}

    def row_types(self) -> Mapping[str, RowType]:
        return {self.rows: "numbers"}

    def row(
        self, text: str, segments: Sequence[Any], size: Size, fields: Sequence[Any]
    ) -> dict[str, list[Any]]:
        return {self.rows: [to_pixels(s, *size) for s in segments if isinstance(s, self.value)]}

    def said(self, row: Mapping[str, Any]) -> Iterator[tuple[str | None, Sequence[float]]]:
        for xy in row.get(self.rows) or ():
            yield None, xy

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        for number, xy in enumerate(row.get(self.rows) or ()):
            pen.line(number, xy)

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        """Lists of numbers, as `is_drafted` says; between 0 and 1 they are fractions."""
        if not all(isinstance(xy, list) and xy and all(map(is_number, xy)) for xy in values):
            return None
        if not self.is_drafted(column, {len(xy) for xy in values}):
            return None
        relative = all(0 <= number <= 1 for xy in values for number in xy)
        return Recognised({"units": ("relative" if relative else "pixels",)})

    def is_drafted(self, column: str, counts: set[int]) -> bool:
        """Whether lists of numbers in a column look like values of it.

        Args:
            column: its name, in lower case.
            counts: how many numbers its lists have.
        """
        return False

    def draft(self, name: str, many: bool, labelled: bool) -> Draft | None:
        if not self.metrics:
            return None
        several = 16 if many else 1
        each = (self.tokens or self.count) + (8 if labelled else 0)
        allow = self.labelled if labelled and self.labelled else self.name
        request = "What is where?" if labelled else f"Where is each {self.name}?"
        return Draft(self.metrics, allow, each * several + 1, request)

    def typed(self, text: str) -> list[float]:
        """Numbers, with or without brackets and commas."""
        try:
            return [float(number) for number in text.translate(_SPACES).split()]
        except ValueError as error:
            raise ValueError(f"the numbers of a {self.name}") from error

    @property
    def counted(self) -> str:
        """How many numbers it has, in words."""
        return f"{ {2: 'two', 4: 'four'}.get(self.count, self.count) } finite numbers"

    @property
    def wanted(self) -> str:
        """What a row must have, in words."""
        return f"the numbers of a {self.name}"

    def read(self, cell: Cell, reading: Reading) -> tuple[Shape, ...]:
        return reading.places(cell)
