"""Whether location tokens can say the places in images that a task has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from unified_vl.authoring.checking.findings import ROW_REMEDY, Findings
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.shapes import ShapeCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.example import Example
from unified_vl.data.shapes import Noted
from unified_vl.errors import BadRow, UserError
from unified_vl.geometry import Shape, coordinates
from unified_vl.kinds.registry import kind_of_place
from unified_vl.readers.registry import READERS
from unified_vl.specs.task import TaskSpec


def check_shapes(
    example: Example, codec: SequenceCodec | None, checked: Counter[str], findings: Findings
) -> None:
    """That each shape is larger than a location bin, and comes back within half of one.

    Raises:
        BadRow: for one that does not come back.
    """
    shapes = ShapeCodec(Vocabulary(0, ())) if codec is None else codec.shapes
    bin_size = 1 / len(shapes.id_range)
    for shape in (*example.source, *example.target):
        if not isinstance(shape, Shape):
            continue
        of = kind_of_place(shape)
        kind = of.name
        checked[kind] += 1
        numbers = coordinates(shape)
        sides = (max(numbers[0::2]) - min(numbers[0::2]), max(numbers[1::2]) - min(numbers[1::2]))
        if not of.may_be_flat and min(sides) < bin_size:
            message = f"the {kind} {_short(shape)} is smaller than a location bin"
            error = UserError(message, file=example.where)
            findings.add(error, "warning", remedy=ROW_REMEDY)
        back = shapes.decode(shapes.encode(shape), kind)
        pairs = zip(numbers, coordinates(back), strict=True)
        if any(abs(a - b) > bin_size / 2 + 1e-9 for a, b in pairs):
            message = f"the {kind} {_short(shape)} comes back as {_short(back)}"
            raise BadRow(message, file=example.where)


def report_notes(notes: Sequence[Noted], spec: TaskSpec, findings: Findings) -> None:
    """What was cut off or scaled, and what the sizes of images and EXIF say against a spec."""
    for note in notes:
        error = UserError(note.what, file=note.where, field=f"fields.{note.field}")
        remedy = next(remedy for start, remedy in _REMEDIES.items() if start in note.what)
        size = ", ".join(READERS[spec.data.reader].stated_size) or "WIDTH, HEIGHT"
        remedy = remedy.format(size=size)
        findings.add(error, "warning", remedy=remedy, count=note.count)


_REMEDIES = {  # by what is noted
    "before EXIF turns it": "orientation: stored, if the shapes are for those pixels too",
    "the field does not say orientation": "orientation: upright or stored, whichever pixels the "
    "shapes were drawn on",
    "state another size": "size: [{size}] of the field scales the shapes from the size that is "
    "stated",
    "proportion": "scale images without cutting any of them off",
    "cut off": "nothing, unless it should not be so",
}


def _short(shape: Shape) -> str:
    return "[" + ", ".join(f"{v:.4f}" for v in coordinates(shape)) + "]"
