"""An answer to what is no number would be made up: it is refused."""

from __future__ import annotations

from unified_vl.decoding.protocol import Memory, read_targets, refuse_no_numbers
from unified_vl.decoding.search import Hypothesis
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.backbone import Backbone

IMPROBABLE = -1e4  # a mean log-probability that no model has which computes numbers


def refuse_made_up(model: Backbone, memory: Memory, answers: list[list[Hypothesis]]) -> None:
    """Raise where answers were found among scores that are no numbers.

    A search passes NaN over as the least of all scores, so its answers look like any, or there
    are none. Their own scores tell: only where one cannot be, the model is asked once more.

    Raises:
        UserError: then.
    """
    if all(row and all(answer.score > IMPROBABLE for answer in row) for row in answers):
        return
    sources = len(memory.mask_AS)
    nothing_A1 = memory.mask_AS.new_full((sources, 1), SpecialIds.of(model.config).end)
    refuse_no_numbers(read_targets(model, memory, nothing_A1), "decoder")
