"""Pictures that a model wrote, as files beside its other answers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from unified_vl.files import write_atomically
from unified_vl.inference.prediction import Alternative, Prediction

GAP = 4  # pixels between pictures


class PictureFolder:
    """The folder `NAME.images` beside an output file NAME.jsonl, made when it is needed."""

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f"{output.stem}.images")

    def row(self, number: int, answer: Prediction) -> dict[str, Any]:
        """An answer as a row of the output file, its pictures written and named in `images`.

        The names are those of the row's number, so that a row that is answered again writes
        the same files. Paths are relative to the output file.
        """
        row = answer.as_row()
        self._put(row, answer, f"{number:06d}")
        for place, other in enumerate(answer.alternatives or ()):
            self._put(row["alternatives"][place], other, f"{number:06d}-{place}")
        return row

    def _put(self, row: dict[str, Any], answer: Prediction | Alternative, name: str) -> None:
        if not answer.images:
            return
        row["images"] = []
        for image in answer.images:
            path = self.folder / f"{name}.png"
            write_atomically(path, png(image))
            row["images"].append(f"{self.folder.name}/{path.name}")


def png(image: PILImage.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def side_by_side(images: Sequence[PILImage.Image]) -> PILImage.Image:
    """One picture of several of one height, on white."""
    first = images[0]
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    joined = PILImage.new("RGB", (width, first.height), "white")
    left = 0
    for image in images:
        joined.paste(image, (left, 0))
        left += image.width + GAP
    return joined
