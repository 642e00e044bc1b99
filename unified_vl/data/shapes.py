"""Places of rows, measured in the image that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unified_vl.codecs.images import LoadedImage
from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.cells import Cell, items_of, list_of_numbers, said
from unified_vl.kinds.hooks.frames import TURNED, Frame
from unified_vl.kinds.registry import place_kind
from unified_vl.readers.registry import READERS
from unified_vl.specs.task import TaskSpec

STORED = "orientation: stored of the field"
OR_EMPTY = ", or empty: true of the field"
UPRIGHT = "no orientation: stored of the field"


@dataclass(slots=True)
class Noted:
    """What was found of a field's shapes that is right by the spec, and may be meant otherwise.

    Attributes:
        field: the field's name.
        what: of it.
        where: the first row.
        count: how many.
    """

    field: str
    what: str
    where: str
    count: int = 1


class ShapeReader:
    """Reads the shapes of a task's rows.

    Attributes:
        notes: what was cut off, what the sizes of images and EXIF say against the spec.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._stated = READERS[spec.data.reader].stated_size
        self.notes: dict[tuple[str, str], Noted] = {}

    def read(self, cell: Cell, image: LoadedImage | None) -> tuple[Shape, ...]:
        """The places of a field, without their labels.

        Raises:
            BadRow: for what is none, or lies outside the image.
        """
        kind = place_kind(cell.field.kind)
        frame = self._frame(cell, image)
        found = []
        for item in items_of(cell, OR_EMPTY):
            numbers = list_of_numbers(item)
            if numbers is None:
                raise cell.bad(f"found {said(item)}", kind.wanted)
            try:
                place, beyond = kind.placed(numbers, frame, cell.field)
            except ValueError as error:
                raise cell.bad(*_explained(str(error), cell, image, frame, numbers)) from error
            if beyond:
                how = "less than a pixel" if beyond < 1 else "a pixel or more, by clip: true,"
                self._note(cell, f"{kind.name}: {how} was cut off at the edge of the image")
            found.append(place)
        return tuple(found)

    def _frame(self, cell: Cell, image: LoadedImage | None) -> Frame:
        """What a field's numbers are measured in."""
        field = cell.field
        relative = field.units == "relative"
        if image is None and not relative and field.size is None:
            raise cell.bad("is in pixels, and the row has no image")
        if image is None:
            width, height = (None, None) if relative else self._size_of(cell, field.size or ())
            return Frame(width, height, relative, clip=bool(field.clip))
        orientation = image.orientation if field.orientation == "stored" else 1
        width, height = _turned(image.width, image.height, orientation)
        if image.orientation != 1 and field.orientation is None:
            self._note(cell, "EXIF turns the image, and the field does not say orientation")
        given = self._size_of(cell, field.size) if field.size is not None else None
        if given is not None:
            if abs(given[0] * height - given[1] * width) > 2 * max(width, height):
                self._note(cell, "the sides of the image are not in the proportion of `size`")
            width, height = given
        elif self._stated and not relative:
            self._compare(cell, image, width, height)
        return Frame(width, height, relative, orientation, bool(field.clip))

    def _compare(self, cell: Cell, image: LoadedImage, width: float, height: float) -> None:
        """Note a size that the annotations state otherwise."""
        values = [cell.row.columns.get(column) for column in self._stated]
        if None in values or values == [width, height]:
            return
        if image.orientation >= TURNED and values == [height, width]:
            self._note(cell, "the annotations state the size of the image before EXIF turns it")
        else:
            self._note(cell, "the annotations state another size of the image")

    def _size_of(self, cell: Cell, columns: Sequence[str]) -> tuple[float, float]:
        """The size of the image that shapes were drawn on, as the row says it."""
        sides = list_of_numbers([str(cell.row.columns.get(column)) for column in columns])
        if sides is None or min(sides) <= 0:
            found = said([cell.row.columns.get(column) for column in columns])
            raise cell.bad(
                f"found {found} in {columns[0]!r} and {columns[1]!r}",
                "width and height of the image, in pixels",
            )
        return sides[0], sides[1]

    def _note(self, cell: Cell, what: str) -> None:
        known = self.notes.get((cell.name, what))
        if known is None:
            self.notes[cell.name, what] = Noted(cell.name, what, cell.row.where)
        else:
            known.count += 1


def _turned(width: float, height: float, orientation: int) -> tuple[float, float]:
    return (height, width) if orientation >= TURNED else (width, height)


def _explained(
    message: str, cell: Cell, image: LoadedImage | None, frame: Frame, numbers: Sequence[float]
) -> tuple[str, str | None]:
    """The message, and what EXIF has to do with it."""
    if image is None or image.orientation < TURNED or "outside its image" not in message:
        return message, None
    other = frame.other_way(image.orientation)
    try:
        place_kind(cell.field.kind).placed(numbers, other, cell.field)
    except ValueError:
        return message, None
    stored = cell.field.orientation == "stored"
    pixels = "the image as EXIF turns it" if stored else "the pixels as stored, before EXIF"
    size = f"{other.width:g}x{other.height:g}"
    return f"{message}, and inside {pixels} ({size})", UPRIGHT if stored else STORED
