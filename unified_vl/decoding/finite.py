"""An answer to what is no number would be made up: it is refused."""

from __future__ import annotations

import torch

from unified_vl.decoding.search import Hypothesis, Memory
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.errors import UserError
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

IMPROBABLE = -1e4  # a mean log-probability that no model has which computes numbers


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


def refuse_made_up(
    model: UnifiedVLForConditionalGeneration, memory: Memory, answers: list[list[Hypothesis]]
) -> None:
    """Raise where answers were found among scores that are no numbers.

    A search passes NaN over as the least of all scores, so its answers look like any, or there
    are none. Their own scores tell: only where one cannot be, the model is asked once more.

    Raises:
        UserError: then.
    """
    if all(row and all(answer.score > IMPROBABLE for answer in row) for row in answers):
        return
    start_A1 = memory.mask_AS.new_full((len(memory.mask_AS), 1), SpecialIds.of(model.config).start)
    hidden_A1M = model.decoder(
        model.encoder.embed_target(start_A1, 0), memory.hidden_ASM, memory.mask_AS, None, None
    )
    refuse_no_numbers(model.logits(hidden_A1M), "decoder")
