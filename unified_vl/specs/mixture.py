"""A mixture: which tasks are trained together, and how often each has its turn."""

from __future__ import annotations

from functools import partial
from os.path import normpath
from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr

from unified_vl.errors import nearest
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.balance import BalanceSpec
from unified_vl.specs.mixture_rules import (
    check_entry,
    check_schedule,
    check_stand_ins,
    check_tasks_asked,
)
from unified_vl.specs.objectives.keys import (
    OBJECTIVES,
    AdversarialKeys,
    AlignmentKeys,
    ContrastKeys,
    MaskedRegionClassesKeys,
    MaskedRegionFeaturesKeys,
    MatchingKeys,
    MomentumDistillationKeys,
    PhraseAlignmentKeys,
    TextAsImageKeys,
    TextContrastKeys,
)
from unified_vl.specs.reading.document import KEYS_OF, Name, Origin, Part, Version, Weight
from unified_vl.specs.reading.parse import validate
from unified_vl.specs.reading.spec_file import parse_kind
from unified_vl.specs.schedule import Batches, ScheduleSpec
from unified_vl.specs.spec import FileOrMade, Spec
from unified_vl.specs.task import TaskSpec, TaskTags, load_task
from unified_vl.specs.written import TASK_FILE


class GeneralTaskKeys(Part):
    """Of all tasks of a mixture."""

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


class MixtureTask(
    MaskedRegionClassesKeys,
    MaskedRegionFeaturesKeys,
    TextAsImageKeys,
    TextContrastKeys,
    AdversarialKeys,
    MomentumDistillationKeys,
    PhraseAlignmentKeys,
    AlignmentKeys,
    MatchingKeys,
    ContrastKeys,
    GeneralTaskKeys,
):
    """One task of a mixture."""


OBJECTIVES.keys_of(MixtureTask)


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
    balance: BalanceSpec | None = Field(
        default=None,
        description="How tasks of unlike losses and gradients are held in balance, beside their "
        "weights; they are not unless given.",
        examples=[{"kind": "running_loss"}],
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

    def told(self) -> str:
        names = ", ".join(spec.task for spec in self.specs)
        return f"{self.mixture}: {names or super().told()}"

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
        check_stand_ins(self, specs)
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


KEYS_OF["a mixture file"] = lambda: Mixture.model_fields
KEYS_OF["the tasks in a mixture file"] = lambda: MixtureTask.model_fields
FOLLOWERS.append(partial(Mixture.model_rebuild, force=True))
