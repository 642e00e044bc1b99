"""What a task asks for, and fields by name as a row of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from PIL.Image import Image

from unified_vl.data.rows.row import Row
from unified_vl.errors import UserError, nearest
from unified_vl.languages.tags import nearest_tag, subtags
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec

T = TypeVar("T")
Shown = Literal["image", "video"]
# what a field of one input may be; a list is several inputs, or one of a field with `many`
OneValue = str | bytes | Path | int | float | bool | Image | np.ndarray[Any, Any]


def source_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that an input gives: those of the source template, what these need
    beside them (labels of boxes, texts of a choice), and the image.

    (Where boxes are written about an image that the source leaves out, its size counts.)
    """
    names = list(spec.fields_of(spec.source))
    if spec.image_field is not None:
        names.append(spec.image_field)
    beside = [other for name in names for other in spec.fields[name].beside]
    return tuple(dict.fromkeys([*names, *beside]))


def target_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that the model writes."""
    return spec.fields_of(spec.target)


def is_captioning(spec: TaskSpec, shown: Shown = "image") -> bool:
    """Whether a task describes an image (or a video): it reads one, nothing else, and writes a
    text."""
    compares = spec.example.mismatch is not None  # it also writes whether they match
    read, written = _counts(spec, source_fields(spec)), _counts(spec, target_fields(spec))
    return not compares and read == _ONE[shown] and written == _Counts(texts=1)


def is_matching(spec: TaskSpec, shown: Shown = "image") -> bool:
    """Whether a task can compare an image (or a video) with a text: it reads both, and writes a
    text.

    (A question about an image is such a text, too: what is written for it may be "yes".)
    """
    compares = spec.example.mismatch is not None  # its slot is what is written
    read, written = _counts(spec, source_fields(spec)), _counts(spec, target_fields(spec))
    both = _ONE[shown]._replace(texts=1)
    return read == both and written == _Counts(texts=0 if compares else 1)


class _Counts(NamedTuple):
    """How many fields are images that are read, videos, texts of any words, and others."""

    images: int = 0
    videos: int = 0
    texts: int = 0
    others: int = 0


_ONE: Mapping[Shown, _Counts] = {"image": _Counts(images=1), "video": _Counts(videos=1)}


def _counts(spec: TaskSpec, names: Iterable[str]) -> _Counts:
    kinds = [spec.fields[name].of_kind for name in names]
    images = sum(kind.is_input_image for kind in kinds)
    videos = sum(kind.is_video for kind in kinds)
    texts = sum(kind.free_text for kind in kinds)
    return _Counts(images, videos, texts, len(kinds) - images - videos - texts)


def input_row(
    spec: TaskSpec,
    fields: Mapping[str, Any],
    language: str | None,
    *,
    file: str = "input",
    index: int = 0,
    key: str | None = None,
) -> Row:
    """Fields by name as a row of the task's own columns.

    Raises:
        UserError: for a field that is missing and must not be, or a language that the task does
            not have.
    """
    language = input_language(spec, language)
    columns: dict[str, Any] = {}
    given: dict[str, str] = {}
    if spec.data.language_column:
        columns[spec.data.language_column] = language
    if spec.data.key_column:
        columns[spec.data.key_column] = key or str(index)
    shared = {
        spec.fields[name].column_in(language)
        for name in fields
        if fields[name] is not None and name in spec.fields
    }
    for name in source_fields(spec):
        if fields.get(name) is None and spec.fields[name].missing == "allow":
            continue
        if fields.get(name) is None and spec.fields[name].column_in(language) in shared:
            continue  # another field of its column is given, such as the regions whose tags it is
        if fields.get(name) is None:
            raise UserError(
                f"the task {spec.task!r} needs the field {name!r}",
                field=name,
                nearest=nearest(name, [n for n in fields if n not in spec.fields]),
            )
        value = fields[name]
        if spec.fields[name].many and name in spec.example.pick and not isinstance(value, list):
            value = [value]  # one of many stands for itself
        column = spec.fields[name].column_in(language)
        columns[column], given[column] = value, name
    return Row(columns, file, index, language, given=given)


def input_language(spec: TaskSpec, language: str | None) -> str:
    """The task's tag of an input's language, which may be in another spelling, or without the
    territory or script of the only tag of that language; where a task has one only, it need not
    be said.

    Raises:
        UserError: for a language that the task does not have.
    """
    languages = spec.data.languages
    if language is None and len(languages) == 1:
        language = languages[0]
    if language in languages:
        return language
    known = None
    if isinstance(language, str):
        known = spec.data.tag_of(language) or _only_variant(language, languages)
    if known is None:
        raise unknown_language(spec, language)
    return known


def _only_variant(language: str, languages: Sequence[str]) -> str | None:
    """The one of the tags that is of a language, where that is said without a variant of it."""
    if any(subtags(language)[1:]):
        return None
    found = [tag for tag in languages if subtags(tag).language == subtags(language).language]
    return found[0] if len(found) == 1 else None


def unknown_language(spec: TaskSpec, language: str | None) -> UserError:
    """What to say of a language that a task does not have, or of none."""
    languages = spec.data.languages
    return UserError(
        "no language is given" if language is None else f"unknown language {language!r}",
        field="language",
        expected=f"one of {', '.join(languages)}",
        nearest=None if language is None else nearest_tag(str(language), languages),
    )


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def split_inputs(
    spec: TaskSpec, fields: Mapping[str, Any], language: str | list[str] | None
) -> tuple[list[tuple[dict[str, Any], str | None]], bool]:
    """Values by field, each one or a list, as the fields and the language of each input.

    Returns:
        The inputs, and whether they are several: whether anything is a list of inputs.

    Raises:
        UserError: for a field that the task does not have, or lists of different lengths.
    """
    for name in fields:
        if name not in spec.fields:
            known = source_fields(spec)
            raise UserError(
                f"the task {spec.task!r} has no field {name!r}",
                field=name,
                expected=" or ".join(known),
                nearest=nearest(name, known),
            )
    named = {"language": language, **fields}  # no field has that name
    lists = {
        name: value
        for name, value in named.items()
        if isinstance(value, list)
        and (name == "language" or is_list_of_inputs(spec.fields[name], value))
    }
    if len({len(value) for value in lists.values()}) > 1:
        lengths = ", ".join(f"{name} {len(value)}" for name, value in lists.items())
        raise UserError(f"the lists differ in length: {lengths}", field=next(iter(lists)))
    count = len(next(iter(lists.values()))) if lists else 1
    inputs = []
    for index in range(count):
        one = {name: lists[name][index] if name in lists else named[name] for name in named}
        tag = one.pop("language")
        inputs.append((one, tag))
    return inputs, bool(lists)


def is_list_of_inputs(spec: FieldSpec, value: Any) -> bool:
    """Whether a value stands for several inputs: one shape, and one list of a field with
    `many`, is itself a list."""
    own = int(spec.many) + spec.of_kind.is_list
    depth = 0
    while isinstance(value, list) and depth <= own:
        depth += 1
        value = value[0] if value else None
    return depth > own
