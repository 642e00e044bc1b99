"""Classifier-free guidance (arXiv 2207.12598; for tokens Make-A-Scene, arXiv 2203.13131, section
3.5): away from what would be written without the condition, towards what is with it.

Legend: B sources still running, K hypotheses of a source, R = B * K, V vocabulary.
"""

from __future__ import annotations

import torch

from unified_vl.decoding.protocol import Decoder


class GuidedDecoder:
    """Two decoders that read the same ids, one with the condition and one without.

    Args:
        conditioned: reads the sources as they are.
        without: reads them without the condition.
        scale: 0 ignores the condition, 1 is the conditioned decoder, more exaggerates.
    """

    def __init__(self, conditioned: Decoder, without: Decoder, scale: float) -> None:
        self._conditioned = conditioned
        self._without = without
        self._scale = scale

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Guided logits (R, V) behind the next ids, as `Decoder.next_logits`."""
        conditioned_RV = self._conditioned.next_logits(ids_BK)
        without_RV = self._without.next_logits(ids_BK)
        return without_RV + self._scale * (conditioned_RV - without_RV)

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        """Let sources leave, as `Decoder.keep` does."""
        self._without.keep(running_B)
        return self._conditioned.keep(running_B)
