"""What the model will really see of a task, for a person to look at.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from random import Random

from PIL import Image as PILImage

from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Box, Image, Point, Polygon, Segment, Shape, Tag, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.shapes import coordinates, to_pixels
from unified_vl.codecs.vocabulary import IMAGE_TAG
from unified_vl.data.examples import Example, ExampleBuilder
from unified_vl.data.images import ImageLoader
from unified_vl.data.sources import TaskData
from unified_vl.specs.data import SplitName
from unified_vl.specs.fields import ShapeKind
from unified_vl.specs.task import TaskSpec

Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """An example, and the ids of its source and target when there is a tokenizer.

    `shape` says what runs of location ids in the target are.
    """

    example: Example
    source_ids: list[int] | None
    target_ids: list[int] | None
    shape: ShapeKind = "box"


def show_rows(
    spec: TaskSpec,
    root: Path,
    *,
    split: SplitName,
    count: int,
    image_size: Size,
    codec: SequenceCodec | None = None,
) -> list[Shown]:
    """Rows of a split, drawn with a fixed seed, as examples of training.

    Args:
        spec: the task.
        root: the data root.
        split: train, validation or test.
        count: how many rows.
        image_size: (height, width) that images are brought to.
        codec: gives the ids.

    Raises:
        UserError: for data that cannot be read, or a row that breaks the spec.
    """
    data = TaskData(spec, split, root)
    builder = ExampleBuilder(spec, ImageLoader(root, image_size))
    shown = []
    for index in sorted(Random(0).sample(range(len(data)), min(count, len(data)))):
        example = builder.build(data[index], seed=index)
        source = target = None
        if codec is not None:
            source = codec.encode_source(example.source).ids
            target = codec.encode_target(example.target).ids
        shown.append(Shown(example, source, target, spec.answer_form.shape))
    return shown


def as_text(shown: Shown, codec: SequenceCodec | None) -> str:
    """A few lines: place, source, target, references, ids."""
    example = shown.example
    lines = [f"{example.where}  key {example.key}  language {example.language}"]
    parts = _parts(shown, codec)
    width = max(len(name) for name, _ in parts)
    lines += [f"  {name:<{width}}  {value}" for name, value in parts]
    return "\n".join(lines)


def _parts(shown: Shown, codec: SequenceCodec | None) -> list[tuple[str, str]]:
    """What there is to say of an example, as names and values."""
    example = shown.example
    size = example.image_size
    parts = [("source", _line(example.source, size)), ("target", _line(example.target, size))]
    for name, values in example.references.items():
        for value in values:
            said = value if isinstance(value, str) else segment_text(value, size)
            parts.append((f"right {name}", said))
    if codec is not None and shown.source_ids is not None and shown.target_ids is not None:
        parts += [
            ("source ids", _ids(shown.source_ids, codec)),
            ("pieces", pieces_text(shown.source_ids, codec)),
            ("target ids", _ids(shown.target_ids, codec)),
            ("pieces", pieces_text(shown.target_ids, codec)),
            ("decoded", _line(codec.decode(shown.target_ids, shown.shape), size)),
        ]
    return parts


def _line(segments: Sequence[Segment], size: Size | None) -> str:
    return " ".join(segment_text(segment, size) for segment in segments)


def segment_text(segment: Segment, size: Size | None) -> str:
    """A segment in a few words; a shape in pixels of an image of `size` (width, height)."""
    match segment:
        case Text(text):
            return text
        case Tag(name):
            return f"<{name}>"
        case Image(image):
            height, width = image.pixels_HWC.shape[:2]
            return f"[image {image.width}x{image.height} as {width}x{height}]"
        case Box() | Point() | Polygon():
            kind = type(segment).__name__.lower()
            label = f" {segment.label}" if isinstance(segment, Box) and segment.label else ""
            if size is None:
                numbers = " ".join(f"{v:.3f}" for v in coordinates(segment))
            else:
                numbers = " ".join(f"{v:.1f}" for v in to_pixels(segment, *size))
            return f"[{kind}{label} {numbers}]"


def _ids(ids: Sequence[int], codec: SequenceCodec) -> str:
    return _runs(ids, codec, str)


def pieces_text(ids: Sequence[int], codec: SequenceCodec) -> str:
    """Ids as the pieces of text, the tags and the locations that they stand for."""
    vocabulary = codec.vocabulary

    def piece(token: int) -> str:
        if token in vocabulary.text:
            return codec.text.pieces([token])[0]
        if token in vocabulary.locations:
            return f"<{token - vocabulary.locations.start}>"
        return f"<{vocabulary.tag_name(token)}>"

    return _runs(ids, codec, piece)


def _runs(ids: Sequence[int], codec: SequenceCodec, say: Callable[[int], str]) -> str:
    """All ids, those of an image as one of them and their number."""
    image = codec.vocabulary.tag_id(IMAGE_TAG)
    said = []
    for token, run in groupby(ids):
        times = len(list(run))
        said += [f"{say(token)}*{times}"] if token == image else [say(token)] * times
    return " ".join(said)


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
article {{ display: flex; flex-wrap: wrap; gap: 1.5rem; padding: 1.5rem 0;
  border-top: 1px solid #8886; }}
figure {{ position: relative; margin: 0; width: 16rem; align-self: flex-start; }}
img, svg {{ position: absolute; inset: 0; width: 100%; height: 100%; }}
img {{ image-rendering: pixelated; }}
rect, polygon {{ fill: none; stroke: #d6006c; stroke-width: 3; vector-effect: non-scaling-stroke; }}
circle {{ fill: #d6006c; }}
div {{ flex: 1 1 20rem; min-width: 0; }}
h2 {{ font-size: 1rem; margin: 0; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; }}
dt {{ opacity: .7; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
<p>{about}</p>
{articles}
</html>
"""


def as_html(spec: TaskSpec, shown: Sequence[Shown], codec: SequenceCodec | None) -> str:
    """A page that needs no other file: images with their boxes drawn, beside the text."""
    articles = "\n".join(_article(each, codec) for each in shown)
    return _PAGE.format(title=escape(spec.task), about=escape(spec.about), articles=articles)


def _article(shown: Shown, codec: SequenceCodec | None) -> str:
    example = shown.example
    segments = (*example.source, *example.target)
    shapes = [s for s in segments if isinstance(s, Box | Point | Polygon)]
    images = [s.image for s in segments if isinstance(s, Image)]
    # shapes are measured in the first image
    figures = "".join(_figure(image, [] if n else shapes) for n, image in enumerate(images))
    rows = "".join(
        f'<dt>{escape(name)}<dd dir="auto" lang="{escape(example.language)}">{escape(value)}'
        for name, value in _parts(shown, codec)
    )
    title = f"{example.where} · {example.key} · {example.language}"
    return f"<article>{figures}<div><h2>{escape(title)}</h2><dl>{rows}</dl></div></article>"


def _figure(image: LoadedImage, shapes: Sequence[Shape]) -> str:
    buffer = io.BytesIO()
    PILImage.fromarray(image.pixels_HWC).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    drawn = "".join(_outline(shape) for shape in shapes)
    return (
        f'<figure style="aspect-ratio: {image.width} / {image.height}">'
        f'<img alt="what the model sees of the image" src="data:image/png;base64,{data}">'
        f'<svg viewBox="0 0 1 1" preserveAspectRatio="none">{drawn}</svg></figure>'
    )


def _outline(shape: Shape) -> str:
    """A shape in the units of the picture, which is 1 x 1."""
    match shape:
        case Box():
            width, height = shape.x2 - shape.x1, shape.y2 - shape.y1
            return f'<rect x="{shape.x1}" y="{shape.y1}" width="{width}" height="{height}"/>'
        case Point():
            return f'<circle cx="{shape.x}" cy="{shape.y}" r="0.02"/>'
        case Polygon(xy):
            return f'<polygon points="{" ".join(map(str, xy))}"/>'
