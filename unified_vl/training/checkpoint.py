"""Checkpoints that are either whole or not there.

A checkpoint is written into a folder of its own, all ranks wait for each other, rank 0
lists every file with size and sha256 in a manifest, brings all to disk, and only then
replaces the pointer. A start takes the checkpoint of the pointer, or, when that does
not verify, the newest that does. (DeepSpeed's own would publish its `latest` before all
shards exist.) Where a write fails on any rank, the half-written folder goes on all.

    OUTPUT/checkpoints/pointer.json
    OUTPUT/checkpoints/step-00000500/manifest.json, progress.json, data.json, state/...

The weights and the optimiser's state are safetensors (`shards.py`), the rest is JSON.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from unified_vl.errors import TrainingEnded, UserError
from unified_vl.files import parse_json, sync, sync_below, telling_disk_full, write_atomically
from unified_vl.training.distributed.agreement import together
from unified_vl.training.distributed.engine import STATE, Engine
from unified_vl.training.distributed.shards import SHARDS
from unified_vl.training.record.differences import ROWS, differences

POINTER = "pointer.json"
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
DATA = "data.json"
FOLDER = re.compile(r"step-(\d{8,})")


def save(
    root: Path,
    step: int,
    engine: Engine,
    progress: Mapping[str, Any],
    keep: int,
    best: int | None = None,
    data: str = "{}",
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
                if left := _files(folder):
                    raise OSError(errno.EBUSY, "cannot be removed", str(left[0]))
        with together(engine.process), telling_disk_full(no_room):
            engine.save(folder)
        with together(engine.process), telling_disk_full(no_room):
            if first:
                write_atomically(folder / PROGRESS, json.dumps(progress))
                write_atomically(folder / DATA, data)
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
            "or another output directory",
        )


def newest(root: Path, say: Callable[[str], None] | None = None) -> str | None:
    """The name of the checkpoint to start from; None where none was ever completed.

    Args:
        root: OUTPUT/checkpoints.
        say: told which were passed over, and why.

    Raises:
        UserError: when there are checkpoints and none of them is whole.
    """
    folders = _folders(root)
    names = [folder.name for folder in reversed(folders)]
    try:
        pointed = parse_json((root / POINTER).read_text(encoding="utf-8"))["checkpoint"]
    except (OSError, ValueError, KeyError, TypeError):
        pointed = None
    if pointed in names:
        names.remove(pointed)
        names.insert(0, pointed)
    faults: list[str] = []
    for name in names:
        fault = find_fault(root / name)
        if fault is None:
            if say is not None and faults:
                say(f"starting from {name}, not from {'; '.join(faults)}")
            return name
        faults.append(f"{name}: {fault}")
    if not (root / POINTER).exists() and not any((f / MANIFEST).exists() for f in folders):
        return None  # killed while it wrote its first
    if faults:
        raise UserError(f"no checkpoint is whole ({'; '.join(faults)})", file=root)
    return None


def write_manifest(folder: Path) -> None:
    """List every file below `folder` with size and sha256, and bring them to disk."""
    files = {path.relative_to(folder).as_posix(): _describe(path) for path in _files(folder)}
    write_atomically(folder / MANIFEST, json.dumps({"files": files}, indent=1))
    sync_below(folder)


def find_fault(folder: Path) -> str | None:
    """What keeps a checkpoint from being whole; None when all its files are as listed.

    What an operating system leaves in a folder is none of it (`.DS_Store`, `.nfs0001`), nor any
    file that no rank would read.
    """
    try:
        manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return "it has no readable manifest"
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    unlisted = sorted(present.keys() - listed.keys())
    if read := [name for name in unlisted if PurePath(name).match(f"{STATE}/{SHARDS}")]:
        return f"{read[0]} is not in its manifest"
    for name in sorted(listed):
        if name not in present:
            return f"{name} is missing"
        if _describe(present[name]) != listed[name]:
            return f"{name} is not as it was written"
    return None


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _files(folder: Path) -> list[Path]:
    """Every file of a checkpoint but its manifest; hidden files come and go unasked."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST and not path.name.startswith(".")
    )


def _folders(root: Path) -> list[Path]:
    """The folders of checkpoints, oldest first."""
    if not root.is_dir():
        return []
    named = [(FOLDER.fullmatch(path.name), path) for path in root.iterdir() if path.is_dir()]
    found = [(match, path) for match, path in named if match]
    return [path for match, path in sorted(found, key=lambda pair: int(pair[0][1]))]


def folder_of(root: Path, step: int) -> Path:
    """Where the checkpoint of `step` is or will be."""
    return root / f"step-{step:08d}"


def _prune(root: Path, step: int, keep: int, best: int | None) -> None:
    """Keep the last `keep` up to `step` and the best ones; later ones are of a future given up."""
    steps = {int(folder.name.partition("-")[2]): folder for folder in _folders(root)}
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
