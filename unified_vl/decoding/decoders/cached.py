"""Decoders of a model that `transformers` computes, on its own cache of keys and values.

The cache has a row for each hypothesis. What the encoder gave is the same for all hypotheses of a
source, so only keys and values of what was written move when hypotheses change places.

Legend: B sources, K hypotheses of a source, or nodes of a level, R = B * K, S source length, M
width (d_model), V vocabulary, L layers, H heads, T positions so far, D width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from unified_vl.decoding.beams import Beams
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.backbones.adapter import TransformersBackbone

MOST_BYTES = 1 << 28  # of keys and values of a source that nodes of a tree read at once


class CachedDecoder:
    """As many hypotheses a source as there are beams, to which places may change.

    Args:
        model: in evaluation mode.
        memory_BSM: the encoder's output.
        mask_BS: 1 for what of it may be read, 0 for padding.
        width: hypotheses of a source (K).
    """

    def __init__(
        self,
        model: TransformersBackbone,
        memory_BSM: torch.Tensor,
        mask_BS: torch.Tensor,
        width: int = 1,
    ) -> None:
        self.model = model
        self.width = width
        self.step_count = 0
        self._end_id = SpecialIds.of(model.config).end
        self._memory_RSM, self._mask_RS = memory_BSM, mask_BS
        self._cache = model.new_cache()

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Logits (R, V) behind the next ids, in fp32."""
        first = self.step_count == 0  # all hypotheses begin alike: the first stands for them
        ids_R1 = ids_BK[:, :1] if first else ids_BK.reshape(-1, 1)
        hidden_R1M = self.model.decode(ids_R1, self._memory_RSM, self._mask_RS, self._cache)
        logits_RV = self.model.logits(hidden_R1M[:, 0]).float()
        self.step_count += 1
        if first and self.width > 1:
            logits_RV = logits_RV.repeat_interleave(self.width, 0)
            self._memory_RSM = self._memory_RSM.repeat_interleave(self.width, 0)
            self._mask_RS = self._mask_RS.repeat_interleave(self.width, 0)
            self._cache.batch_repeat_interleave(self.width)
        return logits_RV

    def grow(self, beams: Beams) -> Beams:
        """A step of a beam search: the best hypotheses, each longer by an id."""
        best = beams.best_continuations(self.next_logits(beams.next_BK).log_softmax(-1))
        grown, chosen = beams.grow(best, self.step_count - 1, self._end_id)
        self.reorder(chosen.origin_BE)
        return grown

    def reorder(self, origin_BK: torch.Tensor) -> None:
        """Hypothesis k of a source goes on from its hypothesis `origin_BK[:, k]`."""
        first_B1 = torch.arange(len(origin_BK), device=origin_BK.device)[:, None] * self.width
        rows: Any = (first_B1 + origin_BK).flatten()
        self._cache.self_attention_cache.reorder_cache(rows)

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        """Let sources leave; those that are left keep their order.

        Args:
            running_B: false for the sources that leave.

        Returns:
            The places before this call of the sources that are left.
        """
        left_B = running_B.nonzero()[:, 0]
        row_K = torch.arange(self.width, device=left_B.device)
        rows_R = (left_B[:, None] * self.width + row_K).flatten()
        self._cache.batch_select_indices(rows_R)
        self._memory_RSM, self._mask_RS = self._memory_RSM[rows_R], self._mask_RS[rows_R]
        return left_B


class CachedTreeDecoder:
    """Walks a tree of prefixes level by level on such a cache, the same one for every source.

    What nodes have read is kept by node, what the encoder gave by source; they come together in a
    cache of some rows at a time.
    """

    def __init__(
        self, model: TransformersBackbone, memory_BSM: torch.Tensor, mask_BS: torch.Tensor
    ) -> None:
        self.model = model
        self._memory_BSM, self._mask_BS = memory_BSM, mask_BS
        self._cross: list[tuple[torch.Tensor, torch.Tensor]] = []  # of each layer, (B, H, S, D)
        self._own: list[tuple[torch.Tensor, torch.Tensor]] = []  # (R, H, T, D)
        self._parent_K: torch.Tensor | None = None
        self._width = 1

    def descend(self, parent_K: torch.Tensor) -> None:
        """The next step's nodes go on from these of the last."""
        self._parent_K = parent_K

    def step(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, K, M) behind the next ids; `model.logits` turns them into scores."""
        sources, width = ids_BK.shape
        source_R = torch.arange(sources, device=ids_BK.device).repeat_interleave(width)
        if not self._own:
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            hidden_R1M = self.model.decode(ids_BK, self._memory_BSM, self._mask_BS, cache)
            self._own = _layers(cache.self_attention_cache)
            self._cross = _layers(cache.cross_attention_cache)
            return hidden_R1M
        assert self._parent_K is not None, "a level needs `descend`"
        parent_R = source_R * self._width + self._parent_K.repeat(sources)
        parts, grown = [], []
        for rows in torch.arange(len(source_R), device=ids_BK.device).split(self._at_once()):
            source, parent = source_R[rows], parent_R[rows]
            cache = EncoderDecoderCache(
                DynamicCache(_rows(self._own, parent)), DynamicCache(_rows(self._cross, source))
            )
            ids_R1 = ids_BK.reshape(-1, 1)[rows]
            memory_RSM, mask_RS = self._memory_BSM[source], self._mask_BS[source]
            parts.append(self.model.decode(ids_R1, memory_RSM, mask_RS, cache))
            grown.append(_layers(cache.self_attention_cache))
        self._own = [
            (torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer]))
            for layer in zip(*grown, strict=True)
        ]
        self._width = width
        return torch.cat(parts).view(sources, width, -1)

    def _at_once(self) -> int:
        of_row = sum(part[0].numel() * part.element_size() for pair in self._cross for part in pair)
        return max(1, MOST_BYTES // of_row)


def _layers(cache: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _rows(
    layers: list[tuple[torch.Tensor, torch.Tensor]], rows: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(keys[rows], values[rows]) for keys, values in layers]
