"""What a perturbation is to the rest of the project. A new one is in a file of a folder below with
`PERTURBATIONS`, a tuple of these; outside the package `unified_vl.register_perturbation` takes one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_vl.data.order import draw_seed
from unified_vl.data.rows.inputs import Inputs
from unified_vl.specs.task import TaskSpec

SEVERITIES = 5
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Perturbation:
    """Something that is done to the rows of an evaluation.

    Attributes:
        name: what `--perturb` calls it.
        about: what it does, in a sentence.
        suite: which suite it is of.
        severities: how many there are, from 1, the mildest.
        probe: whether a right model answers otherwise then, or cannot answer: what is left of a
            score says what it does not look at.
    """

    def __init__(
        self, name: str, about: str, suite: str, severities: int = SEVERITIES, probe: bool = False
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a perturbation: letters a-z, digits and _")
        self.name = name
        self.about = about
        self.suite = suite
        self.severities = severities
        self.probe = probe

    def lacks(self, spec: TaskSpec) -> str | None:
        """Why a task cannot be perturbed so, as `it reads no image`; None where it can."""
        return None


class InputPerturbation(Perturbation):
    """One that changes what the model reads of a row."""

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        """The changed inputs, or those given where there is nothing to change.

        The right answers (`own`) stay, unless the answer names something that the change moved.

        Args:
            inputs: of a row; nothing of them is changed in place.
            severity: from 1.
            random: all that is drawn comes from it; the same at each severity.
            spec: the task.
        """
        raise NotImplementedError


class RowWeighting(Perturbation):
    """One that leaves the rows as they are and counts some of them more than others."""

    def weights(
        self, answers: Sequence[str | None], trained: Counter[str], severity: int
    ) -> npt.NDArray[np.float64] | None:
        """How much each row counts, (N,); None where there is nothing to weigh by.

        Args:
            answers: the right answer of each row; None where it has none.
            trained: how often training rows have each answer.
            severity: from 1.
        """
        raise NotImplementedError


class Perturbing:
    """A perturbation of the rows of a task, at a severity: what `ExampleBuilder.perturbed` takes.

    Args:
        perturbation: what is done.
        severity: from 1.
        spec: the task.
        seed: with the row it decides all that is drawn.
    """

    def __init__(
        self, perturbation: InputPerturbation, severity: int, spec: TaskSpec, seed: int = 0
    ) -> None:
        self._perturbation = perturbation
        self._severity = severity
        self._spec = spec
        self._seed = seed

    def __call__(self, inputs: Inputs) -> Inputs:
        where = (self._spec.task, inputs.row.where, inputs.plan.language)
        random = Random(draw_seed(self._seed, *where, self._perturbation.name))
        return self._perturbation.change(inputs, self._severity, random, self._spec)


def read_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that the model reads and does not write."""
    written = spec.fields_of(spec.target)
    return tuple(name for name in spec.fields_of(spec.source) if name not in written)


def texts_asked(spec: TaskSpec) -> tuple[str, ...]:
    """The fields of free text among them, without those that an answer chooses from."""
    chosen = {other for f in spec.fields.values() for other in f.beside}
    return tuple(
        name
        for name in read_fields(spec)
        if spec.fields[name].of_kind.free_text and name not in chosen
    )


def images_read(spec: TaskSpec) -> tuple[str, ...]:
    """The fields of images and videos among them that the network reads as pixels."""
    return tuple(
        name
        for name in read_fields(spec)
        if spec.fields[name].of_kind.has_pixels
        and spec.fields[name].writing == "nothing"
        and not spec.fields[name].in_codes
    )


def changed_texts(values: Sequence[Any], change: Any) -> tuple[Any, ...]:
    """The values of a field with `change` of each text."""
    return tuple(change(value) if isinstance(value, str) else value for value in values)
