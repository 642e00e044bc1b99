"""Pictures that are a little aslant."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from PIL import Image as PILImage
from pydantic import Field

from unified_vl.augmentation.augmentation import Augmentation, Change, MovingKeys, moved
from unified_vl.kinds.hooks.motion import Motion, turned


class RotationKeys(MovingKeys):
    """Of rotation."""

    degrees: Annotated[float, Field(gt=0, le=180, allow_inf_nan=False)] = Field(
        default=10.0,
        description="rotation: by how many degrees it is turned at most, either way.",
        examples=[10.0],
    )


@dataclass(frozen=True)
class Turned(Change):
    """By degrees anticlockwise around the middle, of a picture with a ratio of its sides."""

    degrees: float
    ratio: float

    def __repr__(self) -> str:
        return f"rotation({self.degrees:.1f})"

    @property
    def motion(self) -> Motion:
        return turned(self.degrees, self.ratio)

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return moved(image, self.motion)


class Rotation(Augmentation):
    """As torchvision's RandomRotation. A turned box is no box, and the upright one around it is
    too large: tasks with boxes go without."""

    name = "rotation"
    about = "The picture is turned around its middle, on grey."
    keys = RotationKeys
    moves = True
    turns = True

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Turned:
        width, height = size
        return Turned(random.uniform(-keys.degrees, keys.degrees), width / height)
