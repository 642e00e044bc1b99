"""A run's tasks beside specialists: runs of the same tasks with fewer others, or none.

What is compared is not the same step but the same number of the task's own updates: a step of a
run of five tasks is an update of one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from unified_vl.errors import UserError, nearest
from unified_vl.evaluation.reporting.charts import Points, columns, thinned
from unified_vl.evaluation.reporting.svg import ACCENT, SOFT, WARM, inline, small_chart
from unified_vl.evaluation.results import read_events
from unified_vl.run_record import EVENTS, ScoreEvent, StepEvent, ValidationEvent, event_of


@dataclass
class Course:
    """How a task went, by the number of its own updates; losses in nats a target token.

    Attributes:
        training: (updates, loss).
        validation: (updates, loss) on its validation rows.
        scores: (updates, primary metric).
        metric: its name.
    """

    training: Points = field(default_factory=list)
    validation: Points = field(default_factory=list)
    scores: Points = field(default_factory=list)
    metric: str = ""


def courses_of(events: Iterable[Mapping[str, Any]]) -> dict[str, Course]:
    """The course of every task that was trained, by name."""
    found: dict[str, Course] = {}
    updates: dict[str, int] = {}
    for event in map(event_of, events):
        match event:
            case StepEvent():
                updates[event.task] = event.updates
                course = found.setdefault(event.task, Course())
                course.training.append((event.updates, event.loss))
            case ValidationEvent() if event.task in found:
                found[event.task].validation.append((updates[event.task], event.loss))
            case ScoreEvent() if event.task in found:
                found[event.task].scores.append((event.updates, event.score))
                found[event.task].metric = event.metric
    return found


def specialists(run: Path, others: Sequence[Path]) -> dict[str, tuple[str, Course]]:
    """For each task of a run the specialist among others, and how it went there.

    Args:
        run: the output directory of the run that is reported.
        others: output directories of runs that have some of its tasks, each task once.

    Returns:
        By task, the name of the other's directory and the task's course.

    Raises:
        UserError: for a directory that is none of a run, is `run` itself, has none of its tasks, or
            a task that another has, too.
    """
    tasks = list(courses_of(read_events(run / EVENTS)))
    found: dict[str, tuple[str, Course]] = {}
    for other in others:
        for task, course in _courses_beside(run, other, tasks).items():
            if task in found:
                raise UserError(
                    f"the task {task!r} is in {found[task][0]!r}, too",
                    file=other,
                    field="--beside",
                    expected="one run beside each task",
                )
            found[task] = (other.name or str(other), course)
    return found


def _courses_beside(run: Path, other: Path, tasks: Sequence[str]) -> dict[str, Course]:
    expected = "the output directory of a run of some of these tasks"
    if not other.is_dir():
        beside = [p.name for p in other.parent.glob("*")] if other.parent.is_dir() else []
        raise UserError(
            "there is no such folder",
            file=other,
            field="--beside",
            expected=expected,
            nearest=nearest(other.name, beside),
        )
    if other.resolve() == run.resolve():
        raise UserError("this is the run itself", file=other, field="--beside", expected=expected)
    theirs = courses_of(read_events(other / EVENTS))
    if not theirs:
        said = f"has no {EVENTS} with a step in it"
        raise UserError(said, file=other, field="--beside", expected=expected)
    shared = {task: course for task, course in theirs.items() if task in tasks}
    if not shared:
        raise UserError(
            f"has the tasks {', '.join(theirs)}, and this run {', '.join(tasks) or 'none'}",
            file=other,
            field="--beside",
            expected="a task that both have",
        )
    return shared


def beside(
    events: Iterable[Mapping[str, Any]], others: Mapping[str, tuple[str, Course]]
) -> list[dict[str, Any]]:
    """What the page draws of each task that has a specialist: a chart, and at the last number of
    updates that both have come to the two values and by how much the run is better."""
    found = []
    for task, own in courses_of(events).items():
        if task in others:
            name, other = others[task]
            found.append(
                {
                    "task": task,
                    "other": name,
                    "svg": Markup(_draw(task, own, other)),
                    "facts": list(_facts(own, other)),
                }
            )
    return found


def _facts(own: Course, other: Course) -> Iterable[tuple[str, int, float, float]]:
    """(what, updates, value in this run, value of the specialist)."""
    for what, here, there in (
        ("training loss", own.training, other.training),
        ("validation loss", own.validation, other.validation),
        (own.metric, own.scores, other.scores),
    ):
        if here and there and (what != own.metric or own.metric == other.metric):
            last = min(here[-1][0], there[-1][0])
            first = max(here[0][0], there[0][0])
            if first <= last:
                yield what, last, _at(here, last), _at(there, last)


def _at(points: Points, updates: int) -> float:
    """The value at the last point that is no later."""
    return [value for at, value in points if at <= updates][-1]


def _draw(task: str, own: Course, other: Course) -> str:
    ends = [p[-1][0] for c in (own, other) for p in (c.training, c.validation) if p]
    with small_chart(f"{task} beside", max(ends)) as (figure, axes):
        for course, style, width in ((other, "--", 1.0), (own, "-", 1.6)):
            colours = (SOFT, SOFT) if course is other else (ACCENT, WARM)
            both = zip((course.training, course.validation), colours, (0.6, 1.0), strict=True)
            for points, colour, alpha in both:
                axes.plot(
                    *columns(thinned(points)),
                    color=colour,
                    alpha=alpha,
                    linestyle=style,
                    linewidth=width,
                    marker="." if points is course.validation else None,
                )
        axes.set_ylim(bottom=0)
        return inline(figure, f"Loss of {task} over its updates, beside a specialist")
