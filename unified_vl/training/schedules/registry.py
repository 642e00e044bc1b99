"""The schedules that a mixture may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from unified_vl.specs import schedule as specs
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.schedule import ScheduleVariant
from unified_vl.specs.task import TaskSpec
from unified_vl.training.schedules.prioritized import PRIORITIZED
from unified_vl.training.schedules.round_robin import ROUND_ROBIN
from unified_vl.training.schedules.sampled import SAMPLED
from unified_vl.training.schedules.schedule import Rules, Schedule, ScheduleKind, Turns

SCHEDULES = {kind.name: kind for kind in (ROUND_ROBIN, SAMPLED, PRIORITIZED)}


def register(kind: ScheduleKind) -> None:
    """Let mixtures name a schedule, from now on and in this process.

    Raises:
        ValueError: for a name that is taken, or a key without a default or with another meaning.
    """
    specs.SCHEDULES.add(
        ScheduleVariant(kind.name, kind.keys, kind.rules, goes_by_scores=kind.goes_by_scores)
    )
    SCHEDULES[kind.name] = kind


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    specs.SCHEDULES.remove(name)
    del SCHEDULES[name]


def joining_rounds(mixture: Mixture) -> dict[str, int]:
    """The first round of each task: as it says, or by the levels of difficulty."""
    entries = {spec.task: entry for spec, entry in zip(mixture.specs, mixture.tasks, strict=True)}
    curriculum = mixture.schedule.curriculum
    if curriculum is None:
        return {task: entry.from_round for task, entry in entries.items()}
    difficulty = {task: entry.difficulty or 0.0 for task, entry in entries.items()}
    levels = sorted(set(difficulty.values()), reverse=curriculum.order == "hard_first")
    return {task: levels.index(difficulty[task]) * curriculum.rounds for task in entries}


def lower_is_better(specs: Iterable[TaskSpec]) -> frozenset[str]:
    """Names of the tasks whose primary metric is better when it is lower."""
    return frozenset(s.task for s in specs if not s.primary.definition.higher_is_better)


def make_schedule(
    mixture: Mixture,
    rows: Mapping[str, int],
    seed: int,
) -> Schedule:
    """The schedule that a mixture asks for.

    Args:
        mixture: the tasks and how they take turns.
        rows: of each task's training split; read only where shares go by rows.
        seed: of what is drawn.
    """
    names = tuple(spec.task for spec in mixture.specs)
    batches = dict(zip(names, (entry.batches for entry in mixture.tasks), strict=True))
    spec = mixture.schedule
    rules = Rules(
        seed=seed,
        from_round=joining_rounds(mixture),
        joint=spec.update == "joint",
        stop_and_go=spec.stop_and_go,
        lower_is_better=lower_is_better(mixture.specs),
    )
    return SCHEDULES[spec.kind].make(Turns(spec, names, batches, rows, rules))
