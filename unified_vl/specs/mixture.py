"""A mixture: which tasks are trained together, and how often each has its turn."""

from __future__ import annotations

from os.path import normpath
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from unified_vl.errors import nearest
from unified_vl.specs.mixture_rules import check_entry, check_schedule, check_tasks_asked
from unified_vl.specs.reading.document import Name, Origin, Part, Rows, Steps, Version, Weight
from unified_vl.specs.reading.parse import validate
from unified_vl.specs.reading.spec_file import parse_kind
from unified_vl.specs.spec import FileOrMade, Spec
from unified_vl.specs.task import TaskSpec, TaskTags, load_task
from unified_vl.specs.written import TASK_FILE

Batches = Annotated[int, Field(ge=1, le=10**6)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class MixtureTask(Part):
    """One task of a mixture."""

    spec: Annotated[str | TaskSpec, FileOrMade(str, "TaskSpec", TASK_FILE)] = Field(
        min_length=1,
        description="The task spec, a path relative to the mixture file.",
        examples=["../captioning/coco_captions.yaml"],
    )
    batches: Batches = Field(
        default=1, description="Batches that it sends in each round.", examples=[2]
    )
    from_round: int = Field(
        default=0,
        ge=0,
        le=10**12,
        description="The first round it takes part in; one task at least has 0.",
        examples=[500],
    )
    weight: Weight = Field(
        default=1.0,
        description="What its loss is multiplied by.",
        examples=[0.5],
    )
    difficulty: float | None = Field(
        default=None,
        ge=-1e6,
        le=1e6,
        allow_inf_nan=False,
        description="How hard it is beside the others; a curriculum goes by it.",
        examples=[2.0],
    )
    contrast: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description=(
            "Weight of an image-text contrastive loss beside its own: each target must be "
            "found by its image among the batch, and each image by its target."
        ),
        examples=[0.1],
    )


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
        description="The fall below its best, relative to it, that wakes a task.",
        examples=[0.005],
    )


class CurriculumSpec(Part):
    """Which tasks begin: levels of `difficulty` join one after the other."""

    order: Literal["easy_first", "hard_first"] = Field(
        description="Curriculum or anti-curriculum (12-in-1, section 5).", examples=["easy_first"]
    )
    rounds: Steps = Field(description="Rounds until the next level joins.", examples=[1000])


class ScheduleSpec(Part):
    """Whose turn it is."""

    kind: Literal["round_robin", "sampled"] = Field(
        default="round_robin",
        description="Every task has its turns in each round, or every step draws its task.",
        examples=["sampled"],
    )
    order: Literal["fixed", "seeded"] = Field(
        default="fixed",
        description="Round robin: turns in the order of the file, or shuffled by the run's seed.",
        examples=["seeded"],
    )
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
        description="Let tasks rest whose validation score has stopped to rise; {} for the "
        "numbers of 12-in-1.",
        examples=[{"patience": 2, "gap": 4}],
    )
    curriculum: CurriculumSpec | None = Field(
        default=None,
        description="Let tasks join by difficulty, in place of `from_round`.",
        examples=[{"order": "easy_first", "rounds": 1000}],
    )

    def idle_key(self) -> str | None:
        """A key that was set and that this kind does not read."""
        idle = {"by", "temperature", "limit"}
        if self.kind == "sampled":
            idle = {"order"} if self.by == "rows" else {"order", "temperature", "limit"}
        if self.update == "per_task":
            idle.add("joint_weights")
        return next(iter(sorted(idle & self.model_fields_set)), None)


class Mixture(Spec):
    """Tasks that are trained together."""

    mixture: Name = Field(description="Name of the mixture.", examples=["photos"])
    version: Version = Field(
        description="Raise it when the tasks or their shares change.", examples=[1]
    )
    tasks: tuple[MixtureTask, ...] = Field(
        min_length=1,
        description="The tasks.",
        examples=[[{"spec": "../captioning/coco_captions.yaml", "batches": 2}]],
    )
    schedule: ScheduleSpec = Field(
        default_factory=ScheduleSpec,
        description="Whose turn it is to send a batch.",
        examples=[{"kind": "round_robin", "order": "seeded"}],
    )
    tags: TaskTags = Field(
        default="task",
        description="What {task} stands for: a tag of each task's own, of its family, or nothing.",
        examples=["family"],
    )
    _specs: tuple[TaskSpec, ...] = PrivateAttr(default=())

    @property
    def specs(self) -> tuple[TaskSpec, ...]:
        """The task specs, in the order of `tasks`."""
        return self._specs

    def settle(self, origin: Origin) -> None:
        super().settle(origin)
        check_schedule(self)
        specs: list[TaskSpec] = []
        for index in range(len(self.tasks)):
            spec = self._find_spec(index)
            if spec.task in (other.task for other in specs):
                place = ("tasks", index, "spec")
                raise self.error(place, f"the task {spec.task!r} is listed twice")
            check_entry(self, index, spec)
            specs.append(spec)
        for spec in specs:
            check_tasks_asked(spec, [other.task for other in specs])
        self._specs = tuple(specs)

    def _find_spec(self, index: int) -> TaskSpec:
        named = self.tasks[index].spec
        if isinstance(named, TaskSpec):
            return named
        folder = Path() if self.file is None else self.file.parent
        file = Path(normpath(folder / named))
        if not file.is_file():
            raise self.error(
                ("tasks", index, "spec"),
                f"there is no task spec {named!r}",
                expected="a file relative to the mixture",
                nearest=_nearest_file(named, folder),
            )
        return load_task(file)

    def __hash__(self) -> int:
        return hash((self.mixture, self.version))


def load_mixture(path: str | Path) -> Mixture:
    """Read a mixture and the task specs that it names.

    Raises:
        UserError: for a bad mixture, a spec that is missing or bad, one listed twice, or one that
            asks a task which is missing.
    """
    return validate(Mixture, parse_kind(Path(path), "mixture"))


def _nearest_file(name: str, folder: Path) -> str | None:
    """The YAML file whose relative path is most like `name`."""
    wanted = folder / name
    neighbours = wanted.parent.glob("*.yaml") if wanted.parent.is_dir() else ()
    return nearest(name, [str(Path(name).parent / p.name) for p in neighbours])
