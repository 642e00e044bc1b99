"""Files and folders that are there whole or not at all, and JSON that is what it should be."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from unified_vl.errors import DiskFull, UserError
from unified_vl.json_text import parse_json

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OS_ERROR = re.compile(r"os error (\d+)")  # how libraries in Rust tell it, such as safetensors


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`; a reader never sees half of it.

    Folders are made as needed.

    Raises:
        DiskFull: when there is no room for it.
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
        if no_room(error):
            raise DiskFull(f"{path}: no room to write it ({error.strerror})") from error
        raise UserError(f"cannot be written: {error.strerror}", file=path) from error


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A folder to fill; whole and on disk, it takes the place of `directory`.

    What fails inside leaves `directory` as it was, and nothing beside it.

    Raises:
        DiskFull: when there is no room for it.
    """
    settle_directory(directory)
    partial = directory.with_name(f"{directory.name}.partial")
    try:
        with telling_disk_full(f"{directory}: no room to write it"):
            partial.mkdir(parents=True)
            yield partial
            sync_below(partial)
            replace_directory(partial, directory)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def check_writable(path: Path) -> None:
    """That `write_atomically` can write a file, found out by beginning to.

    Folders are made as needed; what is there stays.

    Raises:
        UserError: when it cannot be written, such as below a file or over a folder.
    """
    probe = path.with_name(f"{path.name}.probe")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=path) from error


def replace_directory(partial: Path, directory: Path) -> None:
    """Put `partial` in the place of `directory`; a rename each, so no half is ever seen."""
    old = directory.with_name(f"{directory.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    partial.rename(directory)
    sync(directory.parent)
    shutil.rmtree(old, ignore_errors=True)


def settle_directory(directory: Path) -> None:
    """Clear away what a kill in `new_directory` left; between its renames, the old one is back."""
    old = directory.with_name(f"{directory.name}.old")
    if old.exists() and not directory.exists():
        old.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(directory.with_name(f"{directory.name}.partial"), ignore_errors=True)


@contextmanager
def telling_disk_full(message: str) -> Iterator[None]:
    """Whatever fails inside for want of room is a `DiskFull` of this message."""
    try:
        yield
    except Exception as error:
        if no_room(error):
            raise DiskFull(message) from error
        raise


def no_room(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is that of a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        told = OS_ERROR.search(str(error))
        if told and int(told[1]) in NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def sync_below(folder: Path) -> None:
    """Wait until all files and folders below `folder`, and itself, are on disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Wait until a file or directory is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file that exists.

    Raises:
        UserError: when it is not JSON, or not an object.
    """
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"this is not JSON: {error}", file=path) from error
    if not isinstance(values, dict):
        raise UserError("this is not a JSON object", file=path)
    return values


def with_slashes(path: Path) -> Path:
    """The path; with `/` for each backslash, as Windows writes it, where only that is a file.

    Raises:
        OSError: for a path that the file system refuses.
    """
    if "\\" not in str(path) or path.is_file():
        return path
    found = Path(str(path).replace("\\", "/"))
    return found if found.is_file() else path


def is_absolute(path: str) -> bool:
    """Whether a path starts at the root of a file system, of whatever machine."""
    if path.startswith("/") or not ("\\" in path or ":" in path):
        return path.startswith("/")
    return PureWindowsPath(path).is_absolute()


def path_below(folder: str, name: str) -> str:
    """The path, with slashes, of a file in a folder; its name alone where no folder is said."""
    return f"{folder}/{name}" if folder else name
