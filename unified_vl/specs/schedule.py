"""Whose turn it is: the `schedule` keys of a mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.specs.reading.document import OneOf, Part, Problem, Rows, Steps, refuse
from unified_vl.specs.variants import Variant, Variants

Batches = Annotated[int, Field(ge=1, le=10**6)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class StopAndGoSpec(Part):
    """When a task rests and when it trains again (12-in-1, arXiv 1912.02315)."""

    patience: Batches = Field(
        default=2,
        description="Evaluations without a gain after which a task rests.",
        examples=[2],
    )
    min_gain: Share = Field(
        default=0.001,
        description="What counts as a gain, relative to the last one.",
        examples=[0.001],
    )
    gap: Batches = Field(
        default=4, description="A resting task trains in every so many rounds.", examples=[4]
    )
    max_drop: Share = Field(
        default=0.005,
        description="A task trains again when its score is worse than its best by more than this "
        "share of it.",
        examples=[0.005],
    )


class CurriculumSpec(Part):
    """Which tasks begin: levels of `difficulty` join one after the other."""

    order: Literal["easy_first", "hard_first"] = Field(
        description="Curriculum or anti-curriculum (12-in-1, section 5).", examples=["easy_first"]
    )
    rounds: Steps = Field(description="Rounds until the next level joins.", examples=[1000])


class RoundRobinKeys(Part):
    """Of rounds in which every task has its turns."""

    order: Literal["fixed", "seeded"] = Field(
        default="fixed",
        description="Round robin: turns in the order of the file, or shuffled by the run's seed.",
        examples=["seeded"],
    )


class SampledKeys(Part):
    """Of steps that draw their tasks."""

    by: Literal["batches", "rows"] = Field(
        default="batches",
        description="Sampled: in proportion to the tasks' `batches`, or to their training rows.",
        examples=["rows"],
    )
    temperature: float = Field(
        default=1.0,
        ge=1e-3,
        le=1e3,
        allow_inf_nan=False,
        description="Sampled by rows: 1 is in proportion, higher nearer to equal shares (T5).",
        examples=[2.0],
    )
    limit: Rows | None = Field(
        default=None,
        description="Sampled by rows: rows above this number do not count.",
        examples=[1000000],
    )


class PrioritizedKeys(Part):
    """Of steps that draw their tasks by the last scores."""

    priority: Literal["behind", "progress"] = Field(
        default="behind",
        description="Prioritized: tasks have more turns the further their score is from 100 "
        "(dynamic task prioritization, Guo 2018), or the more it has just changed "
        "(arXiv 1704.03003).",
        examples=["progress"],
    )
    focus: float = Field(
        default=1.0,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="Prioritized: the power that this is raised to; higher is sharper.",
        examples=[2.0],
    )
    least_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Prioritized: what a task's chance is at least, as a share of that of one "
        "that has learnt nothing.",
        examples=[0.2],
    )


@dataclass(frozen=True)
class ScheduleVariant(Variant):
    """A schedule that a mixture may name.

    Attributes:
        goes_by_scores: whether it needs a run with `score_every`, and validation rows.
    """

    goes_by_scores: bool = False


SCHEDULES = Variants(
    "a schedule",
    ScheduleVariant("round_robin", RoundRobinKeys),
    ScheduleVariant("sampled", SampledKeys),
    ScheduleVariant("prioritized", PrioritizedKeys, goes_by_scores=True),
)


class GeneralScheduleKeys(Part):
    """Of all schedules."""

    kind: Annotated[str, OneOf(lambda: SCHEDULES)] = Field(
        default="round_robin",
        description="Every task has its turns in each round, or every step draws its task.",
        examples=["sampled"],
    )
    update: Literal["per_task", "joint"] = Field(
        default="per_task",
        description="Each batch is an optimiser step of its own, or each round is one.",
        examples=["joint"],
    )
    joint_weights: Literal["batches", "tokens"] = Field(
        default="batches",
        description="Joint: every batch of a round counts alike, or every target token.",
        examples=["tokens"],
    )
    stop_and_go: StopAndGoSpec | None = Field(
        default=None,
        description="Let tasks rest whose validation score no longer gets better; {} for the "
        "numbers of 12-in-1.",
        examples=[{"patience": 2, "gap": 4}],
    )
    curriculum: CurriculumSpec | None = Field(
        default=None,
        description="Let tasks join by difficulty, in place of `from_round`.",
        examples=[{"order": "easy_first", "rounds": 1000}],
    )


class ScheduleSpec(PrioritizedKeys, SampledKeys, RoundRobinKeys, GeneralScheduleKeys):
    """Whose turn it is."""

    @model_validator(mode="after")
    def _obey_rules(self) -> ScheduleSpec:
        refuse(SCHEDULES[self.kind].rules(self))
        return self

    @property
    def scored_key(self) -> str | None:
        """The key that asks for scores; None where nothing goes by them."""
        if self.stop_and_go is not None:
            return "stop_and_go"
        return "kind" if getattr(SCHEDULES[self.kind], "goes_by_scores", False) else None

    def idle_key(self) -> Problem | None:
        """A key that was set and that this kind does not read."""
        idle = set(SCHEDULES.idle_keys(self.kind, self.model_fields_set))
        if self.kind == "sampled" and self.by == "batches":
            idle |= {"temperature", "limit"} & self.model_fields_set
        if self.update == "per_task":
            idle |= {"joint_weights"} & self.model_fields_set
        return next((self._idle(key) for key in sorted(idle)), None)

    def _idle(self, key: str) -> Problem:
        expected = (
            "`order` for round_robin; `by` for sampled, and `temperature` and `limit` "
            "where that is by rows; `joint_weights` for joint updates"
        )
        for name, variant in SCHEDULES.items():
            if key in variant.reads and name not in ("round_robin", "sampled"):
                expected = f"`{key}` for {name}"
        found = f"a schedule of kind {self.kind!r} with updates {self.update!r} does not read this"
        return Problem((key,), found, expected)


SCHEDULES.keys_of(ScheduleSpec)
