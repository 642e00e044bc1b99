"""Predicted boxes on the picture that they were predicted for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as PILImage
from PIL import ImageDraw

from unified_vl.data.images import open_image, to_rgb
from unified_vl.errors import UserError, nearest
from unified_vl.files import write_atomically

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


def draw_boxes(image: PILImage.Image, boxes: Sequence[Sequence[float]]) -> PILImage.Image:
    """A copy with a frame for each box, `[x1, y1, x2, y2]` in its pixels.

    A frame is a coloured line on a white one, so that it shows on any ground.
    """
    drawn = image.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    width = max(1, round(min(drawn.size) / 150))
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        for colour, line in (("white", 3 * width), (COLOURS[number % len(COLOURS)], width)):
            # the lines share their middle, the edge of the box
            grow = line // 2
            frame = (x1 - grow, y1 - grow, x2 + grow, y2 + grow)
            pen.rectangle(frame, outline=colour, width=line)
    return drawn


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


def save_drawing(image: Path, boxes: Sequence[Sequence[float]], output: Path) -> None:
    """Draw boxes on the picture in a file and write it to another.

    Raises:
        UserError: when the picture cannot be read, or `output` is no picture's name.
    """
    check_drawing(output)
    with image.open("rb") as file:
        picture = to_rgb(open_image(file, str(image), repr(str(image))), str(image), str(image))
    buffer = io.BytesIO()
    draw_boxes(picture, boxes).save(buffer, FORMATS[output.suffix.lower()])
    write_atomically(output, buffer.getvalue())
