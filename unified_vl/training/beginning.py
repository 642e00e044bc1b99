"""What the weights of a run are before its first step, and what a run that goes on knows of that.

A run that goes on needs nothing of what it once started from: its checkpoints say what it was, and
have the weights. But those that are frozen are in no checkpoint, and are taken from there again.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.checkpoint_folders import PROGRESS, folders
from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.model.pretrained.architecture import KEY, open_start, settled
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.saved_model import architecture_of
from unified_vl.model.pretrained.starting import Start
from unified_vl.model.saved_configuration import CONFIG, load_configuration
from unified_vl.run_record import CHECKPOINTS
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import is_path


@dataclass(frozen=True)
class Beginning:
    """How a run begins.

    Attributes:
        run: with every key of its model known.
        pretrained: what it starts from; None where that is nothing, or where it goes on.
        start: what it started from, where it goes on.
    """

    run: Run
    pretrained: Pretrained | None = None
    start: Start | None = None


def beginning_of(run: Run, *, resume: bool) -> Beginning:
    """How a run begins, or goes on.

    Raises:
        UserError: at `model.from` or another key of the model, or naming a file that is broken.
    """
    if run.model.from_ is None:
        return Beginning(run)
    folder, recorded = (None, None)
    if resume and not run.trains_a_part:
        folder, recorded = _recorded(run.output / CHECKPOINTS)
    if folder is None or recorded is None:
        pretrained = open_start(run)
        return Beginning(settled(run, pretrained.architecture, pretrained.about), pretrained)
    if recorded["named"] not in _names(run):
        raise run.error(
            (KEY, "from"),
            "this run started from something else",
            expected=f"{recorded['named']!r}"
            + (f", from {str(run.output)!r}" if is_path(recorded["named"]) else "")
            + ", or another output directory",
        )
    architecture = architecture_of(load_configuration(folder / CONFIG))
    known = settled(run, architecture, f"the checkpoint {folder}")
    return Beginning(known, None, Start.of(recorded))


RECORD = "started_from"  # in a checkpoint's progress


def _recorded(root: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """A checkpoint and its record of the start, which all of a run share; whether it is whole is
    seen when it is read."""
    for folder in reversed(folders(root)):
        try:
            recorded = read_json_object(folder / PROGRESS).get(RECORD)
        except (UserError, OSError):
            continue
        if isinstance(recorded, dict) and (folder / CONFIG).is_file():
            return folder, recorded
    return None, None


def record_of(run: Run, start: Start) -> dict[str, Any]:
    """What a checkpoint keeps of a start, as JSON values."""
    return {**start.facts(), "named": _names(run)[0]}


def _names(run: Run) -> list[str]:
    """How a record may call what a run names: a path as it lies to the output directory."""
    source = run.model.from_
    assert source is not None
    paths = [Path(source)]
    if run.file is not None and not run.is_overridden((KEY, "from")):
        paths.append(run.file.parent / source)  # not resolved, where it is no longer there
    names = [os.path.relpath(path, run.output) for path in paths]
    named_on_hub = not is_path(source) and not Path(source).exists()
    return [source, *names] if named_on_hub else names
