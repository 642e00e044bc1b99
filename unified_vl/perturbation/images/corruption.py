"""What image corruptions share: they are changes of pixels, as augmentations are.

Unless its file says something else, a corruption and its five severities are those of Hendrycks and
Dietterich (ICLR 2019, arXiv 1903.12261), whose images have 224 pixels a side: lengths in pixels are
scaled to the shorter side of the picture that the network reads.

Legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image
from unified_vl.data.images.augmenting import applied
from unified_vl.data.rows.inputs import Inputs
from unified_vl.perturbation.perturbation import InputPerturbation, images_read
from unified_vl.specs.task import TaskSpec

SUITE = "images"
SIDE = 224  # pixels of the images that the paper's severities are for
Seen = Image | Clip
Pixels = npt.NDArray[np.float32]
Draw = Callable[[int, Random], Change]
"""What is done at a level from 0, with what is drawn."""


class Corruption(InputPerturbation):
    """Changes the pixels of all images and frames of videos that are read.

    Args:
        name: what `--perturb` calls it.
        about: what it does, in a sentence.
        draw: gives the change.
        severities: how many.
    """

    def __init__(self, name: str, about: str, draw: Draw, severities: int = 5) -> None:
        super().__init__(name, about, SUITE, severities)
        self.draw = draw

    def lacks(self, spec: TaskSpec) -> str | None:
        return no_image(spec)

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        asked, changed = dict(inputs.asked), False
        for name in images_read(spec):
            images = []
            for value in asked.get(name, ()):
                step = self.draw(severity - 1, Random(random.getrandbits(64)))
                image = with_images(value, partial(applied, changes=(step,)))
                changed |= not _same(image, value)
                images.append(image)
            asked[name] = tuple(images)
        return replace(inputs, asked=asked) if changed else inputs


def with_images(value: Seen, change: Callable[[LoadedImage], LoadedImage]) -> Seen:
    """A value whose image, or each frame of it, is changed."""
    if isinstance(value, Clip):
        frames = tuple(replace(each, image=change(each.image)) for each in value.frames)
        return replace(value, frames=frames)
    return replace(value, image=change(value.image))


def _same(one: Seen, other: Seen) -> bool:
    pairs = zip(_frames(one), _frames(other), strict=True)
    return all(np.array_equal(a.image.pixels_HWC, b.image.pixels_HWC) for a, b in pairs)


def _frames(value: Seen) -> tuple[Image, ...]:
    return value.frames if isinstance(value, Clip) else (value,)


def no_image(spec: TaskSpec) -> str | None:
    """What to say of a task whose images cannot be changed."""
    if images_read(spec):
        return None
    coded = any(spec.fields[name].of_kind.is_image for name in spec.fields_of(spec.source))
    return "its images are read as codes" if coded else "it reads no image"


def scale(size: tuple[int, int]) -> float:
    """How long a pixel of the paper's images is in a picture of this size."""
    return min(size) / SIDE


def to_unit(image: PILImage.Image) -> Pixels:
    """Its numbers from 0 to 1, (H, W, 3)."""
    return (np.asarray(image, dtype=np.float32) / 255).astype(np.float32)


def from_unit(pixels_HW3: npt.NDArray[np.floating]) -> PILImage.Image:
    """The picture of numbers that should be between 0 and 1."""
    return PILImage.fromarray((np.clip(pixels_HW3, 0, 1) * 255).round().astype(np.uint8))


def convolved(pixels_HW3: Pixels, kernel_KK: npt.NDArray[np.floating]) -> Pixels:
    """A picture after a kernel of an odd side, mirrored at its edges."""
    half = kernel_KK.shape[0] // 2
    height, width = pixels_HW3.shape[:2]
    half_H, half_W = min(half, height - 1), min(half, width - 1)
    cut = half - half_H, half - half_W  # of a picture smaller than the kernel
    kernel = kernel_KK[cut[0] : kernel_KK.shape[0] - cut[0], cut[1] : kernel_KK.shape[1] - cut[1]]
    padded = np.pad(pixels_HW3, ((half_H, half_H), (half_W, half_W), (0, 0)), mode="reflect")
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(kernel / kernel.sum(), shape)
    found = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * spectrum[..., None], shape, (0, 1))
    result: Pixels = found[2 * half_H :, 2 * half_W :].astype(np.float32)
    return result
