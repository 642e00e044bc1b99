"""A mixture: which tasks are trained together, and how often each has its turn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PrivateAttr

from unified_vl.specs.document import Document, Name, Part
from unified_vl.specs.task import TaskSpec


class MixtureTask(Part):
    """One task of a mixture."""

    spec: str = Field(
        min_length=1, description="The task spec, a path relative to the mixture file."
    )
    batches: int = Field(default=1, ge=1, description="Batches that it sends in each round.")
    from_round: int = Field(
        default=0,
        ge=0,
        description="The first round it takes part in; one task at least has 0.",
    )
    weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="What its loss is multiplied by."
    )
    contrast: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description=(
            "Weight of an image-text contrastive loss beside its own: each target must be "
            "found by its image among the batch, and each image by its target."
        ),
    )


class ScheduleSpec(Part):
    """Whose turn it is."""

    kind: Literal["round_robin"] = Field(
        default="round_robin", description="Every task has its turns in each round."
    )
    order: Literal["fixed", "seeded"] = Field(
        default="fixed",
        description="Turns of a round in the order of the file, or shuffled by the run's seed.",
    )


class Mixture(Document):
    """Tasks that are trained together."""

    mixture: Name = Field(description="Name of the mixture.")
    version: int = Field(ge=1, description="Raise it when the tasks or their shares change.")
    tasks: tuple[MixtureTask, ...] = Field(min_length=1, description="The tasks.")
    schedule: ScheduleSpec = Field(
        default_factory=ScheduleSpec, description="Whose turn it is to send a batch."
    )
    _specs: tuple[TaskSpec, ...] = PrivateAttr(default=())

    @property
    def specs(self) -> tuple[TaskSpec, ...]:
        """The task specs, in the order of `tasks`; `load_mixture` reads them."""
        return self._specs

    def __hash__(self) -> int:
        return hash((self.mixture, self.version))
