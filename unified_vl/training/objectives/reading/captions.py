"""Targets as captions, which objectives read without the images.

Legend: B rows, T target length.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.backbone import BackboneConfig

MULTIPLIER = 6364136223846793005  # of Knuth's MMIX generator; int64 sums wrap around


def caption_inputs(batch: Batch, config: BackboneConfig) -> Mapping[str, torch.Tensor]:
    """What the model's `forward` is given of captions: `caption_ids` and `caption_mask` (B, T).

    Args:
        batch: has targets.
        config: of the model: its id of padding.
    """
    assert batch.labels_BT is not None, "rows of training have targets"
    mask_BT = batch.labels_BT != IGNORED
    return {
        "caption_ids": batch.labels_BT.masked_fill(~mask_BT, config.pad_token_id),
        "caption_mask": mask_BT.long(),
    }


def words(batch: Batch, config: BackboneConfig) -> torch.Tensor:
    """(B, T), whether a label is one of a caption: neither its end nor padding."""
    assert batch.labels_BT is not None, "rows of training have targets"
    return (batch.labels_BT != config.eos_token_id) & (batch.labels_BT != IGNORED)


def fingerprints(batch: Batch) -> torch.Tensor:
    """(B,), int64: the same for captions of the same ids, and hardly for others."""
    assert batch.labels_BT is not None, "rows of training have targets"
    ids_BT = batch.labels_BT.masked_fill(batch.labels_BT == IGNORED, -1) + 1  # 0: padding
    found_B = ids_BT.new_zeros(len(ids_BT))
    for id_B in ids_BT.T:
        found_B = torch.where(id_B > 0, (found_B ^ id_B) * MULTIPLIER, found_B)
    return found_B
