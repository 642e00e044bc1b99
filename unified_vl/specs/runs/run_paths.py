"""The paths of a run file, or of an image tokenizer's: relative to the file, and whether what they
name can be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os.path import normpath, relpath
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.errors import UserError, nearest
from unified_vl.locks import only_writer
from unified_vl.remote.urls import is_folder, url_of
from unified_vl.specs.reading.parse import Parsed
from unified_vl.specs.runs.vision import PRETRAINED, RANDOM

if TYPE_CHECKING:
    from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
    from unified_vl.specs.run import Run

OF_TOKENIZER = ("data", "output")  # the paths of an image tokenizer's file
PATHS = ("mixture", "data", "tokenizer", "output", "engine")  # relative to the run file
WITHIN: dict[tuple[str, ...], tuple[str, ...]] = {
    # paths that are keys of parts, and the words that may stand in their place
    ("model", "vision", "weights"): (RANDOM, PRETRAINED),
    ("teacher", "model"): (),
}
FOLDERS = ("data", "tokenizer")  # what has to be there before a training
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")  # `t5-small`, `google/mt5-small`
A_FOLDER = "a folder, or a name where one can be made"  # what an output is
LONGEST_ENDING = len(".partial")  # of folders that are written beside their place


def resolve_paths(parsed: Parsed, folder: Path, keys: Sequence[str] = PATHS) -> None:
    """Make each path of a run file, relative to its folder, one that can be opened."""
    for key in keys:
        value = parsed.values.get(key)
        if isinstance(value, str) and value and not (keys is PATHS and _is_url(value)):
            parsed.values[key] = normpath(folder / value)
    for (*around, key), words in WITHIN.items():
        part: object = parsed.values
        for name in around:
            part = part.get(name) if isinstance(part, dict) else None
        value = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(value, str) and value and value not in words:
            part[key] = normpath(folder / value)


def resolve_start(parsed: Parsed, folder: Path) -> None:
    """Make `model.from` a path that can be opened, unless it names a model of the hub.

    What is there wins: `google/mt5-small` is a folder where there is one.
    """
    model = parsed.values.get("model")
    if not isinstance(model, dict):
        return
    value = model.get("from")
    if isinstance(value, str) and value and (is_path(value) or _exists(folder / value)):
        path = normpath(folder / value)
        model["from"] = path if is_path(path) else f"./{path}"


def _is_url(value: str) -> bool:
    return url_of(Path(value)) is not None


def is_path(source: str) -> bool:
    """Whether what `model.from` names can be no model of the hub."""
    return HUB_ID.fullmatch(source) is None


def refuse_old_paths(run: Run | ImageTokenizerSpec, folders: Sequence[str] = FOLDERS) -> None:
    """Refuse a file whose paths were written when they began at the working directory.

    Args:
        run: what the file says.
        folders: its keys of folders that have to be there.

    Raises:
        UserError: with all paths as they have to be written now.
    """
    for key in folders:
        path: Path = getattr(run, key)
        if url_of(path) is None and not _exists(path) and _meant_before(run, key) is not None:
            now = (f"{each}: {_rewritten(run, each)}" for each in (*folders, "output"))
            raise run.error(
                (key,),
                f"there is no {str(getattr(run, key))!r}: paths of {_kind(run)} are relative to "
                "the file, no longer to the working directory",
                expected=", ".join(now),
            )


def unusable_paths(run: Run) -> Iterator[UserError]:
    """What keeps a training from its data, its tokenizer and its output."""
    for key in FOLDERS:
        path: Path = getattr(run, key)
        if not is_folder(path):
            found = "is not a folder" if path.exists() else "does not exist"
            parent = path.parent
            beside = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
            yield run.error((key,), f"{str(path)!r} {found}", nearest=nearest(path.name, beside))
    fault = _cannot_be_written(run.output)
    if fault is not None:
        yield run.error(("output",), fault, expected=A_FOLDER)


def refuse_unusable_paths(run: Run) -> None:
    """Raise the first of `unusable_paths`.

    Raises:
        UserError: with file, line and key.
    """
    for error in unusable_paths(run):
        raise error


@contextmanager
def only_writer_of_output(run: Run | ImageTokenizerSpec) -> Iterator[None]:
    """Be the only process that writes the output of a run or an image tokenizer, while inside.

    Raises:
        UserError: with file, line and key; another process writes it, or nobody can.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(only_writer(run.output))
        except UserError as error:
            told = f"{str(run.output)!r}: {error.message}"
            raise run.error(("output",), told, expected=error.expected or A_FOLDER) from error
        yield


@contextmanager
def told_at_its_key(run: Run) -> Iterator[None]:
    """Give errors that name a key of the run its file and line.

    Raises:
        UserError: what was raised inside, with its place.
    """
    try:
        yield
    except UserError as error:
        if error.field is None or error.file is not None:
            raise
        path = tuple(error.field.split("."))
        told, close = error.expected, error.nearest
        raise run.error(path, error.message, expected=told, nearest=close) from error


def _meant_before(run: Run | ImageTokenizerSpec, key: str) -> Path | None:
    """What a path named when it was relative to the working directory, if that is there."""
    if run.file is None or run.is_overridden((key,)):
        return None
    before = Path(relpath(getattr(run, key), run.file.parent))
    return before if _exists(before) else None


def _rewritten(run: Run | ImageTokenizerSpec, key: str) -> str:
    """A path that began at the working directory, from the folder of the run file."""
    assert run.file is not None
    path: Path = getattr(run, key)
    if run.is_overridden((key,)):
        return relpath(path, run.file.parent)
    return relpath(relpath(path, run.file.parent), run.file.parent)


def _kind(run: Run | ImageTokenizerSpec) -> str:
    return "a run file" if hasattr(run, "mixture") else "an image tokenizer's file"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _cannot_be_written(path: Path) -> str | None:
    """Why no folder can be made at `path`; None where one can."""
    try:
        folder = next(each for each in (path, *path.parents) if os.path.lexists(each))
    except OSError as error:
        return f"{str(path)[:60]!r} cannot be a folder: {error.strerror}"
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is a link that leads nowhere"
        return f"{str(folder)!r} {what}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{str(folder)!r} may not be written to"
    longest = os.pathconf(folder, "PC_NAME_MAX") - LONGEST_ENDING
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        return f"{str(path)[:60]!r} has a name that is too long for the file system"
    return None
