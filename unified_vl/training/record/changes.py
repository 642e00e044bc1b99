"""What a start with `--resume` finds changed or lost, and says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.checkpoint_folders import POINTER
from unified_vl.errors import UserError
from unified_vl.json_text import written_lines
from unified_vl.run_record import BEST_MODEL, CHECKPOINTS, EVENTS, MODEL
from unified_vl.specs.run import Run
from unified_vl.training.learning_rate import LearningRate
from unified_vl.training.record.journal import Journal

# keys that are fingerprints, name places, or change nothing of what is trained
NOT_TOLD = frozenset(
    {
        "run",
        "version",
        "seed",
        "mixture",
        "data",
        "tokenizer",
        "output",
        "batch_size",
        "batch_tokens",
        "model",
        "augment",
        "teacher",
    }
    | {"engine", "max_source_tokens", "max_target_tokens", "log_every", "trackers", "hang_timeout"}
    | {"peak_tflops"}
)


def refuse_lost(run: Run) -> None:
    """An output without a checkpoint may not be that of a run which had some.

    Raises:
        UserError: naming what shows that there were checkpoints.
    """
    output = run.output
    traces = [output / MODEL, output / BEST_MODEL, output / CHECKPOINTS / POINTER]
    trace = next((str(path) for path in traces if path.exists()), None)
    last = _last_step(output / EVENTS)
    if trace is None and last > run.checkpoint_every:
        trace = f"step {last} in {output / EVENTS}"
    if trace is not None:
        raise UserError(
            f"there is {trace}, but no checkpoint to go on from",
            file=output / CHECKPOINTS,
            expected="the checkpoints that were here, or another output directory",
        )


def _last_step(events: Path) -> int:
    """The last step that a record tells of."""
    last = 0
    for _, event in written_lines(events.read_bytes().split(b"\n") if events.is_file() else ()):
        step = (event or {}).get("step")
        last = max(last, step) if isinstance(step, int) else last  # others are of no step
    return last


@dataclass(frozen=True)
class Change:
    """A key of the run file that a resume finds at another value."""

    key: str
    before: Any
    now: Any


def settings_of(run: Run) -> dict[str, Any]:
    """The keys of a run that may change between two starts, as JSON values."""
    return run.model_dump(mode="json", exclude=set(NOT_TOLD))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The keys, dotted, whose values differ."""
    old, new = dict(_flat(before)), dict(_flat(now))
    return [Change(key, old[key], new[key]) for key in new if key in old and old[key] != new[key]]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _told(value: Any) -> str:
    """A value as a run file has it."""
    return "not given" if value is None else json.dumps(value, ensure_ascii=False).strip('"')


def tell_changes(
    before: Mapping[str, Any],
    run: Run,
    step: int,
    journal: Journal,
    rates: tuple[LearningRate, LearningRate],
) -> None:
    """An event and a line for each changed key, and for what the learning rate does then.

    Args:
        before: `settings_of` the run that wrote the checkpoint.
        step: of the checkpoint.
        rates: before and now.
    """
    found = changes(before, settings_of(run))
    for change in found:
        journal.note("changed", step, key=change.key, before=change.before, now=change.now)
        journal.say(f"{change.key} was {_told(change.before)} and is {_told(change.now)} from here")
    if not any(change.key.partition(".")[0] in ("steps", "optimizer") for change in found):
        return
    old, new = rates[0].at(max(step - 1, 0)), rates[1].at(min(step, run.last_step - 1))
    journal.note("changed", step, key="learning rate", before=old, now=new)
    journal.say(f"the learning rate was {old:.4g} at step {step} and is {new:.4g} at the next")
