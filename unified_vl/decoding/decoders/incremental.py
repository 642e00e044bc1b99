"""The decoder, one position at a time, for sources with several hypotheses each.

What a step needs of the past lies in tensors that are allocated once, or a few times for
long answers:

- keys and values of the source are computed once and never copied: the hypotheses of a
  source are queries of one attention;
- keys and values of what was written stay in the slot where they were written. When
  hypotheses change places, only the table that says which slots a hypothesis
  descends from does; copying them would cost more than masking;
- all layers' keys and values lie in one tensor, so that to move some is one operation: steps
  of few sources take as long as their operations are many;
- position biases are one row a layer, of which a step takes a part;
- sources that are done leave the batch: the last ones move into their places.

Legend: B sources, K hypotheses of a source, H heads, D width of a head, I = H * D,
M width (d_model), V vocabulary, S source length, T positions, N slots (T * K),
P keys that a query meets, L layers, 2 keys and values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.decoding.beams import Beams, hiding_others, moved_slots
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.layers.attention import attend, padding_bias
from unified_vl.model.layers.blocks import of_each_layer, own_biases
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


class IncrementalDecoder(ABC):
    """Reads a position's ids and gives the logits of the next.

    Args:
        model: in evaluation mode.
        memory_BSM: the encoder's output.
        mask_BS: 1 for what of it may be read, 0 for padding.
        positions: the most steps that will be taken.
    """

    def __init__(
        self,
        model: UnifiedVLForConditionalGeneration,
        memory_BSM: torch.Tensor,
        mask_BS: torch.Tensor,
        positions: int,
    ) -> None:
        self.model = model
        self.blocks: list[Any] = list(model.decoder.blocks)
        self.heads = model.config.num_heads
        self.positions = positions
        self._end_id = SpecialIds.of(model.config).end
        self.step_count = 0
        sources, length, _ = memory_BSM.shape
        self.sources = sources
        shape = (len(self.blocks), 2, sources, self.heads, length, model.config.d_kv)
        cross = memory_BSM.new_empty(shape)
        for layer, block in enumerate(self.blocks):
            key_value = block.attend_cross.kv(memory_BSM).view(sources, length, 2, self.heads, -1)
            cross[layer] = key_value.permute(2, 0, 3, 1, 4)
        self._cross_L2BHSD = cross
        padded = not bool(mask_BS.all())
        self._memory_bias_B11S = padding_bias(mask_BS, memory_BSM.dtype) if padded else None
        self._positions_1H1T = [
            bias(1, positions, positions - 1) for bias in own_biases(self.blocks)
        ]

    def step(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, K, M) behind the next ids; `model.logits` turns them into scores."""
        bias_B11S = self._memory_bias_B11S
        bias_B11S = None if bias_B11S is None else bias_B11S[: self.sources]
        x_BKM = self._embedded(ids_BK)
        biases = zip(self.blocks, self._self_biases(), strict=True)
        for layer, (block, bias_1HKN) in enumerate(biases):
            attend_self = partial(self._attend_self, layer, bias_1HKN)
            x_BKM = block(x_BKM, attend_self, partial(self._attend_cross, layer, bias_B11S))
        self.step_count += 1
        return self.model.decoder.norm(x_BKM)

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Logits (B * K, V) behind the next ids, in fp32."""
        return self.model.logits(self.step(ids_BK).flatten(0, 1)).float()

    def _embedded(self, ids_BK: torch.Tensor) -> torch.Tensor:
        x_BK1M = self.model.encoder.embed_target(ids_BK.flatten()[:, None], self.step_count)
        return x_BK1M.view(*ids_BK.shape, -1)

    def _self_biases(self) -> Iterator[torch.Tensor]:
        """The bias of each layer that `_attend_self` takes: of the positions so far."""
        start = self.positions - 1 - self.step_count  # distances count back from the newest
        own = (position_1H1T[..., start:] for position_1H1T in self._positions_1H1T)
        return of_each_layer(self.blocks, own)

    def _attend_cross(
        self, layer: int, bias_B11S: torch.Tensor | None, query_BKI: torch.Tensor
    ) -> torch.Tensor:
        batch, width, inner = query_BKI.shape
        query_BKI = self.blocks[layer].attend_cross.scaled(query_BKI)
        query_BHKD = query_BKI.view(batch, width, self.heads, -1).transpose(1, 2)
        key_BHSD, value_BHSD = self._cross_L2BHSD[layer, :, :batch]
        y_BHKD = attend(query_BHKD, key_BHSD, value_BHSD, bias_B11S)
        return y_BHKD.transpose(1, 2).reshape(batch, width, inner)

    @abstractmethod
    def _attend_self(self, layer: int, bias: torch.Tensor, qkv_BKI: torch.Tensor) -> torch.Tensor:
        """Remember the newest keys and values; (B, K, I)."""


class BeamDecoder(IncrementalDecoder):
    """As many hypotheses a source as there are beams, to which places may change.

    Args:
        width: hypotheses of a source (K).
    """

    first_positions = 64  # that room is made for; then twice as many

    def __init__(
        self,
        model: UnifiedVLForConditionalGeneration,
        memory_BSM: torch.Tensor,
        mask_BS: torch.Tensor,
        positions: int,
        width: int = 1,
    ) -> None:
        super().__init__(model, memory_BSM, mask_BS, positions)
        self.width = width
        slots = min(positions, self.first_positions) * width
        shape = (len(self.blocks), 2, self.sources, self.heads, slots, model.config.d_kv)
        self._kept_L2BHND = memory_BSM.new_empty(shape)
        slots_K = torch.arange(width, device=memory_BSM.device)
        self._slots_BKT = slots_K[None, :, None].repeat(self.sources, 1, positions)
        self._hidden_B1KN: torch.Tensor | None = None  # made of the slots, when it is needed

    def step(self, ids_BK: torch.Tensor) -> torch.Tensor:
        self.make_room()
        return super().step(ids_BK)

    def grow(self, beams: Beams) -> Beams:
        """A step of a beam search: the best hypotheses, each longer by an id."""
        best = beams.best_continuations(self.next_logits(beams.next_BK).log_softmax(-1))
        grown, chosen = beams.grow(best, self.step_count - 1, self._end_id)
        self.reorder(chosen.origin_BE)
        return grown

    def make_room(self) -> bool:
        """Whether the next step needed more slots; few answers come near a high limit."""
        slots = self._kept_L2BHND.shape[4]
        if self.step_count * self.width < slots:
            return False
        more = min(slots, self.positions * self.width - slots)
        self._kept_L2BHND = F.pad(self._kept_L2BHND, (0, 0, 0, more))
        self._hidden_B1KN = None
        return True

    def reorder(self, origin_BK: torch.Tensor) -> None:
        """Hypothesis k of a source goes on from its hypothesis `origin_BK[:, k]`."""
        now_BKT = self._slots_BKT[: self.sources]
        self._slots_BKT = moved_slots(now_BKT, origin_BK, self.step_count - 1)
        self._hidden_B1KN = None

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        """Let sources leave; the last ones take their places.

        Args:
            running_B: false for the sources that leave.

        Returns:
            The places before this call of the sources that are left, in their new order.
        """
        left = int(running_B.sum())
        order_B = torch.arange(len(running_B), device=running_B.device)
        empty = (~running_B[:left]).nonzero()[:, 0]
        moving = running_B[left:].nonzero()[:, 0] + left
        order_B[empty] = moving
        if len(empty):
            written = self._kept_L2BHND[..., : self.step_count * self.width, :]
            for memory_L2BHPD in (self._cross_L2BHSD, written):
                memory_L2BHPD[:, :, empty] = memory_L2BHPD[:, :, moving]
            self._slots_BKT[empty] = self._slots_BKT[moving]
            if self._memory_bias_B11S is not None:
                self._memory_bias_B11S[empty] = self._memory_bias_B11S[moving]
        self.sources = left
        self._hidden_B1KN = None
        return order_B[:left]

    @cached_property
    def _positions_1H1N(self) -> list[torch.Tensor]:
        """The biases of the slots of all positions."""
        return [bias_1H1T.repeat_interleave(self.width, -1) for bias_1H1T in self._positions_1H1T]

    def _self_biases(self) -> Iterator[torch.Tensor]:
        if self.width == 1:  # nothing is hidden
            return super()._self_biases()
        if self._hidden_B1KN is None:
            room = self._kept_L2BHND.shape[4] // self.width
            slots_BKT = self._slots_BKT[: self.sources, :, :room]
            self._hidden_B1KN = hiding_others(slots_BKT, self._kept_L2BHND.dtype)
        written = (self.step_count + 1) * self.width
        start = self.positions * self.width - written  # distances count back from the newest
        hidden_B1KN = self._hidden_B1KN[..., :written]
        own = (bias_1H1N[..., start:] + hidden_B1KN for bias_1H1N in self._positions_1H1N)
        return of_each_layer(self.blocks, own)

    def _attend_self(self, layer: int, bias: torch.Tensor, qkv_BKI: torch.Tensor) -> torch.Tensor:
        batch, width, _ = qkv_BKI.shape
        qkv_3BHKD = qkv_BKI.view(batch, width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        start = self.step_count * width
        kept_2BHND = self._kept_L2BHND[layer, :, :batch, :, : start + width]
        kept_2BHND[..., start:, :] = qkv_3BHKD[1:]
        query_BHKD = self.blocks[layer].attend_self.scaled(qkv_3BHKD[0])
        y_BHKD = attend(query_BHKD, kept_2BHND[0], kept_2BHND[1], bias)
        return y_BHKD.transpose(1, 2).reshape(batch, width, -1)
