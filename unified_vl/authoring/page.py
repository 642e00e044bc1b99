"""Rows of a task as one HTML page that needs no other file.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from unified_vl.authoring.show import Shown, lines
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Image, ImageCodes, Segment
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.errors import BadRow
from unified_vl.geometry import Shape
from unified_vl.kinds.registry import kind_of_place
from unified_vl.languages.tags import canonical
from unified_vl.png import data_url
from unified_vl.specs.task import TaskSpec


def as_html(
    spec: TaskSpec,
    shown: Sequence[Shown],
    codec: SequenceCodec | None,
    left_out: Sequence[BadRow] = (),
) -> str:
    """Images with their shapes drawn, beside the texts, each in its own direction.

    Args:
        spec: the task.
        shown: the rows.
        codec: the tokenizer that gave their ids, if one did.
        left_out: rows that `on_bad_row: skip` left out.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        spec=spec,
        articles=[_article(spec, each, codec) for each in shown],
        left_out=[str(error) for error in left_out],
    )


def _article(spec: TaskSpec, shown: Shown, codec: SequenceCodec | None) -> dict[str, Any]:
    example = shown.example
    segments = (*example.source, *example.target)
    shapes = [s for s in segments if isinstance(s, Shape)]
    images = [
        found for found in (_image_of(segment, codec) for segment in segments) if found is not None
    ]
    # shapes are measured in the row's first image, which the images of shots come before
    own = len(images) - 1 if example.shots else 0
    # where a row names two languages, a text of its source may be in either
    one_language = not any(field.of_kind.names_language for field in spec.fields.values())
    return {
        "example": example,
        "language": canonical(example.language),
        "figures": [_figure(image, shapes if n == own else []) for n, image in enumerate(images)],
        "lines": [
            (line, one_language or line.name.startswith(("target", "right", "decoded")))
            for line in lines(shown, codec)
        ],
    }


def _image_of(segment: Segment, codec: SequenceCodec | None) -> LoadedImage | None:
    """What the model sees: of an image in codes what these stand for, grey where masked."""
    if isinstance(segment, Image):
        return segment.image
    if not isinstance(segment, ImageCodes):
        return None
    if codec is None or codec.code_images is None:
        return segment.image
    pixels_HWC = codec.code_images.seen([segment.codes])[0]
    height, width = pixels_HWC.shape[:2]
    return LoadedImage(pixels_HWC, width, height)


def _figure(image: LoadedImage, shapes: Sequence[Shape]) -> dict[str, Any]:
    url = data_url(PILImage.fromarray(image.pixels_HWC))
    return {"image": image, "url": url, "outlines": [_outline(shape) for shape in shapes]}


def _outline(shape: Shape) -> tuple[str, dict[str, Any]]:
    """The SVG element of a shape, in the units of the picture, which is 1 x 1."""
    return kind_of_place(shape).outline(shape.coordinates)
