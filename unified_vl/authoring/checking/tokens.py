"""The codec by which an author sees a task as the model will."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from unified_vl.codecs.image_codes import CodeImages, code_grid
from unified_vl.codecs.sequence import SequenceCodec, load_tokenizer
from unified_vl.image_tokenizer.image_tokenizer import load_image_tokenizer
from unified_vl.model.encoders.registry import grid_size
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import told_at_its_key


class Sizes(NamedTuple):
    """What bounds the examples that a model reads.

    Attributes:
        image_size: (height, width) that images are brought to.
        image_tokens: ids of an image.
        max_source, max_target: ids of the longest.
    """

    image_size: tuple[int, int]
    image_tokens: int
    max_source: int
    max_target: int


def sizes_of(run: Run) -> Sizes:
    """Those of the model that a run trains.

    Raises:
        UserError: for an image encoder that does not take its size.
    """
    with told_at_its_key(run):
        rows, columns = grid_size(run.model.vision.model_dump(mode="json"))
    height, width = run.model.vision.image_size
    return Sizes((height, width), rows * columns, run.max_source_tokens, run.max_target_tokens)


def load_codec(
    directory: Path | None,
    *,
    image_size: tuple[int, int],
    image_tokens: int,
    max_source: int,
    max_target: int,
) -> SequenceCodec | None:
    """The codec of a tokenizer's directory; None without one.

    Raises:
        UserError: when a part of the tokenizer is missing or broken.
    """
    if directory is None:
        return None
    vocabulary, text = load_tokenizer(directory)
    image_tokenizer = load_image_tokenizer(directory, vocabulary)
    code_images = None
    if image_tokenizer is not None:
        side = image_tokenizer.downsampling
        height, width = (max(length // side, 1) * side for length in image_size)
        code_images = CodeImages(image_tokenizer, code_grid(height, width, side))
    return SequenceCodec(
        vocabulary,
        text,
        image_tokens=image_tokens,
        image_size=image_size,
        max_source=max_source,
        max_target=max_target,
        code_images=code_images,
    )
