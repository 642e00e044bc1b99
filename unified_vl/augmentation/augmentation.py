"""What an augmentation is to the rest of the project. A new one is a class of its own file, and one
call of `unified_vl.specs.runs.augment.register`; docs/extending.md shows one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Annotated, Any, ClassVar

from PIL import Image as PILImage
from pydantic import Field

from unified_vl.kinds.hooks.motion import Motion
from unified_vl.parts import Part, Problem

FILL = (128, 128, 128)  # where a motion leaves nothing: the grey of padding
Portion = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Change:
    """One change of one picture, with all that was drawn for it: a frozen dataclass.

    Its `repr` is what `unified-vl show` says of it.
    """

    @property
    def motion(self) -> Motion | None:
        """Where places of the picture go; None of a change that leaves them where they are."""
        return None

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        """The changed picture, RGB of the same size; the same for the same picture."""
        raise NotImplementedError


class Augmentation:
    """A way to change pictures, which `augment: [{name: NAME}]` of a run asks for.

    Attributes:
        name: what runs call it.
        about: what it does, in a sentence.
        keys: its own keys, each with a default.
        rate: how often it is done unless the run says so.
        moves: whether it moves what is in the picture; its keys then are `MovingKeys`.
        turns: whether upright rectangles are none any more.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    keys: ClassVar[type[Part]] = Part
    rate: ClassVar[float] = 1.0
    moves: ClassVar[bool] = False
    turns: ClassVar[bool] = False

    def problems(self, keys: Any) -> Iterator[Problem]:
        """What is wrong with keys whose types are right."""
        return iter(())

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Change:
        """What is done to a picture.

        Args:
            keys: those of the run, with the attributes of `keys`.
            random: all that is drawn comes from it.
            size: (width, height) of the picture in pixels, as the network reads it.
        """
        raise NotImplementedError


class MovingKeys(Part):
    """Of augmentations that move what is in the picture."""

    keep: Portion = Field(
        default=0.7,
        description="resized_crop, affine, rotation: the least share of each box and polygon that "
        "must stay in the picture (points must stay whole). Of ten draws the first that leaves as "
        "much is taken; without one the picture is not moved.",
        examples=[0.9],
    )


def moved(image: PILImage.Image, motion: Motion) -> PILImage.Image:
    """The picture after a motion, in its frame; grey where nothing is known."""
    back, (width, height) = motion.inverse, image.size
    return image.transform(
        image.size,
        PILImage.Transform.AFFINE,
        (
            *(back.a, back.b * width / height, back.c * width),
            *(back.d * height / width, back.e, back.f * height),
        ),
        resample=PILImage.Resampling.BICUBIC,
        fillcolor=FILL,
    )


def falling(place: str, values: tuple[float, float]) -> Iterator[Problem]:
    """What is wrong with a range whose end is below its beginning."""
    if values[1] < values[0]:
        found = f"found {values[0]:g} to {values[1]:g}"
        yield Problem((place,), found, expected="the smaller number first")
