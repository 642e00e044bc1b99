"""Specs that were made in Python, or read elsewhere, as files that need no others."""

from __future__ import annotations

import json
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.files import write_atomically
from unified_vl.specs.runs.run_paths import PATHS
from unified_vl.specs.tasks.choices import CARRIED, carried_names
from unified_vl.specs.tasks.code_switch import carried_dictionary

if TYPE_CHECKING:
    from unified_vl.specs.run import Run
    from unified_vl.specs.task import TaskSpec

RUN = "run.yaml"
MIXTURE = "mixture.yaml"
TASK_FILE = "tasks/{}.yaml"  # from the mixture


def write_task(spec: TaskSpec, path: Path) -> None:
    """Write a task spec, and beside it what it keeps in other files, as far as it is known.

    `NAME.choices.txt`, `NAME.FIELD.names.txt` and `NAME.FIELD.dictionary.tsv` come before what
    the spec names.
    """
    write_atomically(path, spec.text)
    closed = spec.generate.choices
    if closed is not None and closed.values is None and spec.choices:
        _write_lines(path.with_name(f"{path.stem}{CARRIED}"), spec.choices)
    for (name, language), names in spec.class_files.items():
        _write_lines(path.with_name(carried_names(spec, name, language)), names)
    for name, dictionary in spec.dictionaries.items():
        write_atomically(path.with_name(carried_dictionary(spec, name)), dictionary.text)


def write_run(run: Run, folder: Path) -> None:
    """Write a run, its mixture and its tasks, so that `load_run(folder / "run.yaml")` is the same.

    Args:
        run: made in Python.
        folder: of `run.yaml`, `mixture.yaml` and `tasks`.
    """
    mixture = run.loaded_mixture
    for spec in mixture.specs:
        write_task(spec, folder / TASK_FILE.format(spec.task))
    keys = mixture.model_dump(mode="json", exclude_unset=True)
    for entry, spec in zip(keys["tasks"], mixture.specs, strict=True):
        entry["spec"] = TASK_FILE.format(spec.task)
    write_atomically(folder / MIXTURE, _json(keys))
    keys = run.model_dump(mode="json", exclude_unset=True)
    for key in PATHS:
        if keys.get(key) is not None and not Path(keys[key]).is_absolute():
            keys[key] = relpath(keys[key], folder)
    start = run.model.from_
    if start is not None and not Path(start).is_absolute() and Path(start).exists():
        keys["model"]["from"] = relpath(start, folder)
    write_atomically(folder / RUN, _json({**keys, "mixture": MIXTURE}))


def _json(keys: object) -> str:
    return json.dumps(keys, indent=2, ensure_ascii=False) + "\n"


def _write_lines(path: Path, lines: tuple[str, ...]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in lines))
