"""A text that contradicts the image: what is left of a score is what the image alone says."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from unified_vl.data.rows.inputs import Inputs
from unified_vl.perturbation.perturbation import InputPerturbation, images_read, texts_asked
from unified_vl.specs.task import TaskSpec


class ForeignText(InputPerturbation):
    """The texts of another row of the language, of another image."""

    def lacks(self, spec: TaskSpec) -> str | None:
        if not images_read(spec):
            return "it reads no image that a text could contradict"
        return None if texts_asked(spec) else "it is asked by no text of a row"

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        names = tuple(name for name in texts_asked(spec) if inputs.asked.get(name))
        if not names:
            return inputs
        found = inputs.others.of_another(inputs.row, inputs.plan, inputs.asked, names, random)
        return inputs if found is None else replace(inputs, asked={**inputs.asked, **found})


PERTURBATIONS = (
    ForeignText(
        "foreign_text",
        "The texts beside an image are those of another row: what is left of the score is what the "
        "image alone says.",
        "priors",
        severities=1,
        probe=True,
    ),
)
