"""What a mixture asks of its schedule and its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.specs.objectives.keys import OBJECTIVES
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.specs.mixture import Mixture


def check_tasks_asked(spec: TaskSpec, tasks: Sequence[str]) -> None:
    """The tasks that rank or read its pictures must be learnt beside it: an evaluation would miss
    them when all is trained."""
    asked: list[tuple[tuple[str | int, ...], str | None]] = [
        (("score", index, "read_by"), score.read_by) for index, score in enumerate(spec.score)
    ]
    if spec.generate.rerank is not None:
        asked.append((("generate", "rerank", "task"), spec.generate.rerank.task))
    for place, name in asked:
        if name is not None and name not in tasks:
            raise spec.error(
                place,
                f"the mixture has no task {name!r}",
                expected="a task that is trained beside this one",
                nearest=nearest(name, tasks),
            )


def check_schedule(mixture: Mixture) -> None:
    """What the keys of a schedule ask of each other and of the tasks."""
    schedule = mixture.schedule
    idle = schedule.idle_key()
    if idle is not None:
        raise mixture.error(("schedule", *idle.path), idle.message, expected=idle.expected)
    misfit = None if mixture.balance is None else mixture.balance.misfit(schedule.update)
    if misfit is not None:
        raise mixture.error(("balance", *misfit.path), misfit.message, expected=misfit.expected)
    for index, entry in enumerate(mixture.tasks):
        if schedule.curriculum is not None and entry.difficulty is None:
            raise mixture.error(
                ("tasks", index), "has no `difficulty`, which the schedule's curriculum goes by"
            )
        if schedule.curriculum is not None and entry.from_round:
            raise mixture.error(
                ("tasks", index, "from_round"), "the schedule's curriculum decides this"
            )
    if all(entry.from_round for entry in mixture.tasks):
        raise mixture.error(
            ("tasks", 0, "from_round"), "no task begins", expected="from_round: 0 for one at least"
        )


def check_entry(mixture: Mixture, index: int, spec: TaskSpec) -> None:
    """What a mixture asks of a task."""
    entry = mixture.tasks[index]
    asked = [objective for name, objective in OBJECTIVES.items() if getattr(entry, name)]
    read = {key for objective in asked for key in objective.reads}
    for name, objective in OBJECTIVES.items():
        for key in objective.reads:
            if key != name and key in entry.model_fields_set and key not in read:
                raise mixture.error(("tasks", index, key), f"has no effect without `{name}`")
    for objective in asked:
        for problem in objective.rules(spec):
            place = ("tasks", index, *problem.path)
            raise mixture.error(place, problem.message, expected=problem.expected)
    changed = entry.adversarial
    if changed is not None and changed.places == "images" and not _reads_images(spec):
        raise mixture.error(
            ("tasks", index, "adversarial", "places"),
            f"the task {spec.task!r} reads no images as features",
            expected="words or all",
        )
    if mixture.tags == "family" and spec.family is None:
        raise mixture.error(
            ("tags",), f"the task {spec.task!r} has no `family`", expected="one in every task spec"
        )
    by_scores = mixture.schedule.scored_key
    if by_scores is not None and "validation" not in spec.data.splits:
        raise mixture.error(
            ("schedule", by_scores),
            f"the task {spec.task!r} has no validation split to go by",
            expected="a validation split under data.splits of every task",
        )
    by_distance = mixture.schedule.kind == "prioritized" and mixture.schedule.priority == "behind"
    if by_distance and not spec.primary.definition.higher_is_better:
        raise mixture.error(
            ("schedule", "priority"),
            f"the primary metric of task {spec.task!r}, {spec.primary.metric}, is better when "
            "lower, and is not behind 100",
            expected="progress",
        )


def check_stand_ins(mixture: Mixture, specs: Sequence[TaskSpec]) -> None:
    """The tasks in whose images' places texts stand: they have an image and tags alone, speak the
    languages, and are trained so that images and texts are alike."""
    tasks = [spec.task for spec in specs]
    for index, (entry, spec) in enumerate(zip(mixture.tasks, specs, strict=True)):
        if entry.text_as_image is None:
            continue
        place = ("tasks", index, "text_as_image", "task")
        name = entry.text_as_image.task
        if name not in tasks:
            raise mixture.error(
                place,
                f"the mixture has no task {name!r}",
                expected="one that describes images, and is trained beside this one",
                nearest=nearest(name, tasks),
            )
        at = tasks.index(name)
        if not mixture.tasks[at].contrast:
            raise mixture.error(
                place,
                f"the task {name!r} has no `contrast`, by which texts and images are alike",
                expected="a task with it",
            )
        shown = specs[at].fields_of(specs[at].source)
        if [specs[at].fields[each].of_kind.is_input_image for each in shown] != [True]:
            raise mixture.error(
                place,
                f"the source of the task {name!r} has more than an image and tags",
                expected="a task that describes images and asks nothing beside",
            )
        unknown = sorted(set(spec.data.languages) - set(specs[at].data.languages))
        if unknown:
            raise mixture.error(
                place,
                f"the task {name!r} does not speak {unknown[0]!r}",
                expected=f"a task in all languages of {spec.task!r}",
            )


def _reads_images(spec: TaskSpec) -> bool:
    """Whether places of images, or regions, stand in its source."""
    read = [spec.fields[name] for name in spec.fields_of(spec.source)]
    seen = [field for field in read if field.of_kind.is_seen or field.of_kind.has_features]
    return any(not field.in_codes for field in seen)
