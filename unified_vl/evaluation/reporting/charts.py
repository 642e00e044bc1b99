"""Curves: those of the report as SVG that takes its colours from the page around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.evaluation.reporting.svg import ACCENT, LINE, SOFT, WARM, inline, small_chart
from unified_vl.extras import require
from unified_vl.run_record import (
    DRAWN,
    Event,
    ScoreEvent,
    StepEvent,
    StopAndGoEvent,
    ValidationEvent,
    event_of,
)

FEW_POINTS = 3  # of which a curve shows each
MOST_POINTS = 160  # of a curve; more only makes the page heavy
Points = list[tuple[int, float]]


@dataclass
class Curve:
    """What one task did over the steps of the run; losses in nats a target token.

    Attributes:
        training: (step, loss) of its own updates.
        validation: (step, loss) on the validation split.
        scores: (step, primary metric, 0 to 100) on validation rows.
        metric: its name; empty where there are no scores.
        rests: (first, last) step of each time that it rested; the last None to the end.
        updates: batches that it trained on.
        epochs: how often it saw its training rows.
        tokens: target tokens that it trained on.
        speeds: how fast its steps were, of each event that says it.
    """

    training: Points = field(default_factory=list)
    validation: Points = field(default_factory=list)
    scores: Points = field(default_factory=list)
    metric: str = ""
    rests: list[tuple[int, int | None]] = field(default_factory=list)
    updates: int = 0
    epochs: float = 0.0
    tokens: int = 0
    speeds: list[Mapping[str, float]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw: the task has had no step, nor a score."""
        return not (self.training or self.validation or self.scores)


def curves_of(events: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """The curves of every task in a run's events, in the order of their first event."""
    curves: dict[str, Curve] = {}
    for values in events:
        event = event_of(values)
        if isinstance(event, DRAWN):
            _add(curves.setdefault(event.task, Curve()), event)
    return curves


def _add(curve: Curve, event: Event) -> None:
    match event:
        case StepEvent():
            curve.training.append((event.step, event.loss))
            curve.updates, curve.epochs = event.updates, event.epochs
            curve.tokens += event.target_tokens
            if event.speed:
                curve.speeds.append(event.speed)
        case ValidationEvent() if curve.training:
            # before it joins, a task's loss is that of what it never saw
            curve.validation.append((event.step, event.loss))
        case ScoreEvent():
            curve.scores.append((event.step, event.score))
            curve.metric = event.metric
        case StopAndGoEvent(state="STOP"):
            curve.rests.append((event.step, None))
        case StopAndGoEvent() if curve.rests:
            curve.rests[-1] = (curve.rests[-1][0], event.step)


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> Points:
    """At most `most` points: means of equal runs of neighbours."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // most)
    runs = [points[i : i + size] for i in range(0, len(points), size)]
    return [
        (round(sum(s for s, _ in run) / len(run)), sum(v for _, v in run) / len(run))
        for run in runs
    ]


def draw_curve(name: str, curve: Curve, steps: int) -> str:
    """One task's curves as an inline SVG element.

    Args:
        name: of the task; seeds the ids within the SVG.
        curve: what to draw.
        steps: of the whole run, the end of the axis, the same for all tasks.
    """
    with small_chart(name, steps) as (figure, axes):
        axes.plot(
            *columns(thinned(curve.training)),
            color=ACCENT,
            alpha=0.45,
            linewidth=1.1,
            marker=_marker(curve.training),
            markersize=2.6,
            clip_on=False,  # a point at the end of the axis is whole
        )
        axes.plot(
            *columns(thinned(curve.validation)),
            color=WARM,
            linewidth=1.8,
            marker="o",
            markersize=2.6,
            clip_on=False,
        )
        for first, last in curve.rests:
            axes.axvspan(first, steps if last is None else last, color=LINE, linewidth=0)
        if curve.scores:
            percent = axes.twinx()
            marker = _marker(curve.scores)
            points = columns(curve.scores)
            percent.plot(*points, color=SOFT, linewidth=1.2, linestyle=":", marker=marker)
            percent.set_ylim(0, 100)
            percent.axis("off")
        axes.set_ylim(bottom=0)
        return inline(figure, f"Loss of {name} over {steps} steps")


def draw_timeline(tasks: Sequence[str], rounds: Sequence[Sequence[str]], path: Path) -> None:
    """Draw a row a task with a mark in each round that it trains in.

    Raises:
        UserError: for a file ending that matplotlib does not know.
    """
    require("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.9 + 0.35 * len(tasks)), layout="constrained")
    axes = figure.add_subplot()
    for row, task in enumerate(tasks):
        trained = [(number, 1) for number, names in enumerate(rounds) if task in names]
        axes.broken_barh(trained, (row - 0.35, 0.7), facecolors=f"C{row}")
    axes.set_yticks(range(len(tasks)), tasks)
    axes.invert_yaxis()
    axes.set_xlim(0, len(rounds))
    axes.set_xlabel("round")
    _save(figure, path)


def draw_transfer(report: Mapping[str, Any], path: Path) -> None:
    """Draw what transferred captions score over the size of the collection.

    Args:
        report: of `evaluate_transfer`.
        path: the file to write.

    Raises:
        UserError: for a file ending that matplotlib does not know.
    """
    require("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    sizes = [int(size) for size in report["transferred"]]
    for number, (metric, own) in enumerate(report["own"]["metrics"].items()):
        values = [of["metrics"][metric] for of in report["transferred"].values()]
        axes.plot(sizes, values, color=f"C{number}", marker="o", label=metric)
        axes.axhline(own, color=f"C{number}", linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("images of the collection; dashed: the model's own captions")
    figure.legend(loc="outside upper center", ncols=len(report["own"]["metrics"]), frameon=False)
    _save(figure, path)


def check_drawable(path: Path) -> None:
    """That a figure can be drawn into a file of this name, before hours are spent.

    Raises:
        UserError: for a file ending that matplotlib does not know.
    """
    require("matplotlib")
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lower().removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise UserError("cannot be drawn", file=path, expected=".svg or .png")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except (ValueError, OSError) as error:
        raise UserError(f"cannot be drawn: {error}", file=path, expected=".svg or .png") from error


def _marker(points: Points) -> str | None:
    """A dot a point where they are so few that a line would hardly be seen, or not at all."""
    return "o" if len(points) <= FEW_POINTS else None


def columns(points: Points) -> tuple[list[int], list[float]]:
    """What is drawn to the right, and what upwards."""
    return [step for step, _ in points], [value for _, value in points]
