"""The codec of a model: sequences with images as its configuration has them."""

from __future__ import annotations

from typing import Protocol

from unified_vl.codecs.image_codes import CodeImages, ImageCodec
from unified_vl.codecs.region_values import RegionSizes
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.kinds.hooks.fits import Fit


class ImageSettings(Protocol):
    """What a model's configuration says of images."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the network reads."""
        ...

    @property
    def image_fit(self) -> Fit:
        """How images are brought to that size."""
        ...

    @property
    def image_tokens(self) -> int:
        """Places of one image in a source; the most, where images are packed."""
        ...

    @property
    def around_image(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that stand before and behind an image's places."""
        ...

    @property
    def region_sizes(self) -> RegionSizes | None:
        """Of the regions that the model reads; None where it reads none."""
        ...

    @property
    def code_grid(self) -> tuple[int, int] | None:
        """Rows and columns of an image's codes; None where there are no codes."""
        ...


def model_codec(
    config: ImageSettings,
    vocabulary: Vocabulary,
    text: TextCodec,
    image_tokenizer: ImageCodec | None,
    *,
    max_source: int,
    max_target: int,
) -> SequenceCodec:
    """The codec of what a model reads and writes.

    Args:
        config: the model's.
        vocabulary: the meaning of its ids.
        text: the tokenizer of its texts.
        image_tokenizer: what turns images to codes and back; of no use to a model without codes.
        max_source: the longest source, in ids.
        max_target: the longest target, in ids.
    """
    code_images = None
    if image_tokenizer is not None and config.code_grid is not None:
        code_images = CodeImages(image_tokenizer, config.code_grid)
    return SequenceCodec(
        vocabulary,
        text,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        fit=config.image_fit,
        max_source=max_source,
        max_target=max_target,
        code_images=code_images,
        around_image=config.around_image,
        region_sizes=config.region_sizes,
    )
