"""Pictures that a model wrote or was to complete, as files beside its other answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from unified_vl.data.example import Example
from unified_vl.files import write_atomically
from unified_vl.inference.prediction import Prediction
from unified_vl.png import png

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

OF_A_ROW = re.compile(r"\d{6,}(-given|-\d+)?(\.\d+)?\.png")
GAP = 4  # pixels between pictures
AT_ONCE = 64  # pictures that are decoded together


class PictureFolder:
    """The folder `NAME.images` beside an output file NAME.jsonl, made when it is needed."""

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f"{output.stem}.images")

    def clear(self) -> None:
        """Remove the pictures of an earlier output file, and no other files."""
        for path in self.folder.glob("*.png"):
            if OF_A_ROW.fullmatch(path.name):
                path.unlink()

    def row(self, number: int, answer: Prediction) -> dict[str, Any]:
        """An answer as a row of the output file, its pictures written and named in `images`.

        The names are those of the row's number, so that a row that is answered again writes
        the same files. Paths are relative to the output file.
        """
        row = answer.as_row() | self.put(number, answer.images)
        for place, other in enumerate(answer.alternatives or ()):
            row["alternatives"][place] |= self.put(number, other.images, f"-{place}")
        return row

    def put(
        self, number: int, images: Sequence[PILImage.Image], suffix: str = ""
    ) -> dict[str, list[str]]:
        """Write pictures of row `number` and say where they are; nothing of none."""
        names = [f"{number:06d}{suffix}{f'.{n}' if n else ''}.png" for n in range(len(images))]
        paths = [self._write(name, image) for name, image in zip(names, images, strict=True)]
        return {"images": paths} if paths else {}

    def put_given(self, number: int, image: PILImage.Image | None) -> dict[str, str]:
        """Write what row `number` was to complete and say where it is; nothing of none."""
        return {} if image is None else {"given": self._write(f"{number:06d}-given.png", image)}

    def _write(self, name: str, image: PILImage.Image) -> str:
        write_atomically(self.folder / name, png(image))
        return f"{self.folder.name}/{name}"


def to_complete(predictor: UnifiedVL, examples: Sequence[Example]) -> dict[int, PILImage.Image]:
    """By place the pictures that examples ask to complete, as the model knows them: grey where
    it is to write."""
    places = [place for place, example in enumerate(examples) if example.given]
    found: dict[int, PILImage.Image] = {}
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        code_images = predictor.codec.code_images
        assert code_images is not None  # which made the codes
        seen_BHWC = code_images.seen([examples[place].given for place in some])
        found |= dict(zip(some, map(PILImage.fromarray, seen_BHWC), strict=True))
    return found


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
