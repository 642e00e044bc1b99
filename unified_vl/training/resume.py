"""How a training goes on from its last checkpoint, and what of it a checkpoint holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_vl.checkpoint_folders import PROGRESS, folder_of
from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.files import read_json_object
from unified_vl.run_record import CHECKPOINTS
from unified_vl.training import checkpoint
from unified_vl.training.beginning import RECORD, record_of
from unified_vl.training.course.continuation import before_of, go_on
from unified_vl.training.data_files import (
    changed_files,
    files_of,
    look_at,
    read_seen,
    refusal,
)
from unified_vl.training.distributed.agreement import together
from unified_vl.training.objectives.memory import load_memory
from unified_vl.training.record.changes import refuse_lost, settings_of, tell_changes
from unified_vl.training.record.fingerprints import NUMBER_OF_ROWS
from unified_vl.training.record.models import mend_best_model
from unified_vl.training.state import Training
from unified_vl.training.tuning.trained import refuse_others


def look_at_data(training: Training) -> None:
    """Take note of the files of the data, unless a resume has compared them already."""
    with together(training.process):
        if training.process.rank == 0 and not training.seen_files:
            training.seen_files.update(look_at(files_of(training.parts)))


def restore(training: Training, accept_changed_data: bool) -> int:
    """Put everything where the last checkpoint had it; returns the steps done then."""
    run, parts, journal = training.run, training.parts, training.journal
    changed: list[str] = []

    def check(folder: Path) -> None:
        saved = read_json_object(folder / PROGRESS).get("weights", {})
        refuse_others(saved, training.trained, run, folder)
        before = read_seen(folder / checkpoint.DATA)
        training.seen_files.update(look_at(files_of(parts), before))
        changed.extend(changed_files(before or training.seen_files, training.seen_files))
        if changed and not accept_changed_data:
            raise refusal(changed, folder)

    def may_differ(key: str) -> bool:
        return accept_changed_data and key.startswith(NUMBER_OF_ROWS)

    root = run.output / CHECKPOINTS
    state = checkpoint.load(
        root, training.engine, training.fingerprints, journal.say, check, may_differ
    )
    if state is None:  # killed before its first checkpoint
        with together(training.process):
            if training.process.rank == 0:
                refuse_lost(run)
        journal.say("there is no checkpoint yet: starting at the first step")
        journal.restart()
        return 0
    if state["step"] > run.last_step:
        raise run.error(
            ("steps" if run.epochs is None else "epochs",),
            f"the checkpoint has {state['step']} steps already",
            expected=f"at least {state['step']}",
        )
    told = go_on(training.rate, run, state)
    device = training.process.device
    load_memory(folder_of(root, state["step"]), parts.objectives, device)
    parts.schedule.load_state_dict(state["schedule"])
    training.drawn.update(state["drawn"])
    training.guard.load_state_dict(state["gradients"])
    training.best.load_state_dict(state["best"])
    if parts_of_balance := state.get("balance"):
        training.balance.load_state_dict(parts_of_balance)
    if training.engine.loss_scale is not None:
        training.engine.loss_scale.load_state_dict(state.get("loss_scale") or {})
    if "stopping" in state:
        training.stopping.load_state_dict(state["stopping"])
    training.bad_rows.known = state["bad_rows"]
    training.bad_rows.truncated = state.get("truncated", {})
    for task, began in state.get("windows", {}).items():
        parts.streams[task].go_on(*began)
    for task, lanes in state.get("lanes", {}).items():
        data = parts.streams[task].data
        assert isinstance(data, ShardedRows), "its fingerprint says so"
        data.go_on(lanes)
    for task, stream in parts.streams.items():  # their number stays limited
        stream.skipped.update(training.bad_rows.known.get(task, {}))
    journal.restart(state["journal"], state["step"])
    if settings := state.get("settings"):
        rates = (before_of(state), training.rate)
        tell_changes(settings, run, state["step"], journal, rates)
    if told is not None:
        journal.say(told)
    if changed:
        journal.note("changed_data", state["step"], files=changed)
        journal.say(f"going on with changed data: {', '.join(changed)}")
    if run.keep_best:
        mend_best_model(training.models, training.best, root, state["step"])
    return int(state["step"])


def progress_of(training: Training, step: int) -> dict[str, Any]:
    """What `restore` needs, beside the weights."""
    start = training.parts.start
    return {
        "step": step,
        "schedule": training.parts.schedule.state_dict(),
        "drawn": dict(training.drawn),
        "windows": {
            task: list(stream.began(training.drawn[task]))
            for task, stream in training.parts.streams.items()
            if stream.batch_tokens is not None
        },
        "lanes": {
            task: stream.data.state_at(training.drawn[task])
            for task, stream in training.parts.streams.items()
            if isinstance(stream.data, ShardedRows)
        },
        "journal": training.journal.state_dict(),
        "gradients": training.guard.state_dict(),
        "best": training.best.state_dict(),
        "balance": training.balance.state_dict(),
        "loss_scale": None if (scale := training.engine.loss_scale) is None else scale.state_dict(),
        "stopping": training.stopping.state_dict(),
        "bad_rows": training.bad_rows.known,
        "truncated": training.bad_rows.truncated,
        "fingerprints": dict(training.fingerprints),
        "learning_rate": training.rate.state_dict(),
        "weights": training.trained.state_dict(),
        "settings": settings_of(training.run),
        RECORD: start and record_of(training.run, start),
    }
