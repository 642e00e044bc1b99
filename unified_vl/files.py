"""Files and folders that are there whole or not at all, and JSON that is what it should be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PureWindowsPath
from typing import Any

from unified_vl.errors import UserError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`; a reader never sees half of it.

    Folders are made as needed.

    Raises:
        UserError: when it cannot be written, such as below a file or over a folder.
    """
    temporary = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
        temporary.replace(path)
    except OSError as error:
        if temporary.is_file():
            temporary.unlink()
        raise UserError(f"cannot be written: {error.strerror}", file=path) from error


def replace_directory(partial: Path, directory: Path) -> None:
    """Put `partial` in the place of `directory`; a rename each, so no half is ever seen."""
    old = directory.with_name(f"{directory.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    partial.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file that exists.

    Raises:
        UserError: when it is not JSON, or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"this is not JSON: {error}", file=path) from error
    if not isinstance(values, dict):
        raise UserError("this is not a JSON object", file=path)
    return values


def is_absolute(path: str) -> bool:
    """Whether a path starts at the root of a file system, of whatever machine."""
    return path.startswith("/") or PureWindowsPath(path).is_absolute()
