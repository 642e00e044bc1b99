"""How tasks of unlike losses and gradients are held in balance: the `balance` keys of a mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.specs.reading.document import OneOf, Part, Problem, Weight, refuse
from unified_vl.specs.variants import Variant, Variants

Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class RunningMeanKeys(Part):
    """Of what goes by running means of the tasks."""

    decay: Decay = Field(
        default=0.98,
        description="running_loss, gradient_norm: how much of a task's running mean each of its "
        "updates leaves.",
        examples=[0.99],
    )
    limit: Annotated[float, Field(ge=1, le=1e6, allow_inf_nan=False)] = Field(
        default=4.0,
        description="running_loss, gradient_norm: the largest factor of a task's loss, and its "
        "inverse the smallest.",
        examples=[10.0],
    )


class UncertaintyKeys(Part):
    """Of weights by uncertainty."""

    learning_rate: Weight = Field(
        default=0.05,
        description="uncertainty: of the logarithms of the tasks' variances.",
        examples=[0.01],
    )


class PCGradKeys(Part):
    """Of gradient surgery, which has no keys."""


@dataclass(frozen=True)
class BalanceVariant(Variant):
    """A balance that a mixture may name.

    Attributes:
        update: the updates that it is for; None for all.
        takes_gradients: whether it takes the gradient of each task alone, which ZeRO 3 has not.
    """

    update: Literal["per_task", "joint"] | None = None
    takes_gradients: bool = False


BALANCES = Variants(
    "a balance",
    BalanceVariant("running_loss", RunningMeanKeys),
    BalanceVariant("gradient_norm", RunningMeanKeys, update="per_task"),
    BalanceVariant("uncertainty", UncertaintyKeys),
    BalanceVariant("pcgrad", PCGradKeys, update="joint", takes_gradients=True),
)


class GeneralBalanceKeys(Part):
    """Of all balances."""

    kind: Annotated[str, OneOf(lambda: BALANCES)] = Field(
        description="Divide each task's loss by its running mean, or by that of its gradient's "
        "norm; weigh losses by learned uncertainty (arXiv 1705.07115); or take out of each task's "
        "gradient what is against another's (PCGrad, arXiv 2001.06782).",
        examples=["running_loss"],
    )


class BalanceSpec(UncertaintyKeys, RunningMeanKeys, GeneralBalanceKeys):
    """How tasks of unlike losses and gradients are held in balance."""

    @model_validator(mode="after")
    def _obey_rules(self) -> BalanceSpec:
        said = f"a balance of kind {self.kind!r} does not read this"
        refuse(BALANCES.idle_problems(self.kind, self.model_fields_set, (), said))
        refuse(BALANCES[self.kind].rules(self))
        return self

    @property
    def variant(self) -> BalanceVariant:
        """What its kind asks of the rest."""
        found = BALANCES[self.kind]
        assert isinstance(found, BalanceVariant)
        return found

    def misfit(self, update: str) -> Problem | None:
        """Why it cannot go with updates `per_task` or `joint`, if it cannot."""
        wanted = self.variant.update
        if wanted in (None, update):
            return None
        said = f"{self.kind!r} is for updates {wanted!r}, and the schedule's are {update!r}"
        return Problem(("kind",), said, expected=f"schedule.update: {wanted}, or another kind")


BALANCES.keys_of(BalanceSpec)
