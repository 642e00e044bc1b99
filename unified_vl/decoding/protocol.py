"""How all of decoding reads a model: `encode` the sources, `start` a decoder, let it step.

Searches, sampling and grammars step a `Decoder` by the ids that they choose; the scoring of
choices steps a tree of prefixes (`decoders.tree`); retrieval reads texts that are known as a
whole. None of them calls a model's parts itself, so another model needs these functions alone.

Legend: A sources, B sources still running, K hypotheses of a source, R = B * K, S source length,
T target length, M width (d_model), V vocabulary, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from unified_vl.decoding.beams import Beams
from unified_vl.decoding.decoders.cached import CachedDecoder, CachedTreeDecoder
from unified_vl.decoding.decoders.compiled import CompiledBeamDecoder
from unified_vl.decoding.decoders.incremental import BeamDecoder
from unified_vl.decoding.decoders.tree import TreeDecoder
from unified_vl.errors import UserError
from unified_vl.model.backbone import Backbone
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


@dataclass(frozen=True)
class Memory:
    """What the encoder made of A sources: `hidden_ASM` and its mask, 1 for what may be read."""

    hidden_ASM: torch.Tensor
    mask_AS: torch.Tensor

    def rows(self, chosen: torch.Tensor | slice) -> Memory:
        """Those of some sources."""
        return Memory(self.hidden_ASM[chosen], self.mask_AS[chosen])


class Decoder(Protocol):
    """Reads the next ids of K hypotheses of each source."""

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Logits (R, V) behind the next ids, in fp32."""
        ...

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        """Let sources leave; the last ones take their places.

        Args:
            running_B: false for the sources that leave.

        Returns:
            The places before this call of the sources that are left, in their new order.
        """
        ...


class SearchDecoder(Decoder, Protocol):
    """A `Decoder` whose hypotheses may change places."""

    def reorder(self, origin_BK: torch.Tensor) -> None:
        """Hypothesis k of a source goes on from its hypothesis `origin_BK[:, k]`."""
        ...

    def grow(self, beams: Beams) -> Beams:
        """A step of a beam search: the best hypotheses, each longer by an id."""
        ...


class PrefixDecoder(Protocol):
    """Walks a tree of prefixes level by level, the same one for every source."""

    model: Any  # a `Backbone`

    def descend(self, parent_K: torch.Tensor) -> None:
        """The next step's nodes go on from these of the last."""
        ...

    def step(self, ids_BK: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, K, M) behind the next ids; `model.logits` turns them into scores."""
        ...


def encode(
    model: Backbone,
    ids_AS: torch.Tensor,
    mask_AS: torch.Tensor,
    pixels_NCHW: torch.Tensor | None = None,
    **others: Any,
) -> Memory:
    """Read the sources.

    Args:
        model: in evaluation mode.
        ids_AS: of the sources, with padding.
        mask_AS: 1 for ids, 0 for padding.
        pixels_NCHW: their images, uint8.
        others: what else the encoder takes, as features that images have already.

    Raises:
        UserError: when the encoder gives NaN or infinity.
    """
    hidden_ASM = model.encode(ids_AS, mask_AS, pixels_NCHW, **others)
    refuse_no_numbers(hidden_ASM)
    return Memory(hidden_ASM, mask_AS)


def start(model: Backbone, memory: Memory, positions: int, width: int = 1) -> SearchDecoder:
    """A decoder that has read nothing: a compiled one where the model is.

    Args:
        model: in evaluation mode.
        memory: what it made of the sources.
        positions: the most steps that will be taken.
        width: hypotheses of a source (K).
    """
    if isinstance(model, TransformersBackbone):
        return CachedDecoder(model, memory.hidden_ASM, memory.mask_AS, width)
    assert isinstance(model, UnifiedVLForConditionalGeneration)
    kind = BeamDecoder if model.programs is None else CompiledBeamDecoder
    return kind(model, memory.hidden_ASM, memory.mask_AS, positions, width)


def start_tree(model: Backbone, memory: Memory, levels: int) -> PrefixDecoder:
    """A decoder of a tree of prefixes, of so many levels, the same one for every source."""
    if isinstance(model, TransformersBackbone):
        return CachedTreeDecoder(model, memory.hidden_ASM, memory.mask_AS)
    assert isinstance(model, UnifiedVLForConditionalGeneration)
    return TreeDecoder(model, memory.hidden_ASM, memory.mask_AS, levels)


def read_targets(model: Backbone, memory: Memory, labels_AT: torch.Tensor) -> torch.Tensor:
    """Logits (A, T, V) of known targets, in one step, as in training.

    Args:
        model: in evaluation mode.
        memory: what it made of the sources.
        labels_AT: the targets, -100 behind their ends.
    """
    logits_ATV: torch.Tensor = model(
        encoder_outputs=(memory.hidden_ASM,),
        attention_mask=memory.mask_AS,
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels_AT),
    ).logits
    return logits_ATV


def refuse_no_numbers(computed: torch.Tensor, part: str = "encoder") -> None:
    """Raise where a part of the model gives NaN or infinity.

    Raises:
        UserError: then.
    """
    if not bool(computed.isfinite().all()):
        raise UserError(
            f"the model's {part} gives no numbers but NaN or infinity: some of its weights are "
            "none, or too large for their type",
            expected="finite weights",
        )
