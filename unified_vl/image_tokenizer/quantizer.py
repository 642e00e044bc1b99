"""Vectors to codes and back, by `vector-quantize-pytorch`.

Legend: B batch, N places, C channels of a vector.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unified_vl.specs.image_tokenizer import QuantizerSpec


class Quantizer(nn.Module):
    """One of the library's quantisers behind one interface; it computes in fp32.

    Args:
        spec: which, and of what size.
        channels: of a vector.
    """

    def __init__(self, spec: QuantizerSpec, channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.inner = _INNER[spec.kind](spec, channels)

    def forward(self, z_BNC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The vectors of the nearest codes (with the gradient of `z`), the codes (B, N), a loss."""
        found = self.inner(z_BNC.float())
        loss = found[2].sum() if len(found) > 2 else z_BNC.new_zeros(())
        return found[0], found[1].long(), loss

    def codes(self, z_BNC: torch.Tensor) -> torch.Tensor:
        """The codes (B, N) of the nearest vectors; nothing is learnt."""
        if self.training:
            raise RuntimeError("codes are those of a tokenizer in evaluation mode")
        return self(z_BNC)[1]

    def vectors(self, codes_BN: torch.Tensor) -> torch.Tensor:
        """The vectors (B, N, C) that codes stand for."""
        if self.spec.kind == "vq":
            return self.inner.get_codes_from_indices(codes_BN)
        return self.inner.indices_to_codes(codes_BN)


def _vq(spec: QuantizerSpec, channels: int) -> nn.Module:
    from vector_quantize_pytorch import VectorQuantize

    return VectorQuantize(
        dim=channels,
        codebook_size=spec.size,
        decay=spec.decay,
        commitment_weight=spec.commitment,
        threshold_ema_dead_code=spec.revive_below,
        kmeans_init=True,
        rotation_trick=False,
    )


def _fsq(spec: QuantizerSpec, channels: int) -> nn.Module:
    from vector_quantize_pytorch import FSQ

    return FSQ(list(spec.levels or ()), dim=channels)


def _lfq(spec: QuantizerSpec, channels: int) -> nn.Module:
    from vector_quantize_pytorch import LFQ

    return LFQ(dim=channels, codebook_size=spec.size, commitment_loss_weight=spec.commitment)


_INNER: dict[str, Any] = {"vq": _vq, "fsq": _fsq, "lfq": _lfq}
