"""What a run tells while it works: events on disk, a bar or lines on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from unified_vl.errors import number_of
from unified_vl.files import write_atomically
from unified_vl.json_text import written_lines
from unified_vl.run_record import (
    AT_THE_END,
    DRAWN,
    EVENTS,
    Event,
    GradientsEvent,
    Note,
    NoteEvent,
    RefusedEvent,
    ResumeEvent,
    ScoreEvent,
    SkippedEvent,
    StepEvent,
    StopAndGoEvent,
    TruncatedEvent,
    ValidationEvent,
)
from unified_vl.specs.run import Run
from unified_vl.streams import unbroken
from unified_vl.training.record.running_mean import RunningMean
from unified_vl.training.record.speed import SpeedMeter
from unified_vl.training.record.trackers import Tracker, numbers_of, start_trackers
from unified_vl.training.schedules.stop_and_go import Transition
from unified_vl.training.update import TaskLoss

BESIDE = "beside "  # before the name of an objective, among sums that others of a step are in


class Journal:
    """Writes OUTPUT/events.jsonl and shows progress; does nothing on ranks other than 0.

    Every `log_every` steps it writes one `step` event for each task that was trained
    since the last: its loss (the mean over its batches), its smoothed loss, the last
    learning rate and gradient norm, their target tokens and density, the seconds of the run,
    which go on counting after a resume, how fast the steps were, how many updates the task has made
    in all, and how many epochs of its rows it has seen; those of refused updates are seen.

    Args:
        run: output, steps, batch_size and log_every.
        rows: of each task's training split.
        writes: whether this is rank 0.
        progress: whether to show anything.
        meter: how fast the steps are.
    """

    def __init__(
        self,
        run: Run,
        rows: Mapping[str, int],
        *,
        writes: bool,
        progress: bool = True,
        meter: SpeedMeter | None = None,
    ) -> None:
        self._run = run
        self.meter = SpeedMeter() if meter is None else meter
        self._trackers: list[Tracker] = []
        self.path = run.output / EVENTS
        self.steps = run.last_step
        self.batch_size = run.rows
        self.rows = dict(rows)
        self.log_every = run.log_every
        self.writes = writes
        self._means: dict[str, RunningMean] = {}
        self._pending: dict[str, dict[str, float]] = {}
        self._updates: dict[str, int] = {}
        self._seen: dict[str, int] = {}  # rows, those of refused updates included
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._step = self._first_step = 0
        self._file: TextIO | None = None
        self._console = Console(
            file=unbroken(sys.stderr), quiet=not (writes and progress), highlight=False
        )
        self._bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"), auto_refresh=False
        )
        self._bar_task = self._bar.add_task("", total=run.last_step, pace="")
        self._losses = Text()
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.quiet:
            view = Group(self._bar, self._losses)
            self._live = Live(view, console=self._console, refresh_per_second=4)

    def restart(self, state: Mapping[str, Any] | None = None, step: int = 0) -> None:
        """Go on after `step` with what `state_dict` gave there, or from the beginning.

        Events of later steps, which the run repeats, are dropped.
        """
        self._step = self._first_step = step
        if state is not None:
            self._seconds_before = float(state["seconds"])
            means = state.get("means", {})
            self._means = {task: RunningMean(*mean) for task, mean in means.items()}
            self._pending = {task: dict(sums) for task, sums in state["pending"].items()}
            drawn = state.get("drawn", {})  # of a checkpoint that told neither apart
            self._updates = dict(state.get("updates", drawn))
            batches = state.get("seen", drawn)  # likewise
            rows = {task: number * self.batch_size for task, number in batches.items()}
            self._seen = dict(state.get("rows_seen", rows))
        if self.writes and self.path.exists():
            kept, broken = events_until(self.path, step)
            if broken:
                self.say(f"{self.path}: {broken} broken lines left out")
            write_atomically(self.path, "".join(f"{line}\n" for line in kept if step))
        if step:
            self._write(ResumeEvent(step=step))
            self.say(f"going on after step {step}")

    def __enter__(self) -> Journal:
        """Time counts and the bar shows from here."""
        if self.writes:
            self._trackers = start_trackers(self._run, self._step)
        self._started = time.monotonic()
        self._bar.update(self._bar_task, completed=self._step)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self._file is not None:
            self._file.close()
        for tracker in self._trackers:
            tracker.close()

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume included."""
        return self._seconds_before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `open` goes on."""
        return {
            "seconds": self.seconds,
            "means": {task: [mean.sum, mean.weight] for task, mean in self._means.items()},
            "pending": self._pending,
            "updates": self._updates,
            "rows_seen": self._seen,
        }

    def update(self, step: int, losses: Sequence[TaskLoss], lr: float, grad_norm: float) -> None:
        """Take note of the update of step `step` (counted from 1) and its batches' losses."""
        for told in losses:
            self._means.setdefault(told.task, RunningMean()).add(told.loss)
            sums = self._pending.setdefault(told.task, {"steps": 0, "loss": 0.0, "tokens": 0})
            sums["steps"] += 1
            sums["loss"] += told.loss
            sums["tokens"] += told.tokens
            sums["density"] = sums.get("density", 0.0) + told.density
            for name, loss in told.objectives.items():
                sums[BESIDE + name] = sums.get(BESIDE + name, 0.0) + loss
            sums["lr"], sums["grad_norm"] = lr, grad_norm
            if told.factor is not None:
                sums["balance"] = told.factor
            self._updates[told.task] = self._updates.get(told.task, 0) + 1
            self._see(told.task, told.rows)
        self._done(step)

    def _see(self, task: str, rows: int | None) -> None:
        rows = self.batch_size if rows is None else rows
        self._seen[task] = self._seen.get(task, 0) + rows

    def refused(
        self, step: int, tasks: Sequence[str], reason: str, rows: Sequence[int] | None = None
    ) -> None:
        """Step `step`, with a batch of each of `tasks`, made no update.

        Args:
            rows: of each batch; as many as always unless given.
        """
        for place, task in enumerate(tasks):
            self._see(task, None if rows is None else rows[place])
        name = name_of_update(tasks)
        self._write(RefusedEvent(step=step, task=name, reason=reason))
        self.say(f"step {step}, {name}: no update, {reason}")
        self._done(step)

    def _done(self, step: int) -> None:
        self._step = step
        if step % self.log_every == 0 or step == self.steps:
            self._log()
        elif self._live is not None:
            self._bar.update(self._bar_task, completed=step)

    def validation(self, step: int, losses: Mapping[str, float]) -> None:
        """The validation losses after step `step`."""
        for task, loss in losses.items():
            self._write(ValidationEvent(step=step, task=task, loss=loss))
        if losses:
            self.say(f"step {step}: validation loss {_list(losses)}")

    def score(self, step: int, task: str, metric: str, score: float) -> None:
        """A task's primary metric on validation rows."""
        updates = self._updates.get(task, 0)
        self._write(ScoreEvent(step=step, task=task, metric=metric, score=score, updates=updates))
        self.say(f"step {step}: {task} {metric} {score:.2f}")

    def transition(self, step: int, told: Transition) -> None:
        """A task rests from now on, or trains again."""
        self._write(StopAndGoEvent(step=step, task=told.task, state=told.state, reason=told.reason))
        self.say(f"step {step}: {told.task} {told.state} ({told.reason})")

    def gradients(self, event: GradientsEvent) -> None:
        """How large and how alike the gradients of the tasks are."""
        self._write(event)

    def skipped(self, task: str, rows: Mapping[str, str]) -> None:
        """The bad rows that a task skipped."""
        if rows:
            self._write(SkippedEvent(task=task, rows=len(rows)))
            first = next(iter(rows.values()))
            self.say(f"{task}: {len(rows)} bad rows skipped, the first: {first}")

    def truncated(self, task: str, rows: Sequence[str]) -> None:
        """The rows that a task read though an image of theirs is truncated."""
        self._write(TruncatedEvent(task=task, rows=len(rows)))
        self.say(
            f"{task}: {number_of(len(rows), 'row')} with truncated images, the first: {rows[0]}"
        )

    def note(self, name: Note, step: int, **facts: Any) -> None:
        """Any other event."""
        self._write(NoteEvent(name=name, step=step, facts=facts))

    def say(self, message: str) -> None:
        """A line for people."""
        self._console.print(message, markup=False, soft_wrap=True)

    def settle(self) -> None:
        """Write what of the steps so far is not written: the run ends before its last step."""
        if self._pending:
            self._log()

    def _log(self) -> None:
        for task, sums in self._pending.items():
            self._write(
                StepEvent(
                    step=self._step,
                    task=task,
                    loss=sums["loss"] / sums["steps"],
                    smoothed_loss=self._means[task].value,
                    lr=sums["lr"],
                    grad_norm=sums["grad_norm"],
                    seconds=round(self.seconds, 3),
                    speed=self.meter.take(task),
                    target_tokens=int(sums["tokens"]),
                    density=round(sums.get("density", 0.0) / sums["steps"], 4),
                    steps=int(sums["steps"]),
                    updates=self._updates[task],
                    epochs=self._epochs(task),
                    balance=sums.get("balance"),
                    objectives={
                        name.removeprefix(BESIDE): value / sums["steps"]
                        for name, value in sums.items()
                        if name.startswith(BESIDE)
                    },
                )
            )
        self._pending = {}
        smoothed = _list({task: mean.value for task, mean in self._means.items()})
        rate = (self._step - self._first_step) / max(time.monotonic() - self._started, 1e-9)
        left = int((self.steps - self._step) / max(rate, 1e-9))
        speed = ", ".join(filter(None, (f"{rate:.2f} steps/s", self.meter.line())))
        pace = f"{speed}, {left // 60}:{left % 60:02d} left"
        if self._live is not None:
            self._bar.update(self._bar_task, completed=self._step, pace=pace)
            self._losses.plain = f"loss {smoothed}"
        else:
            self.say(f"step {self._step}/{self.steps}: {pace}, loss {smoothed}")

    def _epochs(self, task: str) -> float:
        """How often a task's training rows have been seen; 0 of rows that nobody counts."""
        rows = self.rows.get(task)
        return 0.0 if rows is None else round(self._seen[task] / rows, 4)

    def _write(self, event: Event) -> None:
        if not self.writes:
            return
        if self._file is None:  # only now: a run that fails before leaves nothing behind
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps(event.to_json()) + "\n")
        self._file.flush()  # a checkpoint that follows must not be ahead of its events
        if isinstance(event, DRAWN):
            for tracker in self._trackers:
                tracker.log(event.step, numbers_of(event))


def _list(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{task} {loss:.3f}" for task, loss in losses.items())


def name_of_update(tasks: Sequence[str]) -> str:
    """The tasks of an update, each once: `see + say` for a joint one."""
    return " + ".join(dict.fromkeys(tasks))


def events_until(path: Path, step: int) -> tuple[list[str], int]:
    """The lines of an events file that belong to steps up to `step`, and how many are broken.

    The last line of a killed run may be half, which is no more than that it was killed; nor
    is what a run says at its end kept, because a run that goes on says it again.
    """
    *lines, last = path.read_bytes().split(b"\n")
    kept, broken = [], 0
    said_again = {each.kind for each in AT_THE_END}
    for line, event in written_lines((*lines, last)):
        number = (event or {}).get("step", 0)
        if event is None or "event" not in event or not isinstance(number, int | float):
            broken += line is not last
        elif event["event"] not in said_again and number <= step:
            kept.append(line.decode("utf-8"))
    return kept, broken
