"""What the `data` key of a task spec must obey."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.files import is_absolute
from unified_vl.languages.tags import find, nearest_tag
from unified_vl.readers.registry import READERS
from unified_vl.remote.urls import fault_of, is_url
from unified_vl.specs.reading import ranges
from unified_vl.specs.reading.checks import named_slots, parse, repeated, same_languages
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.share_rules import share_problems
from unified_vl.specs.tasks.template import TemplateError, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec
    from unified_vl.specs.tasks.data import DataSpec
    from unified_vl.specs.tasks.fields import FieldSpec


def data_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `data`."""
    data = spec.data
    yield from _file_problems(data)
    used: set[str] = set()
    broken = False
    places: list[tuple[KeyPath, str]] = [
        (("data", "path") if name == "path" else ("data", "files", name), text)
        for name, text in data.templates.items()
    ]
    images: list[tuple[KeyPath, str]] = [(("data", "images"), data.images)] if data.images else []
    own: list[tuple[KeyPath, str]] = [(("data", k), t) for k, t in data.own_templates.items()]
    for place, text in (*places, *images, *own):
        template, problems = parse(text, place, ("split", "language"))
        yield from problems
        broken = broken or bool(problems)
        if place != ("data", "images"):
            used.update(slots(template))
    names: list[tuple[KeyPath, str]] = [
        (("data", "splits", name), value) for name, value in data.splits.items()
    ]
    if data.exclude is not None:
        names.append((("data", "exclude"), data.exclude))
        if "train" not in data.splits:
            yield Problem(("data", "exclude"), "has no effect without a train split")
    for place, text in (*places, *images, *names):
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts:
            yield Problem(place, f"{text!r} leaves the data root", expected="a path below it")
        fault = ranges.fault_of(text)
        if fault is not None:
            yield Problem(place, f"{text!r} {fault}", expected="{000..127}")
        fault = fault_of(text) if is_url(text) else None
        if fault is not None:
            yield Problem(place, f"{text!r} {fault}", expected="a URL of fsspec, or a path")
    if not broken:
        yield from _split_problems(data, places, used)
    yield from share_problems(spec, used)
    yield from _reader_problems(data)
    yield from _column_problems(spec)
    yield from repeated(("data", "languages"), data.languages)
    yield from same_languages(("data", "languages"), data.languages)
    yield from same_languages(("data", "language_names"), data.language_names)
    if data.language_temperature is not None and len(data.languages) == 1:
        key: KeyPath = ("data", "language_temperature")
        yield Problem(key, "has no effect with a single language")
    yield from repeated(("data", "language_names"), data.language_names.values())
    for tag in data.language_names:
        if find(tag, data.languages) is None:
            yield Problem(
                ("data", "language_names", tag),
                "is not among data.languages",
                expected=one_of(data.languages),
                nearest=nearest_tag(tag, data.languages),
            )
    yield from _unpivot_problems(spec, used)
    told = data.unpivot or data.language_column is not None or "language" in used
    if len(data.languages) > 1 and not told:
        yield Problem(
            ("data", "languages"),
            f"nothing tells which of {len(data.languages)} languages a row is in",
            expected="language_column, {language} in path, or unpivot: true",
        )


def _file_problems(data: DataSpec) -> Iterator[Problem]:
    """That the files are those that the reader reads."""
    info = READERS[data.reader]
    if not info.files:
        if data.files is not None:
            yield Problem(("data", "files"), f"{data.reader} reads one file", expected="`path`")
        elif data.path is None:
            yield Problem(("data", "path"), "is missing", expected="text")
        return
    if data.path is not None:
        names = ", ".join(info.files)
        yield Problem(
            ("data", "path"), f"{data.reader} reads several files", expected=f"`files`: {names}"
        )
        return
    for name in data.files or ():
        if name not in info.files:
            yield Problem(
                ("data", "files", name),
                f"{data.reader} reads no such file",
                expected=one_of(info.files),
                nearest=nearest(name, info.files),
            )
    for name in info.files:
        if name not in info.optional and name not in (data.files or ()):
            yield Problem(("data", "files", name), "is missing", expected="text")


def _reader_problems(data: DataSpec) -> Iterator[Problem]:
    """That the keys which only some readers know are given to these."""
    info = READERS[data.reader]
    prefix = data.image_prefix
    for key, how in (("columns", info.named), ("images", info.images)):
        given = getattr(data, key) is not None
        if given and how == "never":
            yield Problem(("data", key), f"has no effect with the reader {data.reader!r}")
        if not given and how == "always":
            yield Problem(("data", key), f"is missing for the reader {data.reader!r}")
    for key, said in (("images_from", data.images_from != "root"), ("image_prefix", prefix)):
        if info.images == "never" and said:
            yield Problem(("data", key), f"has no effect with the reader {data.reader!r}")
    if prefix is not None and not is_absolute(prefix):
        place = ("data", "image_prefix")
        yield Problem(place, f"{prefix!r} is not absolute", expected="a folder such as /data/coco")
    yield from repeated(("data", "columns"), data.columns or ())
    for key in data.foreign:
        yield Problem(("data", key), f"has no effect with the reader {data.reader!r}")
    yield from data.own.problems()
    if info.path == "id" and data.path is not None and "*" in data.path:
        yield Problem(("data", "path"), f"found {data.path!r}", expected="one id, without *")


def _split_problems(
    data: DataSpec, places: Sequence[tuple[KeyPath, str]], used: Collection[str]
) -> Iterator[Problem]:
    """That each split has rows of its own."""
    if READERS[data.reader].path == "id" or READERS[data.reader].own_splits:
        return  # the name of a split is asked of the data set
    if data.shares is not None or "split" in used or data.split_column is not None:
        return
    if len(set(data.splits.values())) < 2:
        return
    for place, text in places[:1]:
        yield Problem(
            place,
            f"{text!r} is the same file for every split",
            expected="{split} in it, split_column, or splits: {fraction: ...}",
        )


def _unpivot_problems(spec: TaskSpec, used: Collection[str]) -> Iterator[Problem]:
    """That languages are told apart by columns alone, where they are."""
    data, place = spec.data, ("data", "unpivot")
    if not data.unpivot:
        return
    if data.language_column is not None or "language" in used:
        how = "language_column" if data.language_column is not None else "{language} in path"
        yield Problem(place, f"has no effect with {how}", expected="one of the two")
    if not any("language" in named_slots(field.column) for field in spec.fields.values()):
        expected = "`column: caption_{language}` for one of the fields"
        yield Problem(place, "no field has a column a language", expected=expected)


def _columns_of(field: FieldSpec, data: DataSpec) -> Sequence[str]:
    """The columns of a field in all languages; none where its template is broken, which the rules
    of fields tell."""
    names = [tag if not data.unpivot else data.language_name(tag) for tag in data.languages]
    try:
        return tuple(dict.fromkeys(map(field.column_in, names)))
    except (TemplateError, KeyError):
        return ()


def _column_problems(spec: TaskSpec) -> Iterator[Problem]:
    """That a reader whose format fixes its columns gives those that the spec names."""
    data = spec.data
    known: Collection[str] | None = READERS[data.reader].columns or data.columns
    if known is None:
        return
    named: list[tuple[KeyPath, str]] = [
        (("fields", name, "column"), column)
        for name, field in spec.fields.items()
        for column in _columns_of(field, data)
        if field.columns is None
    ]
    for name, field in spec.fields.items():
        for key in ("columns", "size"):
            named += [(("fields", name, key), column) for column in getattr(field, key) or ()]
    if data.splits_.by is not None:
        named.append((("data", "splits", "by"), data.splits_.by))
    for key in ("language_column", "key_column", "split_column"):
        column = getattr(spec.data, key)
        if column is not None:
            named.append((("data", key), column))
    named += [(("report_by", i), c) for i, c in enumerate(spec.report_by) if c != "language"]
    for index, score in enumerate(spec.score):
        named += [(("score", index, key), column) for key, column in score.columns.items()]
    for place, column in named:
        if column not in known:
            yield Problem(
                place,
                f"{spec.data.reader} gives no column {column!r}",
                expected=one_of(known),
                nearest=nearest(column, known),
            )
