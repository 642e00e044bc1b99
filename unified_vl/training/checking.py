"""Finds what is wrong with specs, data, and what runs say of weights, before the training does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from unified_vl.authoring.checking.check import CheckResult, check_paths
from unified_vl.authoring.checking.checked_specs import Checkable
from unified_vl.authoring.checking.findings import Finding, Findings
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.errors import UserError
from unified_vl.specs.load import file_kind, load_run
from unified_vl.specs.run import Run


def check(
    *what: str | Checkable,
    data: str | Path | None = None,
    rows: int = 200,
    codec: SequenceCodec | None = None,
    leakage: bool = True,
) -> CheckResult:
    """Find what is wrong with specs and, with a data root, with the rows that they name.

    Args:
        what: tasks, mixtures and runs: their files, folders of them, or themselves.
        data: the data root; of a run alone its own unless given. Without one only the specs are
            checked.
        rows: how many rows of each split are read, spread over its languages; 0 takes all.
        codec: checks also that texts survive the tokenizer and that sequences fit.
        leakage: whether all rows are compared for what a held-out split has too.

    Returns:
        The findings (`findings`, errors and warnings), how much was looked at, and a line of both
        (`summary()`). What is found is no exception.

    >>> from unified_vl import check, load_run
    >>> result = check(load_run("run.yaml"))  # doctest: +SKIP
    >>> print(*result.findings, result.summary(), sep="\n")  # doctest: +SKIP

    Raises:
        UserError: for a folder without YAML files, or a data root that is none.
    """
    things = [Path(each) if isinstance(each, str) else each for each in what]
    root = None if data is None else Path(data)
    result = check_paths(things, data=root, rows=rows, codec=codec, leakage=leakage)
    return with_patterns(result, things)


def with_patterns(result: CheckResult, what: Sequence[Checkable]) -> CheckResult:
    """What `check_paths` found, and before it the patterns of runs that no weight is called by.

    Args:
        result: of `check_paths`; one that failed is returned as it is.
        what: was checked.
    """
    if result.failed:
        return result
    return replace(result, findings=(*_patterns(what), *result.findings))


def runs_of(what: Sequence[Checkable]) -> Iterator[Run]:
    """The runs among what is named, not those in folders; all can be loaded."""
    for one in what:
        if isinstance(one, Run):
            yield one
        elif isinstance(one, Path) and one.is_file() and file_kind(one) == "run":
            yield load_run(one)


def _patterns(what: Sequence[Checkable]) -> tuple[Finding, ...]:
    """What runs say of their models' weights, and no weight is called so."""
    findings = Findings()
    for run in runs_of(what):
        if run.tokenizer.is_dir() and (run.trains_a_part or run.optimizer.lr_scales):
            from unified_vl.training.tuning.outline import outline  # loads `transformers`

            try:
                outline(run)
            except UserError as error:
                findings.add(error)
    return findings.all()
