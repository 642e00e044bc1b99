"""The same question in other words: those that the spec or the data have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from unified_vl.data.rows.inputs import Inputs
from unified_vl.perturbation.perturbation import InputPerturbation, read_fields
from unified_vl.specs.task import TaskSpec


class Paraphrase(InputPerturbation):
    """Another wording than the first, and another of the texts that `pick` chooses from."""

    def lacks(self, spec: TaskSpec) -> str | None:
        several = any(len(texts) > 1 for by in spec.wording.values() for texts in by.values())
        if several or self._picked(spec):
            return None
        return "neither a wording nor a field that `pick` chooses from has several texts"

    def _picked(self, spec: TaskSpec) -> list[str]:
        return [name for name in read_fields(spec) if name in spec.example.pick]

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        wordings: Mapping[str, tuple[str, ...]] = {
            slot: _turned(texts, random) for slot, texts in inputs.plan.wordings.items()
        }
        asked = dict(inputs.asked)
        for name in self._picked(spec):
            if len(set(asked.get(name, ()))) > 1:
                asked[name] = _turned(asked[name], random)
        if asked == inputs.asked and wordings == inputs.plan.wordings:
            return inputs
        return replace(inputs, asked=asked, plan=replace(inputs.plan, wordings=wordings))


def _turned(several: tuple[Any, ...], random: Random) -> tuple[Any, ...]:
    """The same with another first, which evaluation takes."""
    others = [place for place, each in enumerate(several) if each != several[0]]
    if not others:
        return several
    place = random.choice(others)
    return (several[place], *several[:place], *several[place + 1 :])


PERTURBATIONS = (
    Paraphrase(
        "paraphrase",
        "The prompt is in another wording of the spec, or another text that the row has for it.",
        "prompts",
        severities=1,
    ),
)
