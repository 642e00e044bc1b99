"""Which tasks an objective can be of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.kinds.kind import Kind
from unified_vl.kinds.places import PlaceKind
from unified_vl.specs.reading.document import Problem
from unified_vl.specs.tasks.template import Slot, Template

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec
    from unified_vl.specs.tasks.fields import FieldSpec


def paired(name: str, spec: TaskSpec, *, videos: bool = False) -> Iterator[Problem]:
    if not _pairs_image_and_text(spec, videos=videos):
        yield Problem(
            (name,),
            f"the task {spec.task!r} does not describe an image{' or a video' * videos}",
            expected=f"one image {'or video ' * videos}in its source and a text as its target",
        )
    shown = [] if spec.shot is None else spec.fields_of(spec.shot)
    for field in (name for name in shown if spec.fields[name].of_kind.is_seen):
        found = f"the shots of the task {spec.task!r} show {{{field}}}, so a row has several"
        yield Problem((name,), found, expected="shots without images, or none")
    wrong = spec.example.mismatch
    if wrong is not None and (
        spec.fields[wrong.field].of_kind.is_seen or wrong.field in spec.fields_of(spec.target)
    ):
        found = f"the task {spec.task!r} takes {{{wrong.field}}} from another row now and then"
        yield Problem((name,), found, expected="`mismatch` of another field, or none")


def _pairs_image_and_text(spec: TaskSpec, *, videos: bool) -> bool:
    """Whether a row has one image (or video) and one text that can find each other (a question may
    be read beside it, so this is more than captioning)."""
    read, target = _in_order(spec, spec.source), _in_order(spec, spec.target)
    seen = [(name, f) for name, f in read if f.of_kind.is_seen and not f.in_codes]
    if len(seen) != 1 or len(target) != 1:
        return False
    (name, shown), (_, written) = seen[0], target[0]
    if shown.many or (shown.of_kind.is_video and not videos) or not _always_there(spec, name):
        return False
    return written.of_kind.free_text and written.missing != "allow" and not written.in_codes


def _in_order(spec: TaskSpec, template: Template) -> list[tuple[str, FieldSpec]]:
    """The fields of a template with their names, each as often as it is there."""
    slots = (piece.name for piece in template if isinstance(piece, Slot))
    return [(name, spec.fields[name]) for name in slots if name in spec.fields]


def _always_there(spec: TaskSpec, name: str) -> bool:
    """Whether every source has a field of it."""
    drop = spec.example.drop
    return spec.fields[name].missing != "allow" and (drop is None or name not in drop.fields)


def texts_alone(name: str, spec: TaskSpec) -> Iterator[Problem]:
    """That it turns one text of the row, which is always there, into another."""
    fields, example = spec.fields, spec.example
    read = {each: fields[each].of_kind for each in spec.fields_of(spec.source)}
    texts = [each for each, kind in read.items() if kind.free_text]
    known = all(kind.free_text or kind.names_language for kind in read.values())
    written = [fields[each].of_kind.free_text for each in spec.fields_of(spec.target)]
    there = [_always_there(spec, each) for each in texts]
    other = example.shots is not None or example.mismatch is not None  # rows' texts
    if there != [True] or not known or written != [True] or other:
        found = f"the task {spec.task!r} does not turn one text into another"
        expected = (
            "one text and no image in its source, a text as its target, no shots and no `mismatch`"
        )
        yield Problem((name,), found, expected=expected)


def points_to_phrase(spec: TaskSpec) -> Iterator[Problem]:
    """That it says what its words name: in boxes where in one image, or in moments when in one
    video."""
    read = _in_order(spec, spec.source)
    seen = [field for _, field in read if field.of_kind.is_seen]
    texts = [name for name, field in read if field.of_kind.free_text]
    written = [spec.fields[name] for name in spec.fields_of(spec.target)]
    there = all(
        _always_there(spec, name)
        for name, field in read
        if field.of_kind.is_seen or field.of_kind.free_text
    )
    one = len(seen) == 1 and not (seen[0].many or seen[0].in_codes)
    points = one and all(_is_in(seen[0].of_kind, each) for each in written)
    other = spec.example.shots is not None or spec.example.mismatch is not None  # rows' texts
    if not points or not texts or not there or not written or other:
        found = f"the task {spec.task!r} does not point to what its words name"
        expected = (
            "one image in pixels or one video and a field of kind text in its source, all always "
            "there, no field but boxes of the image or moments of the video in its target, no "
            "shots and no `mismatch`"
        )
        yield Problem(("phrase_alignment",), found, expected=expected)


def _is_in(seen: Kind, field: FieldSpec) -> bool:
    """Whether it is a box without a label in an image, or a moment of a video."""
    kind = field.of_kind
    if not isinstance(kind, PlaceKind) or not kind.rising or field.labels:
        return False
    return kind.in_image != seen.is_video


def hides(name: str, spec: TaskSpec) -> Iterator[Problem]:
    read = (spec.fields[each] for each in spec.fields_of(spec.source))
    if not any(field.hide is not None for field in read):
        found = f"the task {spec.task!r} hides no regions"
        expected = "a field of kind regions with `hide` in its source"
        yield Problem((name,), found, expected=expected)
