"""Floating point operations that a model needs for an update, to say how well a device is used.

For each token that it meets a weight takes part in a multiplication and an addition forward, and in
twice as many backward, or as many where it is frozen: 6 or 4 operations (arXiv 2204.02311,
appendix B). Attention adds 12 for each pair of tokens and each of the I numbers of all heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unified_vl.data.counts import Counts
from unified_vl.model.backbone import Backbone
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.model.vision import ImageEncoder

OF_A_WEIGHT, OF_A_FROZEN_WEIGHT, OF_A_PAIR = 6, 4, 12


@dataclass(frozen=True)
class Work:
    """Operations of an update, forward and backward, for each of what there is to compute."""

    source: float
    target: float
    image: float
    source_pair: float
    target_pair: float
    cross_pair: float

    def operations(self, counts: Counts) -> float:
        """Of an update of these examples."""
        return (
            self.source * counts.source
            + self.target * counts.target
            + self.image * counts.images
            + self.source_pair * counts.source_pairs
            + self.target_pair * counts.target_pairs
            + self.cross_pair * counts.cross_pairs
        )


def work_of(model: Backbone) -> Work | None:
    """What a model has to compute, while its weights are whole; None where it is not known: of a
    backbone of `transformers`, of images that are packed, or of an encoder of two streams."""
    if not isinstance(model, UnifiedVLForConditionalGeneration):
        return None
    branch = model.image_branch
    if (branch is not None and branch.side is not None) or model.config.two_streams:
        return None
    encoder: list[Any] = list(model.encoder.blocks)
    decoder: list[Any] = list(model.decoder.blocks)
    # keys and values of the source are computed of source tokens, wherever they are read
    of_source = [block.attend_cross.kv for block in decoder]
    targets = _of_weights(*decoder, model.lm_head) - _of_weights(*of_source)
    pair = OF_A_PAIR * model.config.num_heads * model.config.d_kv
    return Work(
        source=_of_weights(*encoder, *of_source),
        target=targets,
        image=0.0 if branch is None else _of_an_image(branch, model.encoder.pixels_size),
        source_pair=pair * len(encoder),
        target_pair=pair * len(decoder),
        cross_pair=pair * len(decoder),
    )


def _of_weights(*modules: nn.Module) -> float:
    """Operations of a token that meets all matrices of modules but their position biases."""
    return sum(
        weight.numel() * (OF_A_WEIGHT if weight.requires_grad else OF_A_FROZEN_WEIGHT)
        for module in modules
        for name, weight in module.named_parameters()
        if weight.dim() == 2 and "position_bias" not in name
    )


def _of_an_image(branch: ImageEncoder, size: Iterable[int]) -> float:
    """Of products and convolutions in the branch, counted as torch counts them."""
    training = branch.training
    blank = torch.zeros(1, 3, *size, dtype=torch.uint8, device=branch.row.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        branch.eval()(blank)
    branch.train(training)
    trained = any(weight.requires_grad for weight in branch.features.parameters())
    return counter.get_total_flops() * (3 if trained else 1)
