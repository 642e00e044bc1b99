"""Checkpoints that are either whole or not there.

A checkpoint is written into a folder of its own, all ranks wait for each other, rank 0
lists every file with size and sha256 in a manifest, brings all to disk, and only then
replaces the pointer. A start takes the checkpoint of the pointer, or, when that does
not verify, the newest that does. (DeepSpeed's own would publish its `latest` before all
shards exist.) Where a write fails on any rank, the half-written folder goes on all.

    OUTPUT/checkpoints/pointer.json
    OUTPUT/checkpoints/step-00000500/manifest.json, progress.json, data.json, state/...
                                     config.json, tokenizer/...

The weights and the optimiser's state are safetensors (`shards.py`), the rest is JSON.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unified_vl.checkpoint_folders import (
    MANIFEST,
    POINTER,
    PROGRESS,
    describe,
    files_of,
    folder_of,
    folders,
    newest,
)
from unified_vl.errors import TrainingEnded, UserError
from unified_vl.files import sync, sync_below, telling_disk_full, write_atomically
from unified_vl.json_text import parse_json
from unified_vl.training.distributed.agreement import together
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.record.differences import ROWS, differences

DATA = "data.json"


def save(
    root: Path,
    step: int,
    engine: Engine,
    progress: Mapping[str, Any],
    keep: int,
    best: int | None = None,
    data: str = "{}",
    describe_model: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write the checkpoint of `step` under `root` and forget all but the last `keep`.

    The best one of each that is kept stays too, so that a start from any of them has it.

    Args:
        root: OUTPUT/checkpoints.
        step: steps done.
        engine: writes model and optimiser.
        progress: what else a resume needs, as JSON values, the same on all ranks.
        keep: checkpoints to keep, this one included.
        best: step of the best one.
        data: `data_files.to_json` of the files that were read.
        describe_model: writes into a folder what its weights are of.

    Raises:
        DiskFull: when a rank has no room for it; the checkpoints before it are untouched.
        OSError: when it cannot be written for another reason.
        EndedElsewhere: on the other ranks.
    """
    folder = folder_of(root, step)
    first = engine.process.rank == 0
    no_room = (
        f"no room for the checkpoint {folder}; those before it are whole: make room, then go on "
        "with --resume"
    )
    try:
        with together(engine.process):
            if first:
                _remove(folder)  # what a killed run left
                if left := files_of(folder):
                    raise OSError(errno.EBUSY, "cannot be removed", str(left[0]))
        with together(engine.process), telling_disk_full(no_room):
            engine.save(folder)
        with together(engine.process), telling_disk_full(no_room):
            if first:
                write_atomically(folder / PROGRESS, json.dumps(progress))
                write_atomically(folder / DATA, data)
                describe_model(folder)
                write_manifest(folder)
                write_atomically(root / POINTER, json.dumps({"checkpoint": folder.name}))
                sync(root / POINTER)
                sync(root)
    except (OSError, UserError, TrainingEnded):
        if first:
            shutil.rmtree(folder, ignore_errors=True)
            (root / f"{POINTER}.partial").unlink(missing_ok=True)
        raise
    with together(engine.process):
        if first:
            _prune(root, step, keep, best)


def load(
    root: Path,
    engine: Engine,
    fingerprints: Mapping[str, str],
    say: Callable[[str], None] | None = None,
    check: Callable[[Path], None] | None = None,
    may_differ: Callable[[str], bool] = lambda key: False,
) -> dict[str, Any] | None:
    """Restore the newest checkpoint that is whole; returns its progress.

    Returns None where no checkpoint was ever completed.

    Args:
        root: OUTPUT/checkpoints.
        engine: reads model and optimiser.
        fingerprints: what must be as it was, by name.
        say: told which checkpoints were passed over, and why.
        check: looks at the checkpoint's folder before it is read, on rank 0.
        may_differ: which fingerprints may be others.

    Raises:
        UserError: when no checkpoint is whole, a fingerprint differs, or `check` says so.
    """
    name = None
    with together(engine.process):
        if engine.process.rank == 0:
            name = newest(root, say)
    name = engine.process.from_first(name)
    if name is None:
        return None
    folder = root / name
    progress: dict[str, Any] = parse_json((folder / PROGRESS).read_text(encoding="utf-8"))
    saved = progress["fingerprints"]
    # how many rows there are is told by the files, where those are looked at
    _refuse_another_run(
        folder, saved, fingerprints, lambda key: key.startswith(ROWS) or may_differ(key)
    )
    with together(engine.process):
        if engine.process.rank == 0 and check is not None:
            check(folder)
    _refuse_another_run(folder, saved, fingerprints, may_differ)
    engine.load(folder)
    return progress


def _refuse_another_run(
    folder: Path,
    saved: Mapping[str, str],
    now: Mapping[str, str],
    may_differ: Callable[[str], bool],
) -> None:
    """Raise where a checkpoint's fingerprints are not those of this run."""
    told = differences(
        {key: value for key, value in saved.items() if not may_differ(key)},
        {key: value for key, value in now.items() if not may_differ(key)},
    )
    if told:
        raise UserError(
            f"{', '.join(told)}: this checkpoint is of another run",
            file=folder,
            expected="the same tasks, data, tokenizer, model, seed, batch size and engine, "
            "or another output directory; a run of its own starts from these weights with "
            f"model.from: {folder.parent.parent}",
        )


def write_manifest(folder: Path) -> None:
    """List every file below `folder` with size and sha256, and bring them to disk."""
    files = {path.relative_to(folder).as_posix(): describe(path) for path in files_of(folder)}
    write_atomically(folder / MANIFEST, json.dumps({"files": files}, indent=1))
    sync_below(folder)


def _prune(root: Path, step: int, keep: int, best: int | None) -> None:
    """Keep the last `keep` up to `step` and the best ones; later ones are of a future given up."""
    steps = {int(folder.name.partition("-")[2]): folder for folder in folders(root)}
    last = [number for number in steps if number <= step][-keep:]
    kept = {best, *last, *(_best_of(steps[number]) for number in last)}
    for number, folder in steps.items():
        if number not in kept:
            _remove(folder)


def _best_of(folder: Path) -> int | None:
    """The step of the checkpoint that was the best when this one was written."""
    try:
        step = parse_json((folder / PROGRESS).read_text(encoding="utf-8"))["best"]["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if step is None else int(step)


def _remove(path: Path) -> None:
    """Remove a folder, or a link or file in its place; what cannot go is no checkpoint then."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        (path / MANIFEST).unlink(missing_ok=True)  # first: a half of it is none
        shutil.rmtree(path, ignore_errors=True)
