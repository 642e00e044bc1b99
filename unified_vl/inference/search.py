"""From the encoder's output to ids: the likeliest id, a draw, or a beam search.

Scores are sums of log-probabilities (natural) under the model, before a grammar or a
temperature changes any; a hypothesis that a grammar forbids is never written.

Legend: B sources still running, A all sources, K hypotheses of a source, R = B * K,
T ids so far, X ids of some sources, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.inference.constraints import Grammar, Scored
from unified_vl.inference.guidance import GuidedDecoder
from unified_vl.model.compiled import beam_decoder
from unified_vl.model.incremental import BeamDecoder
from unified_vl.model.selection import first_largest, largest
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

IMPOSSIBLE = -1e9  # `transformers`' score of what must not win


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to answer.

    Attributes:
        ids: without the start id and padding; ends in eos unless cut at the limit.
        score: mean log-probability of its ids, eos included; 0 is certain.
    """

    ids: list[int]
    score: float


@dataclass(frozen=True)
class Memory:
    """What the encoder made of A sources: `hidden_ASM` and its padding mask."""

    hidden_ASM: torch.Tensor
    mask_AS: torch.Tensor


@dataclass(frozen=True)
class Guidance:
    """What guided decoding compares with: the same sources without their condition."""

    without: Memory
    scale: float


Choose = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Picks places (R,) among log-probabilities (R, C), for the sources (B,), at a step."""


def likeliest(score_RC: torch.Tensor, source_B: torch.Tensor, step: int) -> torch.Tensor:
    """Greedy decoding: the first of the best."""
    return first_largest(score_RC)


def write(
    model: UnifiedVLForConditionalGeneration,
    memory: Memory,
    max_tokens: int,
    grammar: Grammar | None = None,
    *,
    width: int = 1,
    choose: Choose = likeliest,
    guidance: Guidance | None = None,
) -> list[list[Hypothesis]]:
    """Write `width` hypotheses of each source, id by id; the best of a source first.

    A source leaves the batch when all of its hypotheses have ended. With guidance, scores are
    those of the guided distribution.
    """
    sources = len(memory.mask_AS)
    device = memory.mask_AS.device
    decoder: BeamDecoder | GuidedDecoder
    decoder = beam_decoder(model, memory.hidden_ASM, memory.mask_AS, max_tokens, width)
    if guidance is not None:
        other = guidance.without
        without = beam_decoder(model, other.hidden_ASM, other.mask_AS, max_tokens, width)
        decoder = GuidedDecoder(decoder, without, guidance.scale)
    source_B = torch.arange(sources, device=device)
    running_BK = torch.ones((sources, width), dtype=torch.bool, device=device)
    next_BK = torch.full((sources, width), model.config.decoder_start_token_id, device=device)
    state_RF = grammar.start(sources * width) if grammar else None
    enough = 1 if grammar is None and choose is likeliest else None
    steps: list[_Step] = []
    for step in range(max_tokens):
        scored = allowed = Scored(*decoder.next_scores(next_BK, enough))
        if grammar is not None and state_RF is not None:
            allowed = grammar.allowed(scored.scores_RC, state_RF, step)
        place_R = choose(allowed.scores_RC, source_B, step)
        next_R1 = allowed.ids_at(place_R[:, None])
        next_BK = next_R1.view_as(running_BK)
        scored_R1 = next_R1 if scored.ids_RC is None else place_R[:, None]
        gained_BK = scored.scores_RC.gather(1, scored_R1).view_as(running_BK)
        steps.append(_Step(source_B, next_BK, gained_BK))
        running_BK = running_BK & (next_BK != EOS_ID)
        if grammar is not None and state_RF is not None:
            state_RF = grammar.advance(state_RF, place_R, step)
        alive_B = running_BK.any(1)
        left = int(alive_B.sum())
        if left < len(alive_B):
            if not left:
                break
            order_B = decoder.keep(alive_B)
            source_B, next_BK, running_BK = (x[order_B] for x in (source_B, next_BK, running_BK))
            if state_RF is not None:
                state_RF = _rows(state_RF, order_B, width)
    return _joined(steps, sources)


class _Step(NamedTuple):
    """What a step wrote: the sources still running, their next ids, and what these gained."""

    source_B: torch.Tensor
    next_BK: torch.Tensor
    gained_BK: torch.Tensor


def _joined(steps: list[_Step], sources: int) -> list[list[Hypothesis]]:
    """The hypotheses that steps wrote, each up to its first eos.

    A source that is left may hold hypotheses that have ended; what they went on to write
    while they waited is not theirs.
    """
    source_X, next_XK, gained_XK = map(torch.cat, zip(*steps, strict=True))
    sizes = [len(step.source_B) for step in steps]
    step_T = torch.arange(len(steps), device=source_X.device)
    step_X = step_T.repeat_interleave(torch.tensor(sizes, device=source_X.device))
    shape = (sources, next_XK.shape[1], len(steps))
    written_AKT = next_XK.new_full(shape, PAD_ID)
    written_AKT[source_X, :, step_X] = next_XK
    gained_AKT = gained_XK.new_zeros(shape)
    gained_AKT[source_X, :, step_X] = gained_XK
    ends_AKT = written_AKT == EOS_ID
    length_AK = torch.where(ends_AKT.any(-1), ends_AKT.int().argmax(-1) + 1, len(steps))
    score_AK = gained_AKT.where(step_T < length_AK[..., None], 0.0).sum(-1)
    return _hypotheses(written_AKT, length_AK, score_AK)


def beam_search(
    model: UnifiedVLForConditionalGeneration,
    memory: Memory,
    max_tokens: int,
    width: int,
    grammar: Grammar | None = None,
) -> list[list[Hypothesis]]:
    """The best hypotheses by mean log-probability, at most `width` a source.

    The rules are those of `transformers`' beam search with `length_penalty` 1 and
    `early_stopping` false: of the 2 * width best continuations those of the best
    `width` that end are kept, and a source is done once its best running hypothesis, at
    its present length, is no better than the worst of `width` that ended.
    """
    sources = len(memory.mask_AS)
    device = memory.mask_AS.device
    decoder = beam_decoder(model, memory.hidden_ASM, memory.mask_AS, max_tokens, width)
    ended_A = _Ended.none(sources, width, max_tokens, device)
    ended_B = ended_A
    source_B = torch.arange(sources, device=device)
    running_BKT = torch.full((sources, width, max_tokens), PAD_ID, device=device)
    score_BK = torch.zeros((sources, width), device=device)
    score_BK[:, 1:] = IMPOSSIBLE  # all hypotheses begin alike: the first stands for them
    next_BK = torch.full((sources, width), model.config.decoder_start_token_id, device=device)
    state_RF = grammar.start(sources * width) if grammar else None
    enough = 2 * width if grammar is None else None
    for step in range(max_tokens):
        allowed = Scored(*decoder.next_scores(next_BK, enough))
        if grammar is not None and state_RF is not None:
            allowed = grammar.allowed(allowed.scores_RC, state_RF, step)
        top_BC, number_BC = _continuations(allowed.scores_RC, score_BK)
        candidates = allowed.scores_RC.shape[1]
        origin_BC = number_BC // candidates
        ids_BC = number_BC % candidates
        if allowed.ids_RC is not None:
            ids_BC = allowed.ids_RC.reshape(len(number_BC), -1).gather(1, number_BC)
        ends_BC = ids_BC == EOS_ID
        if step + 1 == max_tokens:
            ends_BC = torch.ones_like(ends_BC)
        if ends_BC[:, :width].any():
            written_BCT = _take(running_BKT, origin_BC)
            written_BCT[:, :, step] = ids_BC
            ended_B = ended_B.merge(top_BC / (step + 1), written_BCT, ends_BC, step + 1)
        score_BK, chosen_BK = (top_BC + ends_BC * IMPOSSIBLE).topk(width)
        origin_BK, next_BK = origin_BC.gather(1, chosen_BK), ids_BC.gather(1, chosen_BK)
        running_BKT = _take(running_BKT, origin_BK)
        running_BKT[:, :, step] = next_BK
        open_B = score_BK[:, 0] / (step + 1) > ended_B.worst()
        open_B &= bool(step + 1 < max_tokens)
        decoder.reorder(origin_BK)
        if grammar is not None and state_RF is not None:
            state_RF = state_RF.unflatten(0, (-1, width)).take_along_dim(origin_BK[..., None], 1)
            place_BK = number_BC.gather(1, chosen_BK) % candidates
            state_RF = grammar.advance(state_RF.flatten(0, 1), place_BK.flatten(), step)
        if not open_B.all():
            closed = ~open_B
            ended_A.put(source_B[closed], ended_B.rows(closed))
            if not open_B.any():
                break
            order_B = decoder.keep(open_B)
            ended_B = ended_B.rows(order_B)
            source_B, running_BKT, score_BK, next_BK = (
                x[order_B] for x in (source_B, running_BKT, score_BK, next_BK)
            )
            if state_RF is not None:
                state_RF = _rows(state_RF, order_B, width)
    return [
        [h for h in found if h.score * len(h.ids) > IMPOSSIBLE / 2] or found[:1]
        for found in _hypotheses(
            ended_A.written_BKT, ended_A.length_BK, ended_A.score_BK * ended_A.length_BK
        )
    ]


@dataclass
class _Ended:
    """The best hypotheses that have ended, best first; places without one are impossible."""

    score_BK: torch.Tensor
    length_BK: torch.Tensor
    written_BKT: torch.Tensor

    @classmethod
    def none(cls, sources: int, width: int, length: int, device: torch.device) -> _Ended:
        return cls(
            torch.full((sources, width), IMPOSSIBLE, device=device),
            torch.ones((sources, width), dtype=torch.long, device=device),
            torch.full((sources, width, length), PAD_ID, device=device),
        )

    def merge(
        self, mean_BC: torch.Tensor, written_BCT: torch.Tensor, ends_BC: torch.Tensor, length: int
    ) -> _Ended:
        """With those of the best K continuations that end."""
        width = self.score_BK.shape[1]
        counts_BC = ends_BC.clone()
        counts_BC[:, width:] = False
        offered_BC = mean_BC + ~counts_BC * IMPOSSIBLE
        score_BK, chosen_BK = torch.cat([self.score_BK, offered_BC], 1).topk(width)
        length_BC = torch.full_like(ends_BC, length, dtype=torch.long)
        return _Ended(
            score_BK,
            torch.cat([self.length_BK, length_BC], 1).gather(1, chosen_BK),
            _take(torch.cat([self.written_BKT, written_BCT], 1), chosen_BK),
        )

    def worst(self) -> torch.Tensor:
        """(B,), impossible until there are K."""
        return self.score_BK[:, -1].clamp(min=IMPOSSIBLE)

    def rows(self, chosen_B: torch.Tensor) -> _Ended:
        return _Ended(self.score_BK[chosen_B], self.length_BK[chosen_B], self.written_BKT[chosen_B])

    def put(self, places_B: torch.Tensor, other: _Ended) -> None:
        self.score_BK[places_B] = other.score_BK
        self.length_BK[places_B] = other.length_BK
        self.written_BKT[places_B] = other.written_BKT


def _continuations(
    allowed_RC: torch.Tensor, score_BK: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The 2 K best ways to go on, the best first: their scores and, among all candidates of a
    source, hypothesis by hypothesis, their numbers (B, C')."""
    sources, width = score_BK.shape
    candidates = allowed_RC.shape[1]
    best_RE, place_RE = allowed_RC, None
    if candidates > 2 * width:  # the best of a source are among the best of each hypothesis
        best_RE, place_RE = largest(allowed_RC, 2 * width)
    total_BKE = best_RE.view(sources, width, -1) + score_BK[..., None]
    each = total_BKE.shape[2]
    top_BC, number_BC = total_BKE.flatten(1).topk(min(2 * width, width * each))
    if place_RE is not None:
        place_BC = place_RE.view(sources, -1).gather(1, number_BC)
        number_BC = number_BC // each * candidates + place_BC
    return top_BC, number_BC


def _take(values_BKT: torch.Tensor, chosen_BC: torch.Tensor) -> torch.Tensor:
    return values_BKT.gather(1, chosen_BC[..., None].expand(-1, -1, values_BKT.shape[-1]))


def _rows(state_RF: torch.Tensor, order_B: torch.Tensor, width: int) -> torch.Tensor:
    """The rows of some sources, in their order."""
    return state_RF.unflatten(0, (-1, width))[order_B].flatten(0, 1)


def _hypotheses(
    written_AKT: torch.Tensor, length_AK: torch.Tensor, score_AK: torch.Tensor
) -> list[list[Hypothesis]]:
    """By source, the best first by mean log-probability (a stable order)."""
    mean_AK = score_AK / length_AK
    found = []
    rows = zip(written_AKT.tolist(), length_AK.tolist(), mean_AK.tolist(), strict=True)
    for written, lengths, means in rows:
        hypotheses = [
            Hypothesis(ids[:length], mean)
            for ids, length, mean in zip(written, lengths, means, strict=True)
        ]
        found.append(sorted(hypotheses, key=lambda h: -h.score))
    return found
