"""Brightness, contrast, saturation and hue of a picture drawn anew, in a drawn order."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from PIL import Image as PILImage
from PIL import ImageEnhance
from pydantic import Field

from unified_vl.augmentation.augmentation import Augmentation, Change
from unified_vl.parts import Part

Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ColorJitterKeys(Part):
    """Of color_jitter."""

    brightness: Strength = Field(
        default=0.4,
        description="color_jitter: the factor of brightness is between 1 minus this and 1 plus "
        "this.",
        examples=[0.4],
    )
    contrast: Strength = Field(
        default=0.4,
        description="color_jitter: the same of contrast, around the mean grey of the picture.",
        examples=[0.4],
    )
    saturation: Strength = Field(
        default=0.4, description="color_jitter: the same of saturation.", examples=[0.4]
    )
    hue: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = Field(
        default=0.1,
        description="color_jitter: by how much of the circle of colours the hue is turned at "
        "most, either way; 0 where names of colours are asked for.",
        examples=[0.1],
    )


ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


@dataclass(frozen=True)
class Jittered(Change):
    """Factors by name, and the turn of the hue (a part of the circle), in the order done."""

    steps: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        return f"color_jitter({', '.join(f'{name} {value:.2f}' for name, value in self.steps)})"

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        for name, value in self.steps:
            if name == "hue":
                image = _with_hue(image, value)
            else:
                image = ENHANCERS[name](image).enhance(value)
        return image


def _with_hue(image: PILImage.Image, turn: float) -> PILImage.Image:
    hue, saturation, value = image.convert("HSV").split()
    steps = round(turn * 256)  # which are the circle
    turned = hue.point([(step + steps) % 256 for step in range(256)])
    return PILImage.merge("HSV", (turned, saturation, value)).convert("RGB")


class ColorJitter(Augmentation):
    """As torchvision's ColorJitter, which AlexNet and SimCLR (arXiv 2002.05709) have too."""

    name = "color_jitter"
    about = "Brightness, contrast, saturation and hue are changed, in a drawn order."
    keys = ColorJitterKeys

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Jittered:
        steps = []
        for name in ENHANCERS:
            strength = getattr(keys, name)
            if strength:
                steps.append((name, random.uniform(1 - strength, 1 + strength)))
        if keys.hue:
            steps.append(("hue", random.uniform(-keys.hue, keys.hue)))
        random.shuffle(steps)
        return Jittered(tuple(steps))
