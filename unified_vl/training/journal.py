"""What a run tells while it works: events on disk, a bar or lines on stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from unified_vl.files import write_atomically
from unified_vl.specs.run import Run

EVENTS = "events.jsonl"
SMOOTHING = 0.95  # of the loss that is shown: about the last 20 steps of a task


class Journal:
    """Writes OUTPUT/events.jsonl and shows progress; does nothing on ranks other than 0.

    Every `log_every` steps it writes one `step` event for each task that was trained
    since the last: its loss (the mean over those steps), its smoothed loss, the last
    learning rate and gradient norm, their target tokens, and the seconds of the run,
    which go on counting after a resume.

    Args:
        run: output, steps and log_every.
        writes: whether this is rank 0.
        progress: whether to show anything.
    """

    def __init__(self, run: Run, *, writes: bool, progress: bool = True) -> None:
        self.path = run.output / EVENTS
        self.steps = run.steps
        self.log_every = run.log_every
        self.writes = writes
        self.smoothed: dict[str, float] = {}
        self._pending: dict[str, dict[str, float]] = {}
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._step = self._first_step = 0
        self._file: TextIO | None = None
        self._console = Console(stderr=True, quiet=not (writes and progress), highlight=False)
        self._bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"), auto_refresh=False
        )
        self._bar_task = self._bar.add_task("", total=run.steps, pace="")
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
            self.smoothed = dict(state["smoothed"])
            self._pending = {task: dict(sums) for task, sums in state["pending"].items()}
        if self.writes and self.path.exists():
            kept = _events_until(self.path, step) if step else []
            write_atomically(self.path, "".join(f"{line}\n" for line in kept))
        if step:
            self._write({"event": "resume", "step": step})
            self.say(f"going on after step {step}")

    def __enter__(self) -> Journal:
        """Time counts and the bar shows from here."""
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

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume included."""
        return self._seconds_before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `open` goes on."""
        return {"seconds": self.seconds, "smoothed": self.smoothed, "pending": self._pending}

    def step(
        self,
        step: int,
        task: str,
        loss: float,
        lr: float,
        grad_norm: float,
        tokens: int,
        contrast: float | None = None,
    ) -> None:
        """Take note of step `step` (counted from 1), and of its contrastive loss if any."""
        before = self.smoothed.get(task, loss)
        self.smoothed[task] = SMOOTHING * before + (1 - SMOOTHING) * loss
        sums = self._pending.setdefault(task, {"steps": 0, "loss": 0.0, "tokens": 0})
        sums["steps"] += 1
        sums["loss"] += loss
        sums["tokens"] += tokens
        if contrast is not None:
            sums["contrast"] = sums.get("contrast", 0.0) + contrast
        sums["lr"], sums["grad_norm"] = lr, grad_norm
        self._done(step)

    def refused(self, step: int, task: str, reason: str) -> None:
        """Step `step` made no update."""
        self._write({"event": "refused", "step": step, "task": task, "reason": reason})
        self.say(f"step {step}, {task}: no update, {reason}")
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
            self._write({"event": "validation", "step": step, "task": task, "loss": loss})
        if losses:
            self.say(f"step {step}: validation loss {_list(losses)}")

    def skipped(self, task: str, rows: Mapping[str, str]) -> None:
        """The bad rows that a task skipped."""
        if rows:
            self._write({"event": "skipped", "task": task, "rows": len(rows)})
            first = next(iter(rows.values()))
            self.say(f"{task}: {len(rows)} bad rows skipped, the first: {first}")

    def note(self, event: str, step: int, **facts: Any) -> None:
        """Any other event."""
        self._write({"event": event, "step": step, **facts})

    def say(self, message: str) -> None:
        """A line for people."""
        self._console.print(message, markup=False, soft_wrap=True)

    def _log(self) -> None:
        for task, sums in self._pending.items():
            self._write(
                {
                    "event": "step",
                    "step": self._step,
                    "task": task,
                    "loss": sums["loss"] / sums["steps"],
                    "smoothed_loss": self.smoothed[task],
                    "lr": sums["lr"],
                    "grad_norm": sums["grad_norm"],
                    "seconds": round(self.seconds, 3),
                    "target_tokens": int(sums["tokens"]),
                    "steps": int(sums["steps"]),
                }
                | ({"contrast": sums["contrast"] / sums["steps"]} if "contrast" in sums else {})
            )
        self._pending = {}
        rate = (self._step - self._first_step) / max(time.monotonic() - self._started, 1e-9)
        left = int((self.steps - self._step) / max(rate, 1e-9))
        pace = f"{rate:.2f} steps/s, {left // 60}:{left % 60:02d} left"
        if self._live is not None:
            self._bar.update(self._bar_task, completed=self._step, pace=pace)
            self._losses.plain = f"loss {_list(self.smoothed)}"
        else:
            self.say(f"step {self._step}/{self.steps}: {pace}, loss {_list(self.smoothed)}")

    def _write(self, event: Mapping[str, Any]) -> None:
        if not self.writes:
            return
        if self._file is None:  # only now: a run that fails before leaves nothing behind
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()  # a checkpoint that follows must not be ahead of its events


def _list(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{task} {loss:.3f}" for task, loss in losses.items())


def _events_until(path: Path, step: int) -> list[str]:
    """The whole lines of an events file that belong to steps up to `step`."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line).get("step", 0) <= step:
                kept.append(line)
        except ValueError:  # the half line of a killed run
            continue
    return kept
