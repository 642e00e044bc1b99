"""The folders of checkpoints: which there are, and which of them are whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from unified_vl.errors import UserError
from unified_vl.json_text import parse_json

POINTER = "pointer.json"
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
STATE = "state"  # the folder of weights and optimiser in a checkpoint
SHARDS = "rank-*.safetensors"
FOLDER = re.compile(r"step-(\d{8,})")


def newest(root: Path, say: Callable[[str], None] | None = None) -> str | None:
    """The name of the checkpoint to start from; None where none was ever completed.

    Args:
        root: OUTPUT/checkpoints.
        say: told which were passed over, and why.

    Raises:
        UserError: when there are checkpoints and none of them is whole.
    """
    found = folders(root)
    names = [folder.name for folder in reversed(found)]
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
    if not (root / POINTER).exists() and not any((f / MANIFEST).exists() for f in found):
        return None  # killed while it wrote its first
    if faults:
        raise UserError(f"no checkpoint is whole ({'; '.join(faults)})", file=root)
    return None


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
    present = {path.relative_to(folder).as_posix(): path for path in files_of(folder)}
    unlisted = sorted(present.keys() - listed.keys())
    if read := [name for name in unlisted if PurePath(name).match(f"{STATE}/{SHARDS}")]:
        return f"{read[0]} is not in its manifest"
    for name in sorted(listed):
        if name not in present:
            return f"{name} is missing"
        if describe(present[name]) != listed[name]:
            return f"{name} is not as it was written"
    return None


def describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def files_of(folder: Path) -> list[Path]:
    """Every file of a checkpoint but its manifest; hidden files come and go unasked."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST and not path.name.startswith(".")
    )


def folders(root: Path) -> list[Path]:
    """The folders of checkpoints, oldest first."""
    if not root.is_dir():
        return []
    named = [(FOLDER.fullmatch(path.name), path) for path in root.iterdir() if path.is_dir()]
    found = [(match, path) for match, path in named if match]
    return [path for match, path in sorted(found, key=lambda pair: int(pair[0][1]))]


def folder_of(root: Path, step: int) -> Path:
    """Where the checkpoint of `step` is or will be."""
    return root / f"step-{step:08d}"
