"""Drawing on a picture, so that what is drawn shows on any ground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


class Pen:
    """Draws things of a picture, each in its own colour on a white line.

    Args:
        draw: Pillow's, of the picture.
        width: of a line, in pixels.
    """

    def __init__(self, draw: ImageDraw, width: int) -> None:
        self.pillow = draw
        self.width = width

    def line(self, number: int, xy: Sequence[float]) -> None:
        """The lines from place to place (x, y, x, y, ...) of thing `number`."""
        for colour, width in self.strokes(number):
            self.pillow.line([*xy], fill=colour, width=width, joint="curve")

    def frame(self, number: int, x1: float, y1: float, x2: float, y2: float) -> None:
        """The frame of a rectangle."""
        for colour, width in self.strokes(number):
            grow = width // 2  # the lines share their middle, the edge of the rectangle
            corners = (x1 - grow, y1 - grow, x2 + grow, y2 + grow)
            self.pillow.rectangle(corners, outline=colour, width=width)

    def dot(self, number: int, x: float, y: float) -> None:
        """A dot."""
        for colour, width in self.strokes(number):
            radius = 2 * width
            self.pillow.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def text(self, number: int, x: float, y: float, text: str) -> None:
        """A text whose upper left corner is near (x, y)."""
        place = (x + 2 * self.width, y + self.width)
        self.pillow.text(place, text, COLOURS[number % len(COLOURS)], stroke_fill="white")

    def strokes(self, number: int) -> Iterator[tuple[str, int]]:
        """The colours and widths of the lines that make an edge, the first drawn first."""
        yield "white", 3 * self.width
        yield COLOURS[number % len(COLOURS)], self.width
