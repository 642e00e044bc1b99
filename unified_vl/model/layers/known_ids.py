"""Ids that a model looks for, on the device where it looks.

Legend: K ids.
"""

from __future__ import annotations

from functools import lru_cache

import torch


def known_ids(ids: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """The ids as a tensor (K,) of int64, copied to each device once: a copy to a GPU waits for
    all that was asked of it before.

    They are no buffers, because they come from the configuration alone: so checkpoints need not
    hold them, nor a model without numbers (on "meta") be told them.
    """
    if torch.compiler.is_exporting():
        return torch.tensor(ids, device=device)  # the exporter's own, which cannot be kept
    return _kept(ids, device)


@lru_cache(maxsize=512)
def _kept(ids: tuple[int, ...], device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # whoever asks first, training may ask next
        return torch.tensor(ids, device=device)
