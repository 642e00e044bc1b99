"""No picture: what is left of a score is the language prior."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from unified_vl.augmentation.augmentation import FILL
from unified_vl.codecs.images import LoadedImage
from unified_vl.data.rows.inputs import Inputs
from unified_vl.perturbation.images.corruption import no_image, with_images
from unified_vl.perturbation.perturbation import InputPerturbation, images_read
from unified_vl.specs.task import TaskSpec


class BlankImage(InputPerturbation):
    """Every image is the grey of padding, of the same size."""

    def lacks(self, spec: TaskSpec) -> str | None:
        return no_image(spec)

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        asked = dict(inputs.asked)
        for name in images_read(spec):
            asked[name] = tuple(with_images(each, _blank) for each in asked.get(name, ()))
        return replace(inputs, asked=asked)


def _blank(image: LoadedImage) -> LoadedImage:
    pixels_HWC = np.empty_like(image.pixels_HWC)
    pixels_HWC[:] = FILL
    return replace(image, pixels_HWC=pixels_HWC, changes=("blank",))


PERTURBATIONS = (
    BlankImage(
        "blank_image",
        "Every image is grey: what is left of the score is the language prior.",
        "priors",
        severities=1,
        probe=True,
    ),
)
