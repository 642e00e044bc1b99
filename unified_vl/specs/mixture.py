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

    kind: Literal["round_robin", "sampled"] = Field(
        default="round_robin",
        description="Every task has its turns in each round, or every step draws its task.",
    )
    order: Literal["fixed", "seeded"] = Field(
        default="fixed",
        description="Round robin: turns in the order of the file, or shuffled by the run's seed.",
    )
    by: Literal["batches", "rows"] = Field(
        default="batches",
        description="Sampled: in proportion to the tasks' `batches`, or to their training rows.",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="Sampled by rows: 1 is in proportion, higher nearer to equal shares (T5).",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Sampled by rows: rows above this number do not count."
    )

    def idle_key(self) -> str | None:
        """A key that was set and that this kind does not read."""
        idle = {"by", "temperature", "limit"}
        if self.kind == "sampled":
            idle = {"order"} if self.by == "rows" else {"order", "temperature", "limit"}
        return next(iter(sorted(idle & self.model_fields_set)), None)


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
