"""Spec files to frozen objects; whatever is wrong with a file is one `UserError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.mixture import Mixture, load_mixture
from unified_vl.specs.reading.parse import validate
from unified_vl.specs.reading.plugins import load_plugins
from unified_vl.specs.reading.spec_file import file_kind, overridden, parse_kind
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import (
    OF_TOKENIZER,
    refuse_old_paths,
    resolve_paths,
    resolve_start,
)
from unified_vl.specs.task import TaskSpec, load_task

__all__ = [
    "Mixture",
    "Run",
    "TaskSpec",
    "file_kind",
    "load_image_tokenizer",
    "load_mixture",
    "load_run",
    "load_task",
    "load_tasks",
    "spec_files",
]


def load_tasks(paths: Iterable[str | Path]) -> list[TaskSpec]:
    """Read the task specs among files and folders (all `*.yaml` below a folder).

    A mixture or a run that is named stands for its tasks; below a folder they are passed over.

    Raises:
        UserError: for a bad spec, a folder without any, or two specs of one name.
    """
    specs: dict[str, TaskSpec] = {}
    for path in spec_files(paths):
        for spec in _tasks_of(path):
            if spec.task in specs:
                raise spec.error(("task",), f"{spec.task!r} is also in {specs[spec.task].file}")
            specs[spec.task] = spec
    return list(specs.values())


def _tasks_of(path: Path) -> Sequence[TaskSpec]:
    match file_kind(path):
        case "mixture":
            return load_mixture(path).specs
        case "run":
            return load_run(path).loaded_mixture.specs
        case _:
            return [load_task(path)]


def spec_files(paths: Iterable[str | Path], kind: str = "task") -> list[Path]:
    """The files of a kind: each file that is named, and those below each folder.

    Raises:
        UserError: for a path that does not exist, or a folder without such files.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            found[path] = None
            continue
        below = [p for p in sorted(path.rglob("*.yaml")) if file_kind(p) in (kind, None)]
        if not below:
            raise UserError(f"has no {kind} spec below it", file=path, expected="*.yaml")
        found.update(dict.fromkeys(below))
    return list(found)


def load_run(path: str | Path, overrides: Sequence[str] = ()) -> Run:
    """Read a run file, its mixture and the specs of that.

    Args:
        path: the run file.
        overrides: `key=value`, dotted for a key within a key (`optimizer.lr=1e-3`); the
            value is YAML. A path given here is relative to the working directory.

    Raises:
        UserError: for a bad run, mixture, spec or override, or a missing engine file.
    """
    path = Path(path)
    parsed = parse_kind(path, "run")
    resolve_paths(parsed, path.parent)
    resolve_start(parsed, path.parent)
    return validate(Run, overridden(parsed, overrides))


def load_image_tokenizer(path: str | Path, overrides: Sequence[str] = ()) -> ImageTokenizerSpec:
    """Read the file of an image tokenizer's training.

    Args:
        path: the file.
        overrides: `key=value`, as for `load_run`.

    Raises:
        UserError: for a bad file or override.
    """
    parsed = parse_kind(Path(path), "image_tokenizer")
    resolve_paths(parsed, Path(path).parent, OF_TOKENIZER)
    spec = validate(ImageTokenizerSpec, overridden(parsed, overrides))
    refuse_old_paths(spec, OF_TOKENIZER[:1])
    return spec


load_plugins()  # they find all of specs imported
