"""The target tokens of a batch, whether it is padded or not.

Legend: B rows, T target length, N tokens of targets, R those that are to be written, M width.
"""

from __future__ import annotations

import torch

from unified_vl.data.batching import IGNORED, Batch


def target_labels(batch: Batch) -> torch.Tensor:
    """Labels (B, T); those of tokens alone, (N,), of a batch that is computed without padding."""
    assert batch.labels_BT is not None, "rows of training have targets"
    if batch.packing is None:
        return batch.labels_BT
    return batch.labels_BT.flatten()[batch.packing.target.token_N]


def of_target_tokens(states: torch.Tensor | None, batch: Batch) -> torch.Tensor:
    """The states (R, M) of tokens that are to be written.

    Args:
        states: `target_states` of a model's output.
        batch: that it is of.
    """
    assert states is not None, "a loss of targets was asked for"
    return states[target_labels(batch) != IGNORED]
