"""What changes of texts share: each text of a row that is asked, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from unified_vl.data.rows.inputs import Inputs
from unified_vl.perturbation.perturbation import (
    SEVERITIES,
    InputPerturbation,
    changed_texts,
    texts_asked,
)
from unified_vl.specs.task import TaskSpec

Change = Callable[[str, int, Random, str], str]
"""A text, the level from 0, what is drawn, the row's language; to the changed text."""


class TextChange(InputPerturbation):
    """Changes the texts that the source alone has.

    Args:
        name: what `--perturb` calls it.
        about: what it does, in a sentence.
        suite: which suite it is of.
        text: changes one.
        severities: how many.
    """

    def __init__(
        self, name: str, about: str, suite: str, text: Change, severities: int = SEVERITIES
    ) -> None:
        super().__init__(name, about, suite, severities)
        self.text = text

    def lacks(self, spec: TaskSpec) -> str | None:
        return None if texts_asked(spec) else "it is asked by no text of a row"

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        asked = dict(inputs.asked)

        def changed(text: str) -> str:
            own = Random(random.getrandbits(64))
            return self.text(text, severity - 1, own, inputs.plan.language)

        for name in texts_asked(spec):
            if name in asked:
                asked[name] = changed_texts(asked[name], changed)
        return inputs if asked == inputs.asked else replace(inputs, asked=asked)
