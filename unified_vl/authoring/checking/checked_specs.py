"""The specs that `check` looks at: of files, of folders, or made in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from unified_vl.authoring.checking.findings import Findings
from unified_vl.errors import UserError
from unified_vl.remote.urls import is_folder
from unified_vl.specs.load import file_kind, load_image_tokenizer, load_mixture, load_run, load_task
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.reading.parse import InvalidSpec
from unified_vl.specs.run import Run
from unified_vl.specs.task import TaskSpec

Checkable = Path | TaskSpec | Mixture | Run
_CALLED = {TaskSpec: "task", Mixture: "mixture", Run: "run"}


def specs_of(
    one: Checkable, findings: Findings, checked: Counter[str], *, named: bool
) -> Sequence[TaskSpec]:
    """The task specs that a file stands for, if it is right: a mixture or run that is named,
    not found in a folder, for its tasks.

    A run that is named must have all that its training needs.
    """
    kind = file_kind(one) if isinstance(one, Path) else None
    checked[f"{kind or 'task'} file" if isinstance(one, Path) else _CALLED[type(one)]] += 1
    try:
        found = _load(one, kind) if isinstance(one, Path) else one
        if isinstance(found, Run):
            # what looks at models loads torch, which takes longer than to check a task
            from unified_vl.authoring.checking.runs import check_run

            check_run(found, findings, "error" if named else "warning")
            return found.loaded_mixture.specs if named else ()
        if isinstance(found, Mixture):
            return found.specs if named else ()
        return () if found is None else (found,)
    except InvalidSpec as error:
        for each in error.all:
            findings.add(each)
    except UserError as error:
        findings.add(error)
    return ()


def data_of_run(one: Checkable) -> Path | None:
    """The data root of a run that has one which is there; None of all else.

    What is wrong with it is a finding: it is told when it is looked at.
    """
    if isinstance(one, Path):
        if one.is_dir() or file_kind(one) != "run":
            return None
        try:
            one = load_run(one)
        except UserError:
            return None
    return one.data if isinstance(one, Run) and is_folder(one.data) else None


def _load(path: Path, kind: str | None) -> TaskSpec | Mixture | Run | None:
    """What a file holds; None where it is no more than that it can be read."""
    match kind:
        case "mixture":
            return load_mixture(path)
        case "run":
            return load_run(path)
        case "image_tokenizer":
            load_image_tokenizer(path)
            return None
    return load_task(path)


def one_by_one(
    what: Sequence[Checkable],
) -> list[Checkable]:
    """What was named, with the spec files below each folder, each once.

    Raises:
        UserError: for a folder without any.
    """
    found: dict[Checkable, None] = {}
    for one in what:
        if not isinstance(one, Path) or not one.is_dir():
            found[one] = None
            continue
        below = sorted(one.rglob("*.yaml"))
        if not below:
            raise UserError("has no spec below it", file=one, expected="*.yaml")
        found.update(dict.fromkeys(below))
    return list(found)
