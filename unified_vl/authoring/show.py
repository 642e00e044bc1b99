"""What the model will really see of a task, for a person to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from unified_vl.authoring.checking.fingerprints import normal
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import (
    Image,
    ImageCodes,
    Noised,
    Pieces,
    Regions,
    Segment,
    Tag,
    Text,
)
from unified_vl.codecs.sequence import Encoded, SequenceCodec
from unified_vl.codecs.vocabulary import IMAGE_TAG, frame_ids
from unified_vl.data.batching import naming
from unified_vl.data.example import Example, Reference
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow
from unified_vl.geometry import Shape, coordinates, to_pixels
from unified_vl.json_text import parse_json
from unified_vl.kinds.detected.regions import PLACE_TAG
from unified_vl.kinds.hooks.fits import Fit
from unified_vl.kinds.registry import kind_of_place
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """An example, its ids when there is a tokenizer, and what of its row is in neither.

    Attributes:
        example: the example.
        source: the ids of the source, and those that the limit cut off.
        target: the same of the target.
        shape: what runs of location ids in the target are.
        unused: values of the row that the example does not hold, by field.
    """

    example: Example
    source: Encoded | None = None
    target: Encoded | None = None
    shape: str = ""
    unused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of a line: a text in the row's language, or what stands for something else."""

    text: str
    is_text: bool = False


@dataclass(frozen=True)
class Line:
    """One thing that there is to say of an example; `is_lost` when the model never sees it."""

    name: str
    pieces: tuple[Piece, ...]
    is_lost: bool = False

    def __str__(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


def show_rows(
    spec: TaskSpec,
    root: Path,
    *,
    split: SplitName,
    count: int,
    image_size: Size,
    fit: Fit = "stretch",
    codec: SequenceCodec | None = None,
    augment: Sequence[AugmentSpec] = (),
    left_out: Callable[[BadRow], None] = lambda error: None,
) -> list[Shown]:
    """Rows of a split, drawn with a fixed seed, as examples of training.

    Args:
        spec: the task.
        root: the data root.
        split: train, validation or test.
        count: how many rows.
        image_size: (height, width) that images are brought to.
        fit: how, where their proportions are others.
        codec: gives the ids.
        augment: what a run does to pictures of the train split.
        left_out: is told of each row that `on_bad_row: skip` leaves out.

    Raises:
        UserError: for data that cannot be read, or a row that breaks the spec.
    """
    data = TaskData(spec, split, root)
    train = train_rows(spec, root, data)
    images = ImageLoader(root, image_size, fit=fit)
    builder = ExampleBuilder(
        spec,
        images,
        codec=codec,
        rows=data,
        train=train,
        augment=augment if split == "train" else (),
    )
    shown: dict[int, Shown] = {}
    for index in Random(0).sample(range(len(data)), len(data)):
        row = data[index]
        source = target = None
        try:
            example = builder.build(row, seed=index)
            if codec is not None:
                with naming(example):
                    source = codec.encode_source(example.source)
                    target = codec.encode_target(example.target)
        except BadRow as error:
            spec.data.stop_or_skip(error)
            left_out(error)
            continue
        unused = tuple(_unused(spec, row, example))
        shown[index] = Shown(example, source, target, spec.answer_form.shape, unused)
        if len(shown) == count:
            break
    return [shown[index] for index in sorted(shown)]


def _unused(spec: TaskSpec, row: Row, example: Example) -> Iterator[tuple[str, str]]:
    """The texts of lists that neither source nor target holds."""
    texts = [s.text for s in (*example.source, *example.target) if isinstance(s, Text)]
    places = [s for s in (*example.source, *example.target) if isinstance(s, Shape)]
    labels = [kind_of_place(place).label_of(place) for place in places]
    held = f" {normal(' '.join([*texts, *(label or '' for label in labels)]))} "
    for name, field in spec.fields.items():
        if not field.of_kind.free_text or not field.many or name in spec.example.noise:
            continue
        values = _list(row.columns.get(field.column_in(example.language)))
        for value in dict.fromkeys(map(str, values)):
            if f" {normal(value)} " not in held:
                yield name, value


def _list(value: Any) -> list[Any]:
    """A list, out of a cell of CSV too."""
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []


def as_text(shown: Shown, codec: SequenceCodec | None) -> str:
    """A few lines: place, source, target, references, ids, and what was left out."""
    example = shown.example
    said = lines(shown, codec)
    width = max(len(line.name) for line in said)
    head = f"{example.where}  key {example.key}  language {example.language}"
    return "\n".join([head, *(f"  {line.name:<{width}}  {line}" for line in said)])


def lines(shown: Shown, codec: SequenceCodec | None) -> list[Line]:
    """What there is to say of an example."""
    example = shown.example
    size = example.image_size
    found = [
        Line("source", tuple(_pieces(example.in_image(example.source), size, codec))),
        Line("target", tuple(_pieces(example.in_image(example.target), size, codec))),
    ]
    for name, values in example.references.items():
        for value in values:
            segment = _segment_of(value)
            found.append(Line(f"right {name}", tuple(_pieces([segment], size, codec))))
    found += [
        Line(f"not used {name}", (Piece(value, True),), is_lost=True)
        for name, value in shown.unused
    ]
    if codec is not None and shown.source is not None and shown.target is not None:
        for side, encoded in (("source", shown.source), ("target", shown.target)):
            found.append(Line(f"{side} ids", tuple(_runs(encoded.ids, codec, str))))
            found.append(Line("pieces", tuple(_id_pieces(encoded.ids, codec))))
            for ids in encoded.cut:
                text = Piece(codec.text.decode(ids), True)
                found.append(Line(f"cut off {side}", (text,), is_lost=True))
        decoded = example.in_image(codec.decode(shown.target.ids, shown.shape))
        found.append(Line("decoded", tuple(_pieces(decoded, size, codec))))
    return found


def _segment_of(value: Reference) -> Segment:
    match value:
        case str():
            return Text(value)
        case LoadedImage():
            return Image(value)
    return value


def _pieces(
    segments: Sequence[Segment], size: Size | None, codec: SequenceCodec | None
) -> Iterator[Piece]:
    for segment in segments:
        yield Piece(segment_text(segment, size, codec), isinstance(segment, Text | Pieces))


def segment_text(segment: Segment, size: Size | None, codec: SequenceCodec | None = None) -> str:
    """A segment in a few words; a shape in pixels of an image of `size` (width, height).

    What is in pieces already needs the codec that made them.
    """
    match segment:
        case Text(text):
            return text
        case Tag(name):
            return f"<{name}>"
        case Pieces(ids):
            assert codec is not None  # which made them
            return codec.text.decode(ids)
        case Noised():
            return f"[{segment.kind} of {segment.text!r}: a tokenizer shows it]"
        case Image(image, frame):
            name = "image" if frame is None else f"frame {frame + 1}"
            height, width = image.pixels_HWC.shape[:2]
            said = "".join(f", {change}" for change in image.changes)
            return f"[{name} {image.width}x{image.height} as {width}x{height}{said}]"
        case ImageCodes(codes, columns):
            masked = codes.count(None)
            rows = len(codes) // columns if columns else 0
            said = f", {masked} of them masked" if masked else ""
            return f"[image in {rows}x{columns} codes{said}]"
        case Regions():
            hidden = int(segment.hidden_R.sum())
            return f"[{len(segment)} regions{f', {hidden} of them hidden' if hidden else ''}]"
    kind = kind_of_place(segment)
    label = kind.label_of(segment)
    said = f"{kind.name} {label}" if label else kind.name
    if size is None:
        numbers = " ".join(f"{v:.3f}" for v in coordinates(segment))
    else:
        numbers = " ".join(f"{v:.1f}" for v in to_pixels(segment, *size))
    return f"[{said} {numbers}]"


def pieces_text(ids: Sequence[int], codec: SequenceCodec) -> str:
    """Ids as the pieces of text, the tags and the locations that they stand for."""
    return " ".join(piece.text for piece in _id_pieces(ids, codec))


def _id_pieces(ids: Sequence[int], codec: SequenceCodec) -> Iterator[Piece]:
    vocabulary = codec.vocabulary

    def piece(token: int) -> str:
        match vocabulary.kind_of(token):
            case "location":
                return f"<{token - vocabulary.locations.start}>"
            case "image code":
                return f"<code {token - vocabulary.image_codes.start}>"
            case "tag":
                return f"<{vocabulary.tag_name(token)}>"
            case _:
                return codec.text.pieces([token])[0]

    return _runs(ids, codec, piece)


def _runs(ids: Sequence[int], codec: SequenceCodec, say: Callable[[int], str]) -> Iterator[Piece]:
    """All ids, those of an image, a frame or regions as one of them and their number."""
    vocabulary = codec.vocabulary
    images = {vocabulary.tag_id(IMAGE_TAG), *frame_ids(vocabulary)}
    if PLACE_TAG in vocabulary.tags:
        images.add(vocabulary.tag_id(PLACE_TAG))
    for token, run in groupby(ids):
        times = len(list(run))
        yield from (
            [Piece(f"{say(token)}*{times}")] if token in images else [Piece(say(token))] * times
        )
