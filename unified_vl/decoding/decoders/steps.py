"""A step of decoding as modules from which programs are made.

Legend: B sources still running, K hypotheses of a source, H heads, D width of a head,
I = H * D, M width (d_model), S source length, T positions so far, L at most, N slots so far
(T * K), F that there is room for, P keys that a query meets, V vocabulary, R = B * K.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from unified_vl.decoding.beams import Beams, moved_slots
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.layers.blocks import of_each_layer
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

MOST_LOOPED_QUERIES = 4


class StepInputs(NamedTuple):
    """What a step reads.

    Attributes:
        x_BKM: embeddings of the ids that are read.
        newest_K: the slots in which their keys and values are written, the last K of N.
        slots_BKL: in which of a position's K slots a hypothesis, or its ancestor, wrote.
        positions_1T1H: the biases of the positions so far, of the layers that have their own.
        memory_bias_B11S: hides the sources' padding.
        kept_BHFD: keys and values of each layer, which are written to.
        cross_BHSD: keys and values of the sources, of each layer.
    """

    x_BKM: torch.Tensor
    newest_K: torch.Tensor
    slots_BKL: torch.Tensor
    positions_1T1H: list[torch.Tensor]
    memory_bias_B11S: torch.Tensor
    kept_BHFD: list[torch.Tensor]
    cross_BHSD: list[torch.Tensor]


class Step(nn.Module):
    """A step of a model's decoder."""

    def __init__(self, model: UnifiedVLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def logits(self, read: StepInputs) -> torch.Tensor:
        """Logits (R, V) behind the ids that are read."""
        blocks: list[Any] = list(self.model.decoder.blocks)
        heads = int(self.model.config.num_heads)
        batch, width, _ = read.x_BKM.shape
        written = read.positions_1T1H[0].shape[1]
        first_T1 = torch.arange(written, device=read.x_BKM.device)[:, None] * width
        own_BTK = read.slots_BKL[..., :written].transpose(1, 2) + first_T1

        def attend_self(
            layer: int, position_1T1H: torch.Tensor, qkv_BKI: torch.Tensor
        ) -> torch.Tensor:
            query_BKHD, *newest = qkv_BKI.view(batch, width, 3, heads, -1).unbind(2)
            keys, values = read.kept_BHFD[2 * layer : 2 * layer + 2]
            for part_BHFD, newest_BKHD in zip((keys, values), newest, strict=True):
                part_BHFD.index_copy_(2, read.newest_K, newest_BKHD.transpose(1, 2))
            query_BKHD = blocks[layer].attend_self.scaled(query_BKHD)
            return _attend_own(query_BKHD, keys, values, own_BTK, position_1T1H)

        def attend_cross(layer: int, query_BKI: torch.Tensor) -> torch.Tensor:
            query_BKI = blocks[layer].attend_cross.scaled(query_BKI)
            query_BHKD = query_BKI.view(batch, width, heads, -1).transpose(1, 2)
            keys, values = read.cross_BHSD[2 * layer : 2 * layer + 2]
            return _attend_few(query_BHKD, keys, values, read.memory_bias_B11S)

        x_BKM = read.x_BKM
        biases = zip(blocks, of_each_layer(blocks, read.positions_1T1H), strict=True)
        for layer, (block, position_1T1H) in enumerate(biases):
            read_own = partial(attend_self, layer, position_1T1H)
            x_BKM = block(x_BKM, read_own, partial(attend_cross, layer))
        return self.model.logits(self.model.decoder.norm(x_BKM).flatten(0, 1)).float()


class LogitsStep(Step):
    """From a step's inputs to logits (R, V)."""

    def forward(self, read: list[Any]) -> tuple[torch.Tensor, ...]:
        return (self.logits(StepInputs(*read)),)


class BeamStep(Step):
    """From a step's inputs and `Beams` to the next `Beams`, and where their hypotheses wrote.

    One thread, demo size, a beam of 4: with `LogitsStep` and the bookkeeping outside one source
    takes 1.27 times as long, 32 sources 1.07 times.
    """

    def forward(
        self, read: list[Any], step: torch.Tensor, beams: list[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """The tensors of `Beams`, then `slots_BKL`.

        Args:
            read: of the model's step.
            step: its number from 0, of no dimension.
            beams: the tensors of `Beams`.
        """
        inputs, before = StepInputs(*read), Beams.of(beams)
        logits_RV = self.logits(inputs)
        best = before.best_continuations(logits_RV, logits_RV.logsumexp(-1, keepdim=True))
        after, chosen = before.grow(best, step, SpecialIds.of(self.model.config).end)
        return *after.tensors(), moved_slots(inputs.slots_BKL, chosen.origin_BE, step)


def _attend_own(
    query_BKHD: torch.Tensor,
    key_BHFD: torch.Tensor,
    value_BHFD: torch.Tensor,
    own_BTK: torch.Tensor,
    position_1T1H: torch.Tensor,
) -> torch.Tensor:
    """Attention to the slots of a hypothesis, one of each position, (B, K, I).

    Hiding the other slots, as a plain step does, takes 371 us a layer in place of 168 to 200 (a
    beam of 4, demo size, one thread: docs/decisions.md, Decoding). Positions lie outside heads:
    where a slot is looked up, only the numbers of a head follow each other, so that it is these
    which must be read as vectors.
    """
    batch, width, heads, dim = query_BKHD.shape
    place_BTKHD = own_BTK[..., None, None].expand(-1, -1, -1, heads, dim)

    def own(part_BHFD: torch.Tensor) -> torch.Tensor:
        part_BF1HD = part_BHFD.transpose(1, 2)[:, :, None]
        return part_BF1HD.expand(-1, -1, width, -1, -1).gather(1, place_BTKHD)

    score_BTKH = (query_BKHD[:, None] * own(key_BHFD)).sum(-1) + position_1T1H
    weight_BTKH = torch.exp(score_BTKH - score_BTKH.amax(1, keepdim=True))
    y_BKHD = (weight_BTKH[..., None] * own(value_BHFD)).sum(1) / weight_BTKH.sum(1)[..., None]
    return y_BKHD.reshape(batch, width, -1)


def _attend_few(
    query_BHKD: torch.Tensor, key_BHPD: torch.Tensor, value_BHPD: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """softmax(q k^T + bias) v, (B, K, I).

    A few queries are sums of products, which become one loop; many are matrix products. (One
    thread, demo size: with `attend`, which is the fused kernel here, greedy decoding of 32 sources
    takes 1.13 times as long; a beam of 4 with matrix products 1.10 times for one source, 1.05 times
    for 32.)
    """
    batch, _, width, _ = query_BHKD.shape
    few = width <= MOST_LOOPED_QUERIES
    if few:
        score_BHKP = (query_BHKD[:, :, :, None] * key_BHPD[:, :, None]).sum(-1) + bias
    else:
        score_BHKP = query_BHKD @ key_BHPD.transpose(-1, -2) + bias
    weight_BHKP = torch.exp(score_BHKP - score_BHKP.amax(-1, keepdim=True))
    if few:
        y_BHKD = (weight_BHKP[..., None] * value_BHPD[:, :, None]).sum(3)
    else:
        y_BHKD = weight_BHKP @ value_BHPD
    y_BHKD = y_BHKD / weight_BHKP.sum(-1, keepdim=True)  # fewer quotients than of the weights
    return y_BHKD.transpose(1, 2).reshape(batch, width, -1)
