"""What kinds of places in an image share: boxes, points, polygons and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unified_vl.kinds.kind import AnyField, Kind, Rules
from unified_vl.parts import KeyPath, Part, Problem, one_of

Orientation = Literal["upright", "stored"]
Units = Literal["pixels", "relative"]
ColumnName = Annotated[str, Field(min_length=1)]


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
    """A place in an image, written in location tokens."""

    writing = "places"
    reads: ClassVar[tuple[str, ...]] = ("units", "size", "orientation", "clip", "empty")
    mandatory = {"units": one_of(("pixels", "relative"))}  # noqa: RUF012

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
