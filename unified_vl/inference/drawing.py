"""Predicted shapes on the picture that they were predicted for."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as PILImage
from PIL import ImageDraw

from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.errors import UserError, nearest
from unified_vl.files import write_atomically
from unified_vl.inference.prediction import Prediction
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.registry import KINDS

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def draw_shapes(image: PILImage.Image, answer: Prediction) -> PILImage.Image:
    """A copy with all that the answer's kinds of values draw: a frame for a box, a dot for a point.

    A line is coloured on a white one, so that it shows on any ground; a box says its label.
    """
    drawn = image.convert("RGB")
    pen = Pen(ImageDraw.Draw(drawn), max(1, round(min(drawn.size) / 150)))
    for kind in KINDS.values():
        kind.draw(pen, answer.shapes)
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
