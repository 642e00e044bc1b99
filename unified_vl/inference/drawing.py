"""Predicted shapes on the picture that they were predicted for."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as PILImage
from PIL import ImageDraw

from unified_vl.data.images import open_image, to_rgb
from unified_vl.errors import UserError, nearest
from unified_vl.files import write_atomically
from unified_vl.inference.prediction import Prediction

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


def draw_shapes(image: PILImage.Image, answer: Prediction) -> PILImage.Image:
    """A copy with a frame for each box, an outline for each polygon, a dot for each point.

    A line is coloured on a white one, so that it shows on any ground; a box says its label.
    """
    drawn = image.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    width = max(1, round(min(drawn.size) / 150))
    labels = answer.shapes.get("labels", [])
    for number, (x1, y1, x2, y2) in enumerate(answer.boxes or []):
        for colour, line in _lines(number, width):
            # the lines share their middle, the edge of the box
            grow = line // 2
            frame = (x1 - grow, y1 - grow, x2 + grow, y2 + grow)
            pen.rectangle(frame, outline=colour, width=line)
        if number < len(labels) and labels[number]:
            colour = COLOURS[number % len(COLOURS)]
            pen.text((x1 + 2 * width, y1 + width), labels[number], colour, stroke_fill="white")
    for number, xy in enumerate(answer.shapes.get("polygons", [])):
        for colour, line in _lines(number, width):
            pen.line([*xy, *xy[:2]], fill=colour, width=line, joint="curve")
    for number, (x, y) in enumerate(answer.shapes.get("points", [])):
        for colour, line in _lines(number, width):
            radius = 2 * line
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return drawn


def _lines(number: int, width: int) -> tuple[tuple[str, int], tuple[str, int]]:
    """The colours and widths of the lines that make an edge, the first drawn first."""
    return ("white", 3 * width), (COLOURS[number % len(COLOURS)], width)


def check_drawing(output: Path) -> None:
    """Refuse a file name that is no picture's, before any work is done.

    Raises:
        UserError: with the endings that are known.
    """
    if output.suffix.lower() not in FORMATS:
        raise UserError(
            f"cannot draw into {output.name!r}",
            file="command line",
            field="--draw",
            expected=f"a file ending in {', '.join(FORMATS)}",
            nearest=nearest(output.suffix.lower(), FORMATS),
        )


def save_drawing(image: Path, answer: Prediction, output: Path) -> None:
    """Draw an answer's shapes on the picture in a file and write it to another.

    Raises:
        UserError: when the picture cannot be read, or `output` is no picture's name.
    """
    with image.open("rb") as file:
        picture = to_rgb(open_image(file, str(image), repr(str(image))), str(image), str(image))
    save_picture(draw_shapes(picture, answer), output)


def save_picture(picture: PILImage.Image, output: Path) -> None:
    """Write a picture to a file.

    Raises:
        UserError: when `output` is no picture's name.
    """
    check_drawing(output)
    buffer = io.BytesIO()
    picture.save(buffer, FORMATS[output.suffix.lower()])
    write_atomically(output, buffer.getvalue())
