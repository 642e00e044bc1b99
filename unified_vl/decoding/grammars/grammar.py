"""What a task may write, enforced while decoding: an impossible answer is impossible.

A grammar works on all hypotheses at once, on the device that the model is on; what a
hypothesis has written so far is a row of a state that it advances.

Legend: R hypotheses, V vocabulary, C ids that may be written, X some of them, F numbers that a
grammar remembers of a hypothesis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch

from unified_vl.data.example import Example


class Scored(NamedTuple):
    """Scores (R, C) of ids (R, C), minus infinity where there is none; or of all ids in
    their order, where `ids_RC` is None."""

    scores_RC: torch.Tensor
    ids_RC: torch.Tensor | None = None

    def ids_at(self, place_RX: torch.Tensor) -> torch.Tensor:
        """The ids at places of the rows."""
        return place_RX if self.ids_RC is None else self.ids_RC.gather(1, place_RX)


class Grammar(ABC):
    """Which ids may come next. A hypothesis that has ended may get any state."""

    def of(self, examples: Sequence[Example]) -> Grammar:
        """The grammar of these sources' answers, where it differs from source to source."""
        return self

    @abstractmethod
    def start(self, rows: int) -> torch.Tensor:
        """The state (R, F) of hypotheses that have written nothing."""

    @abstractmethod
    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        """The scores of what may be written.

        Args:
            scores_RV: logits or log-probabilities; not changed.
            state_RF: what was written so far.
            step: how many ids that was.
        """

    @abstractmethod
    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        """The state once number `step` (from 0) is written.

        Args:
            state_RF: what was written before.
            place_R: where what is written stands in the scores that `allowed` gave; that
                is the id itself where they are of all ids.
            step: how many ids were written before.
        """

    def place_of(self, state_RF: torch.Tensor, ids_R: torch.Tensor) -> torch.Tensor:
        """Where ids stand in the scores that `allowed` gives."""
        return ids_R
