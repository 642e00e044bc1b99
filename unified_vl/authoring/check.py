"""Finds the mistakes of specs and data before the training does."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from unified_vl.authoring.findings import Finding, Findings
from unified_vl.codecs.segments import Box, Image, Point, Polygon, Shape, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.shapes import ShapeCodec, coordinates
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.examples import Example, ExampleBuilder
from unified_vl.data.images import ImageLoader
from unified_vl.data.other_rows import train_rows
from unified_vl.data.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.fields import ShapeKind
from unified_vl.specs.load import file_kind, load_image_tokenizer, load_mixture, load_run, load_task
from unified_vl.specs.parse import InvalidSpec
from unified_vl.specs.task import TaskSpec

CHECKED_SIZE = (64, 64)  # an image is decoded whole, whatever size it is brought to
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CheckResult:
    """What was found, and how much was looked at."""

    findings: tuple[Finding, ...]
    checked: dict[str, int]

    @property
    def failed(self) -> bool:
        """Whether anything is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def summary(self) -> str:
        """One line: `checked 5 task specs, 600 rows: 1 error, 2 warnings`."""
        looked = ", ".join(f"{n} {_plural(name, n)}" for name, n in self.checked.items() if n)
        severities = Counter(finding.severity for finding in self.findings)
        found = ", ".join(f"{n} {_plural(name, n)}" for name, n in sorted(severities.items()))
        return f"checked {looked or 'nothing'}: {found or 'all well'}"


def check_paths(
    paths: Sequence[Path],
    *,
    data: Path | None = None,
    rows: int = 200,
    codec: SequenceCodec | None = None,
    progress: Progress = lambda what: None,
) -> CheckResult:
    """Check spec files and, with a data root, rows of every split.

    Args:
        paths: task, mixture and run files, or folders of them.
        data: the data root; without it only the files themselves are checked.
        rows: rows of each split, spread over its languages; 0 takes all.
        codec: checks also that texts survive the tokenizer and fit.
        progress: is told what is being checked.

    Raises:
        UserError: for a folder without YAML files, or a data root that is none.
    """
    if data is not None and not data.is_dir():
        raise UserError("is not a folder", file=data, expected="the data root")
    findings = Findings()
    checked: Counter[str] = Counter()
    for path in _yaml_files(paths):
        progress(str(path))
        kind = file_kind(path)
        try:
            if kind == "mixture":
                load_mixture(path)
            elif kind == "run":
                load_run(path)
            elif kind == "image_tokenizer":
                load_image_tokenizer(path)
            else:
                spec = load_task(path)
        except InvalidSpec as error:
            for each in error.all:
                findings.add(each)
            continue
        except UserError as error:
            findings.add(error)
            continue
        finally:
            checked[f"{kind or 'task'} file"] += 1
        if kind not in ("task", None):
            continue
        _check_sense(spec, findings)
        if data is not None:
            progress(f"{path}: data")
            _check_data(spec, data, rows, codec, findings, checked)
    return CheckResult(findings.all(), dict(checked))


def _yaml_files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        below = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
        if not below:
            raise UserError("has no spec below it", file=path, expected="*.yaml")
        found.update(dict.fromkeys(below))
    return list(found)


def _check_sense(spec: TaskSpec, findings: Findings) -> None:
    """What is allowed and yet hardly meant."""
    given = set(spec.fields_of(spec.source)) - set(spec.example.noise)
    for name in sorted(given & set(spec.fields_of(spec.target))):
        error = spec.error(("example", "source"), f"{{{name}}} gives the answer away")
        findings.add(error, "warning")


def _check_data(
    spec: TaskSpec,
    root: Path,
    rows: int,
    codec: SequenceCodec | None,
    findings: Findings,
    checked: Counter[str],
) -> None:
    """All splits of a task."""
    images = ImageLoader(root, CHECKED_SIZE)
    for split in spec.data.splits:
        try:
            data = TaskData(spec, split, root)
            train = train_rows(spec, root, data)
            builder = ExampleBuilder(spec, images, codec=codec, rows=data, train=train)
        except UserError as error:
            findings.add(error)
            continue
        checked["split"] += 1
        for why, count in data.left_out.items():
            message = f"{split} leaves out {count} of {count + len(data)} rows: they {why}"
            findings.add(spec.error(("data",), message), "warning")
        by_language = data.by_language()
        for language in spec.data.languages:
            if language not in by_language:
                message = f"{split} holds no row in {language!r}"
                findings.add(spec.error(("data", "languages"), message), "warning")
        _check_keys(spec, data, findings)
        for row in data.rows(_spread(list(by_language.values()), rows)):
            checked["row"] += 1
            try:
                example = builder.build(row, seed=None)
                _check_shapes(example, codec, checked, findings)
                if codec is not None:
                    _check_shots(spec, example, findings)
                    _check_texts(spec, example, codec, findings)
            except BadRow as error:
                findings.add(error, "warning" if spec.data.on_bad_row == "skip" else "error")
                continue
            except UserError as error:  # of the task, not of the row
                findings.add(error)
                break
            checked["image"] += sum(isinstance(s, Image) for s in example.source)


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
    column = spec.data.key_column
    if column is None:
        return
    distinct = len(set(data.distinct(column)))
    if distinct < len(data):
        message = f"{data.split} has {len(data)} rows and {distinct} distinct keys"
        findings.add(spec.error(("data", "key_column"), message), "warning")


def _check_shapes(
    example: Example,
    codec: SequenceCodec | None,
    checked: Counter[str],
    findings: Findings,
) -> None:
    """That location tokens can say each box, point and polygon."""
    shapes = ShapeCodec(Vocabulary(0, ())) if codec is None else codec.shapes
    bin_size = 1 / len(shapes.id_range)
    for shape in (*example.source, *example.target):
        if not isinstance(shape, Box | Point | Polygon):
            continue
        kind = _KINDS[type(shape)]
        checked[kind] += 1
        numbers = coordinates(shape)
        sides = (max(numbers[0::2]) - min(numbers[0::2]), max(numbers[1::2]) - min(numbers[1::2]))
        if kind != "point" and min(sides) < bin_size:
            error = UserError(f"the {kind} {_short(shape)} is smaller than a location bin")
            _warn(example, error, findings)
        back = shapes.decode(shapes.encode(shape), kind)
        pairs = zip(numbers, coordinates(back), strict=True)
        if any(abs(a - b) > bin_size / 2 + 1e-9 for a, b in pairs):
            message = f"the {kind} {_short(shape)} comes back as {_short(back)}"
            raise BadRow(message, file=example.where)


_KINDS: dict[type, ShapeKind] = {Box: "box", Point: "point", Polygon: "polygon"}


def _check_shots(spec: TaskSpec, example: Example, findings: Findings) -> None:
    """That they fit into the source."""
    shots = spec.example.shots
    if shots is not None and example.shots < shots.count:
        message = f"{example.shots} of {shots.count} shots fit into the source"
        _warn(example, UserError(message), findings)


def _check_texts(
    spec: TaskSpec, example: Example, codec: SequenceCodec, findings: Findings
) -> None:
    """That the tokenizer gives each text back, and the limits leave it whole."""
    for segment in (*example.source, *example.target):
        if isinstance(segment, Text):
            back = codec.text.decode(codec.text.encode(segment.text))
            if back != unicodedata.normalize("NFC", segment.text):
                error = UserError(f"the tokenizer makes {back!r} of {segment.text!r}")
                _warn(example, error, findings)
    try:
        source, target = codec.encode_source(example.source), codec.encode_target(example.target)
    except UserError as error:
        raise BadRow(error.message, file=example.where, nearest=error.nearest) from error
    for name, encoded, limit in (
        ("source", source, codec.max_source),
        ("target", target, codec.max_target),
    ):
        if encoded.truncated:
            _warn(example, UserError(f"the {name} is cut to {limit} tokens"), findings)
    longest = spec.generate.max_tokens
    if len(target.ids) > longest:
        message = f"the target needs {len(target.ids)} tokens, and generate.max_tokens is {longest}"
        _warn(example, UserError(message), findings)


def _warn(example: Example, error: UserError, findings: Findings) -> None:
    error.file = example.where
    findings.add(error, "warning")


def _short(shape: Shape) -> str:
    return "[" + ", ".join(f"{v:.4f}" for v in coordinates(shape)) + "]"


def _plural(name: str, count: int) -> str:
    if count == 1:
        return name
    return f"{name}es" if name.endswith("x") else f"{name}s"
