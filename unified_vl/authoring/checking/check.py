"""Finds the mistakes of specs and data before the training does."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from unified_vl.authoring.checking.checked_specs import (
    Checkable,
    data_of_run,
    one_by_one,
    specs_of,
)
from unified_vl.authoring.checking.few_answers import FewAnswers
from unified_vl.authoring.checking.findings import Finding, Findings
from unified_vl.authoring.checking.fingerprints import FingerprintMaker, Fingerprints
from unified_vl.authoring.checking.image_paths import ImagePaths
from unified_vl.authoring.checking.leakage import Leak, find_leaks
from unified_vl.authoring.checking.plain_images import PlainImages
from unified_vl.authoring.checking.same_sources import SameSources
from unified_vl.authoring.checking.shapes import check_shapes, report_notes
from unified_vl.authoring.checking.texts import TextChecks
from unified_vl.codecs.segments import Image, ImageCodes, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError, number_of
from unified_vl.remote.urls import is_folder
from unified_vl.specs.task import TaskSpec

CHECKED_SIZE = (64, 64)  # an image is decoded whole, whatever size it is brought to
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CheckResult:
    """What was found, and how much was looked at."""

    findings: tuple[Finding, ...]
    checked: dict[str, int]
    leaks: tuple[Leak, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def summary(self) -> str:
        """One line: `checked 5 task specs, 600 rows: 1 error, 2 warnings`."""
        looked = ", ".join(number_of(n, name) for name, n in self.checked.items() if n)
        severities = Counter(finding.severity for finding in self.findings)
        found = ", ".join(number_of(n, name) for name, n in sorted(severities.items()))
        return f"checked {looked or 'nothing'}: {found or 'all well'}"


def check_paths(
    what: Sequence[Checkable],
    *,
    data: Path | None = None,
    rows: int = 200,
    codec: SequenceCodec | None = None,
    leakage: bool = True,
    progress: Progress = lambda what: None,
) -> CheckResult:
    """Check spec files, or specs made in Python, and, with a data root, rows of every split.

    Args:
        what: tasks, mixtures and runs: their files, folders of them, or themselves.
        data: the data root; of a run alone its own unless given. Without one only the specs are
            checked.
        rows: rows of each split, spread over its languages; 0 takes all.
        codec: checks also that texts survive the tokenizer and fit.
        leakage: whether all rows are compared for what a held-out split has too, which reads
            every image once.
        progress: is told what is being checked.

    Raises:
        UserError: for a folder without YAML files, or a data root that is none.
    """
    if data is not None and not is_folder(data):
        raise UserError("is not a folder", file=data, expected="the data root")
    if data is None and len(what) == 1:
        data = data_of_run(what[0])
    findings = Findings()
    checked: Counter[str] = Counter()
    looked_at: set[Path | TaskSpec] = set()
    task: _TaskCheck | None = None
    if data is not None:
        task = _TaskCheck(data, rows, codec, leakage, findings, checked, progress)
    for one in one_by_one(what):
        progress(str(one) if isinstance(one, Path) else type(one).__name__)
        for spec in specs_of(one, findings, checked, named=one in what):
            if (spec.file or spec) in looked_at:  # also a mixture's, beside it
                continue
            looked_at.add(spec.file or spec)
            _check_sense(spec, findings)
            if task is not None:
                task.check(spec)
    leaks = () if task is None else task.leaks()
    return CheckResult(findings.all(), dict(checked), leaks)


def _check_sense(spec: TaskSpec, findings: Findings) -> None:
    """What is allowed and yet hardly meant."""
    given = set(spec.fields_of(spec.source)) - set(spec.example.noise)
    for name in sorted(given & set(spec.fields_of(spec.target))):
        error = spec.error(("example", "source"), f"{{{name}}} gives the answer away")
        findings.add(error, "warning", remedy=f"take {{{name}}} out of the source")


@dataclass
class _TaskCheck:
    """Checks the data of one spec after the other, and what they have in common."""

    root: Path
    rows: int
    codec: SequenceCodec | None
    leakage: bool
    findings: Findings
    checked: Counter[str]
    progress: Progress

    def __post_init__(self) -> None:
        self._loader = ImageLoader(self.root, CHECKED_SIZE)
        self._maker = FingerprintMaker(self._loader, self.progress)
        self._fingerprints: list[Fingerprints] = []
        self._waiting: list[TaskData] = []  # a split with which there is nothing to compare yet
        self._bad: set[str] = set()  # rows that were reported

    def check(self, spec: TaskSpec) -> None:
        """All splits of a task."""
        for split in spec.data.splits:
            self.progress(f"{spec.task}: {split}")
            try:
                data = TaskData(spec, split, self.root)
                train = train_rows(spec, self.root, data)
            except UserError as error:
                self.findings.add(error)
                continue
            self.checked["split"] += 1
            if spec.data.stream and split == "train":
                self.checked["stream's first file"] += 1
            loader, codec = self._loader, self.codec
            builder = ExampleBuilder(
                spec, loader, codec=codec, rows=data, train=train, region_labels=True
            )
            self._check_split(spec, data, builder)
            if self.leakage:
                if data.excluded:
                    data = TaskData(spec, split, self.root, with_excluded=True)
                self._compare(data)

    def _compare(self, data: TaskData) -> None:
        """Take a split's fingerprints, unless it is the only one: there is nothing to compare."""
        self._waiting.append(data)
        if len(self._waiting) == 1 and not self._fingerprints:
            return
        for each in self._waiting:
            report = partial(self._bad_row, each.spec)
            self._fingerprints.append(self._maker.take(each, report))
            self.checked["compared row"] += len(each)
        self._waiting = []

    def leaks(self) -> tuple[Leak, ...]:
        """The rows of training that a split of any of the specs holds out."""
        return find_leaks(self._fingerprints, self.findings, self.root)

    def _check_split(self, spec: TaskSpec, data: TaskData, builder: ExampleBuilder) -> None:
        split, findings = data.split, self.findings
        whole = len(data) + sum(data.left_out.values())
        for why, count in data.left_out.items():
            message = f"{split} leaves out {count} of {whole} rows: they {why}"
            error = spec.error(("data",), message)
            remedy = "mend them, unless they may be lost"
            findings.add(error, "warning", remedy=remedy, apart=True)
        for name, target in data.links.items():
            message = f"{name!r} is a link that leads out of the data root, to {str(target)!r}"
            findings.add(spec.error(("data",), message), "warning", remedy="none, if it is meant")
        for what, count in data.lost.items():
            error = spec.error(("data",), f"lost in {split}: {what} ({count:,})")
            findings.add(error, "warning", remedy="mend them, unless they may be lost")
        if split == "train" and spec.data.exclude is not None and not data.excluded:
            error = spec.error(("data", "exclude"), "names no row of train")
            findings.add(error, "warning", remedy="write it again: check --write-leaks")
        by_language = data.by_language()
        for language in spec.data.languages:
            if language not in by_language:
                message = f"{split} holds no row in {language!r}"
                error = spec.error(("data", "languages"), message)
                findings.add(error, "warning", remedy="take it off the list, or add its rows")
        _check_keys(spec, data, findings)
        _check_missing(spec, data, findings)
        sources = SameSources(spec)
        plain, few, paths = PlainImages(), FewAnswers(spec), ImagePaths(spec)
        texts = None if self.codec is None else TextChecks(spec, self.codec)
        for row in data.rows(_spread(list(by_language.values()), self.rows)):
            self.checked["row"] += 1
            try:
                example = builder.build(row, seed=None)
                _check_target(example)
                check_shapes(example, self.codec, self.checked, findings)
                if texts is not None:
                    texts.add(example, findings)
            except BadRow as error:
                self._bad_row(spec, error)
                continue
            except UserError as error:  # of the task, not of the row
                findings.add(error)
                break
            sources.add(example)
            plain.add(example)
            few.add(example)
            paths.add(row)
            self.checked["image"] += sum(isinstance(s, Image | ImageCodes) for s in example.source)
        report_notes(builder.shape_notes, spec, findings)
        sources.report(split, findings)
        plain.report(findings)
        few.report(split, findings)
        paths.report(findings)
        if texts is not None:
            texts.report(split, findings)

    def _bad_row(self, spec: TaskSpec, error: BadRow) -> None:
        if error.file not in self._bad:
            self._bad.add(error.file or "")
            self.findings.add(error, "warning" if spec.data.on_bad_row == "skip" else "error")


def _spread(groups: Sequence[Sequence[int]], rows: int) -> list[int]:
    """About `rows` indices, as many of each group, drawn with a fixed seed; all for 0."""
    if rows == 0:
        return sorted(index for group in groups for index in group)
    share = max(1, rows // len(groups))
    random = Random(0)  # even steps could meet a pattern in the order of the rows
    return sorted(
        index for group in groups for index in random.sample(group, min(share, len(group)))
    )


def _check_keys(spec: TaskSpec, data: TaskData, findings: Findings) -> None:
    """A key names one row of a language; translations of a row may share it."""
    if spec.data.key_column is None:
        return
    # of keys only a number is kept: there may be millions
    keys = np.fromiter(map(hash, data.keys()), np.int64)
    keys.sort()
    distinct = int(np.count_nonzero(np.diff(keys))) + bool(len(keys))
    if distinct < len(data):
        within = " within their languages" if len(spec.data.languages) > 1 else ""
        message = f"{data.split} has {len(data)} rows and {distinct} distinct keys{within}"
        error = spec.error(("data", "key_column"), message)
        remedy = "name a column whose values differ: predictions go by it"
        findings.add(error, "warning", remedy=remedy)


def _check_missing(spec: TaskSpec, data: TaskData, findings: Findings) -> None:
    """What rows may lack is hardly meant to be lacking in all of them: a misspelt column."""
    for name, field in spec.fields.items():
        if field.missing == "allow":
            columns = {field.column_in(tag) for tag in spec.data.languages}
            if not any(map(data.has_values, columns)):
                error = spec.error(
                    ("fields", name, "column"), f"no row of {data.split} has a value"
                )
                findings.add(error, "warning", remedy="look at the column's name")


def _check_target(example: Example) -> None:
    """That there is something to write which can be seen."""
    texts = [s.text for s in example.target if isinstance(s, Text)]
    only = bool(texts) and len(texts) == len(example.target)  # of none, `empty: true` is right
    if only and not any(_is_seen(c) for t in texts for c in t):
        raise BadRow(
            "is empty", file=example.where, field="target", expected="something to be written"
        )


def _is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ"
