"""The codec by which an author sees a task as the model will."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unified_vl.codecs.image_codes import CodeImages, code_grid
from unified_vl.codecs.region_values import RegionSizes
from unified_vl.codecs.sequence import SequenceCodec, load_tokenizer
from unified_vl.image_tokenizer.image_tokenizer import load_image_tokenizer
from unified_vl.kinds.hooks.fits import Fit, fit_of
from unified_vl.model.image_encoders.registry import grid_size
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import told_at_its_key

if TYPE_CHECKING:
    from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint


class Sizes(NamedTuple):
    """What bounds the examples that a model reads.

    Attributes:
        image_size: (height, width) that images are brought to.
        image_tokens: ids of an image; the most, where images are packed.
        max_source, max_target: ids of the longest.
        fit: how images of other proportions are brought to that size.
        around_image: ids before and behind those of an image.
        region_sizes: of the regions that the model reads; None where it reads none.
    """

    image_size: tuple[int, int]
    image_tokens: int
    max_source: int
    max_target: int
    fit: Fit = "stretch"
    around_image: tuple[Sequence[int], Sequence[int]] = ((), ())
    region_sizes: RegionSizes | None = RegionSizes()


def started(run: Run) -> tuple[Run, TransformersCheckpoint | None]:
    """A run with the keys of its model that are known from what it starts from.

    Returns:
        It, and what decides the rest where `transformers` computes the model.

    Raises:
        UserError: at `model.from`, where that is not on this machine, or at a key that
            contradicts it.
    """
    if run.model.from_ is None:
        return run, None
    # most runs start at random, and this loads `transformers`
    from unified_vl.model.pretrained.architecture import known_start
    from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint

    known, pretrained = known_start(run, download=False)
    return known, pretrained if isinstance(pretrained, TransformersCheckpoint) else None


def sizes_of(run: Run, theirs: TransformersCheckpoint | None = None) -> Sizes:
    """Those of the model that a run trains.

    Args:
        run: and
        theirs: as `started` returns them. Their images take no ids here before there is a
            tokenizer.

    Raises:
        UserError: for an image encoder that does not take its size, or a run that does not suit
            what it starts from.
    """
    vision = run.model.vision
    height, width = vision.image_size
    limits = run.max_source_tokens, run.max_target_tokens
    with told_at_its_key(run):
        if theirs is None:
            keys = vision.model_dump(mode="json")
            rows, columns = grid_size(keys)
            model = run.model
            sizes = model.region_features, model.region_classes, model.region_attributes
            regions = None if sizes[0] is None else RegionSizes(*sizes)
            return Sizes(
                (height, width), rows * columns, *limits, fit_of(keys), region_sizes=regions
            )
        if not run.tokenizer.is_dir():
            return Sizes((height, width), 0, *limits)
        config = theirs.configuration(run, *load_tokenizer(run.tokenizer))
    tokens, fit, around = config.image_tokens, config.image_fit, config.around_image
    return Sizes(config.image_size, tokens, *limits, fit, around, config.region_sizes)


def load_codec(
    directory: Path | None,
    *,
    image_size: tuple[int, int],
    image_tokens: int,
    max_source: int,
    max_target: int,
    fit: Fit = "stretch",
    around_image: tuple[Sequence[int], Sequence[int]] = ((), ()),
    region_sizes: RegionSizes | None = RegionSizes(),  # noqa: B008 (frozen)
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
        fit=fit,
        max_source=max_source,
        max_target=max_target,
        code_images=code_images,
        around_image=around_image,
        region_sizes=region_sizes,
    )
