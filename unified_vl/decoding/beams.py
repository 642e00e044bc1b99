"""What a beam search remembers of its hypotheses, and how they go on.

All of it is arithmetic of tensors, so that it can be compiled with the step of the model that
it belongs to.

Legend: B sources still running, K hypotheses of a source, H heads, R = B * K, T ids or positions,
N slots (T * K), C candidates of a hypothesis, E continuations of a source (2 * K, where there are
as many).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from unified_vl.decoding.selection import largest
from unified_vl.decoding.special_ids import SpecialIds

IMPOSSIBLE = -1e9  # `transformers`' score of what must not win


class Continuations(NamedTuple):
    """The best ways to go on, the best first, each (B, E).

    Attributes:
        score_BE: sums of log-probabilities.
        origin_BE: which hypothesis goes on.
        number_BE: with what, as a number among the K * C candidates of all.
        ids_BE: the ids of these.
    """

    score_BE: torch.Tensor
    origin_BE: torch.Tensor
    number_BE: torch.Tensor
    ids_BE: torch.Tensor


class Ended(NamedTuple):
    """The best K hypotheses of each source that have ended, the best first.

    Attributes:
        score_BK: means of log-probabilities (or what `length_penalty` makes of their sums),
            impossible where there are not as many.
        length_BK: numbers of ids.
        written_BKT: ids, then padding.
    """

    score_BK: torch.Tensor
    length_BK: torch.Tensor
    written_BKT: torch.Tensor

    @classmethod
    def none(
        cls, sources: int, width: int, length: int, pad_id: int, device: torch.device
    ) -> Ended:
        return cls(
            torch.full((sources, width), IMPOSSIBLE, device=device),
            torch.ones((sources, width), dtype=torch.long, device=device),
            torch.full((sources, width, length), pad_id, device=device),
        )

    def merge(self, others: Ended) -> Ended:
        """The best of both."""
        score, length, written = (torch.cat(pair, 1) for pair in zip(self, others, strict=True))
        score_BK, chosen_BK = score.topk(self.score_BK.shape[1])
        return Ended(score_BK, length.gather(1, chosen_BK), take(written, chosen_BK))

    def rows(self, chosen_B: torch.Tensor) -> Ended:
        return Ended(*(part[chosen_B] for part in self))

    def put(self, places_B: torch.Tensor, other: Ended) -> None:
        for part, others in zip(self, other, strict=True):
            part[places_B] = others


class Beams(NamedTuple):
    """The hypotheses of sources.

    Attributes:
        next_BK: the ids that the model reads next.
        score_BK: sums of log-probabilities of what was written.
        written_BKT: ids, then padding.
        ended: the best that have ended.
        open_B: whether what is running may still become better than what has ended.
    """

    next_BK: torch.Tensor
    score_BK: torch.Tensor
    written_BKT: torch.Tensor
    open_B: torch.Tensor
    ended: Ended

    @classmethod
    def start(
        cls, sources: int, width: int, length: int, ids: SpecialIds, device: torch.device
    ) -> Beams:
        score_BK = torch.zeros((sources, width), device=device)
        score_BK[:, 1:] = IMPOSSIBLE  # all hypotheses begin alike: the first stands for them
        return cls(
            torch.full((sources, width), ids.start, device=device),
            score_BK,
            torch.full((sources, width, length), ids.pad, device=device),
            torch.ones(sources, dtype=torch.bool, device=device),
            Ended.none(sources, width, length, ids.pad, device),
        )

    def best_continuations(
        self, value_RC: torch.Tensor, normalizer_R1: torch.Tensor | None = None
    ) -> Continuations:
        """The 2 K best of each source.

        Args:
            value_RC: log-probabilities of the candidates of each hypothesis; or logits.
            normalizer_R1: what turns logits into log-probabilities when it is subtracted.
        """
        width, candidates = self.score_BK.shape[1], value_RC.shape[1]
        add_BK = self.score_BK
        if normalizer_R1 is not None:  # from sums, of which there are fewer than logits
            add_BK = add_BK - normalizer_R1.view(-1, width)
        score_BE, number_BE = largest(value_RC, add_BK, min(2, candidates) * width)
        origin_BE, ids_BE = number_BE // candidates, number_BE % candidates
        return Continuations(score_BE, origin_BE, number_BE, ids_BE)

    def grow(
        self,
        best: Continuations,
        step: int | torch.Tensor,
        end_id: int,
        length_penalty: float = 1.0,
    ) -> tuple[Beams, Continuations]:
        """The hypotheses with their ids of number `step` (from 0), and the continuations, each
        (B, K), that they are. They are ranked by their sum over their length to the power of
        `length_penalty`; `end_id` ends one."""
        size = step + 1 if length_penalty == 1.0 else (step + 1) ** length_penalty
        width, length = self.written_BKT.shape[1:]
        ends_BE = (best.ids_BE == end_id) | (step + 1 == length)
        first = Continuations(*(part[:, :width] for part in best))
        counts_BK = ends_BE[:, :width]  # only those of the best K that end are kept
        ended = self.ended
        if torch.compiler.is_exporting() or bool(counts_BK.any()):
            mean_BK = (first.score_BE / size).where(counts_BK, IMPOSSIBLE)
            length_BK = torch.zeros_like(self.next_BK) + (step + 1)
            ended = ended.merge(Ended(mean_BK, length_BK, self._written(first, step)))
        score_BK, chosen_BK = (best.score_BE + ends_BE * IMPOSSIBLE).topk(width)
        others = (part.gather(1, chosen_BK) for part in best[1:])
        chosen = Continuations(score_BK, *others)
        may_win_B = score_BK[:, 0] / size > ended.score_BK[:, -1]
        open_B = may_win_B & (step + 1 != length)
        written_BKT = self._written(chosen, step)
        return Beams(chosen.ids_BE, score_BK, written_BKT, open_B, ended), chosen

    def _written(self, chosen: Continuations, step: int | torch.Tensor) -> torch.Tensor:
        """What continuations have written, (B, E, T), with their ids as the last."""
        newest_T = torch.arange(self.written_BKT.shape[2], device=chosen.ids_BE.device) == step
        before_BET = take(self.written_BKT, chosen.origin_BE)
        return torch.where(newest_T, chosen.ids_BE[..., None], before_BET)

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Beams:
        """Made of what `tensors` gave."""
        next_BK, score_BK, written_BKT, open_B, *ended = tensors
        return cls(next_BK, score_BK, written_BKT, open_B, Ended(*ended))

    def tensors(self) -> list[torch.Tensor]:
        """All, in one list."""
        return [self.next_BK, self.score_BK, self.written_BKT, self.open_B, *self.ended]

    def rows(self, chosen_B: torch.Tensor) -> Beams:
        return Beams.of([part[chosen_B] for part in self.tensors()])


def take(values_BKT: torch.Tensor, chosen_BE: torch.Tensor) -> torch.Tensor:
    """Rows of each source, (B, E, T)."""
    return values_BKT.gather(1, chosen_BE[..., None].expand(-1, -1, values_BKT.shape[-1]))


def hiding_others(slots_BKT: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The bias (B, 1, K, N) over all slots: a hypothesis sees those that it descends from.

    Args:
        slots_BKT: in which of a position's K slots a hypothesis, or its ancestor, wrote.
        dtype: of the bias.
    """
    width = slots_BKT.shape[1]
    seen_BKTK = slots_BKT[..., None] == torch.arange(width, device=slots_BKT.device)
    hidden_BKTK = torch.where(seen_BKTK, 0.0, torch.finfo(dtype).min)
    return hidden_BKTK.flatten(2)[:, None].to(dtype)


def moved_slots(
    slots_BKT: torch.Tensor, origin_BK: torch.Tensor, step: int | torch.Tensor
) -> torch.Tensor:
    """`slots_BKT` when hypotheses go on from others, after the step of number `step`."""
    width, length = slots_BKT.shape[1:]
    device = slots_BKT.device
    written_T = torch.arange(length, device=device) <= step
    own_K1 = torch.arange(width, device=device)[:, None]
    return torch.where(written_T, take(slots_BKT, origin_BK), own_K1)
