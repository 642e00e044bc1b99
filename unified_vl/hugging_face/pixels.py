"""Images as a model's own class in `transformers` takes them.

Legend: B inputs, S source length, N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch

from unified_vl.errors import UserError
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.configuration import UnifiedVLConfig


def inputs_for(
    config: UnifiedVLConfig | TransformersConfig,
    ids_BS: torch.Tensor,
    pixels_NCHW: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and pixels of sources with images.

    Args:
        config: of the model.
        ids_BS: an image's places hold `config.image_token_id`.
        pixels_NCHW: uint8.

    Returns:
        Both as they are, for this project's model. Of another family the places hold its own id
        (what they hold is not read), and the pixels, float32, are scaled by its mean and standard
        deviation.

    Raises:
        UserError: where the image branch is one that the Auto classes leave out.
    """
    if isinstance(config, UnifiedVLConfig):
        return ids_BS, pixels_NCHW
    if config.vision is not None or not config.reads_images:
        raise UserError(
            f"`transformers` knows the text part alone of this {config.model_type!r} model: its "
            "image branch is unified_vl's",
            field="images",
            expected="`unified_vl.UnifiedVL.from_pretrained`, which has both",
        )
    mean, std = (
        torch.tensor(value, dtype=torch.float32)[:, None, None]
        for value in (config.mean, config.std)
    )
    places_BS = ids_BS.eq(config.image_token_id or 0)  # a model that reads images has one
    ids_BS = ids_BS.masked_fill(places_BS, _image_id(config))
    return ids_BS, (pixels_NCHW.float() / 255 - mean) / std


def _image_id(config: TransformersConfig) -> int:
    """The id that the family's own class looks for."""
    theirs = config.theirs
    found = getattr(theirs, "image_token_id", None)
    return int(theirs.image_token_index if found is None else found)
