"""From the encoder's output to ids: the likeliest id, a draw, or a beam search.

Scores are sums of log-probabilities (natural) under the model, before a grammar or a
temperature changes any; a hypothesis that a grammar forbids is never written.

Legend: B sources still running, A all sources, K hypotheses of a source, R = B * K,
T ids so far, X ids of some sources, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from unified_vl.decoding.beams import IMPOSSIBLE, Beams, Ended, take
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.guidance import GuidedDecoder
from unified_vl.decoding.protocol import Decoder, Memory, SearchDecoder, start
from unified_vl.decoding.selection import first_largest
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.model.backbone import Backbone


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to answer.

    Attributes:
        ids: without the start id and padding; ends in eos unless cut at the limit.
        score: mean log-probability of its ids behind a prefix, eos included; 0 is certain.
        cut: whether the limit of tokens ended it.
    """

    ids: list[int]
    score: float
    cut: bool = False


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
    model: Backbone,
    memory: Memory,
    max_tokens: int,
    grammar: Grammar | None = None,
    *,
    width: int = 1,
    choose: Choose = likeliest,
    guidance: Guidance | None = None,
    prefix: Sequence[int] = (),
    of_logits: bool = False,
) -> list[list[Hypothesis]]:
    """Write `width` hypotheses of each source, id by id; the best of a source first.

    A source leaves the batch when all of its hypotheses have ended. With guidance, scores are
    those of the guided distribution.

    Args:
        model: in evaluation mode.
        memory: what the encoder made of the sources.
        max_tokens: the most ids, behind the prefix.
        grammar: what may be written.
        width: hypotheses of a source.
        choose: picks each next id.
        guidance: what guided decoding compares with.
        prefix: ids that every hypothesis begins with; they add nothing to scores.
        of_logits: give the grammar logits in place of log-probabilities, as `transformers` does
            (a penalty by a factor is another one on these).
    """
    sources = len(memory.mask_AS)
    device = memory.mask_AS.device
    positions = len(prefix) + max_tokens
    decoder: Decoder = start(model, memory, positions, width)
    if guidance is not None:
        without = start(model, guidance.without, positions, width)
        decoder = GuidedDecoder(decoder, without, guidance.scale)
    source_B = torch.arange(sources, device=device)
    running_BK = torch.ones((sources, width), dtype=torch.bool, device=device)
    special = SpecialIds.of(model.config)
    last_id = _read(decoder, special.start, prefix, running_BK)
    next_BK = torch.full((sources, width), last_id, device=device)
    state_RF = grammar.start(sources * width) if grammar else None
    steps: list[_Step] = []
    for step in range(max_tokens):
        logits_RV = decoder.next_logits(next_BK)
        scores_RV = logits_RV.log_softmax(-1)
        allowed = Scored(scores_RV)
        if grammar is not None and state_RF is not None:
            allowed = grammar.allowed(logits_RV if of_logits else scores_RV, state_RF, step)
        place_R = choose(allowed.scores_RC, source_B, step)
        next_R1 = allowed.ids_at(place_R[:, None])
        next_BK = next_R1.view_as(running_BK)
        gained_BK = scores_RV.gather(1, next_R1).view_as(running_BK)
        steps.append(_Step(source_B, next_BK, gained_BK))
        running_BK = running_BK & (next_BK != special.end)
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
    return _behind(prefix, _joined(steps, sources, special))


def _read(decoder: Decoder, start_id: int, prefix: Sequence[int], shape: torch.Tensor) -> int:
    """Read what all hypotheses begin with but its last id, which is given back.

    Args:
        decoder: that has read nothing.
        start_id: what it reads first.
        prefix: what it reads then.
        shape: a tensor (B, K).
    """
    *first, last_id = [start_id, *prefix]
    for token in first:
        decoder.next_logits(torch.full(shape.shape, token, device=shape.device))
    return last_id


def _behind(prefix: Sequence[int], found: list[list[Hypothesis]]) -> list[list[Hypothesis]]:
    if not prefix:
        return found
    return [[replace(h, ids=[*prefix, *h.ids]) for h in hypotheses] for hypotheses in found]


class _Step(NamedTuple):
    """What a step wrote: the sources still running, their next ids, and what these gained."""

    source_B: torch.Tensor
    next_BK: torch.Tensor
    gained_BK: torch.Tensor


def _joined(steps: list[_Step], sources: int, special: SpecialIds) -> list[list[Hypothesis]]:
    """The hypotheses that steps wrote, each up to its first eos.

    A source that is left may hold hypotheses that have ended; what they went on to write
    while they waited is not theirs.
    """
    source_X, next_XK, gained_XK = map(torch.cat, zip(*steps, strict=True))
    sizes = [len(step.source_B) for step in steps]
    step_T = torch.arange(len(steps), device=source_X.device)
    step_X = step_T.repeat_interleave(torch.tensor(sizes, device=source_X.device))
    shape = (sources, next_XK.shape[1], len(steps))
    written_AKT = next_XK.new_full(shape, special.pad)
    written_AKT[source_X, :, step_X] = next_XK
    gained_AKT = gained_XK.new_zeros(shape)
    gained_AKT[source_X, :, step_X] = gained_XK
    ends_AKT = written_AKT == special.end
    length_AK = torch.where(ends_AKT.any(-1), ends_AKT.int().argmax(-1) + 1, len(steps))
    score_AK = gained_AKT.where(step_T < length_AK[..., None], 0.0).sum(-1)
    return _hypotheses(written_AKT, length_AK, score_AK, special.end)


def beam_search(
    model: Backbone,
    memory: Memory,
    max_tokens: int,
    width: int,
    grammar: Grammar | None = None,
    *,
    length_penalty: float = 1.0,
    prefix: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The best hypotheses, at most `width` a source, by their sums of log-probabilities over
    their length to the power of `length_penalty`.

    The rules are those of `transformers`' beam search with `early_stopping` false: of the
    2 * width best continuations those of the best `width` that end are kept, and a source is done
    once its best running hypothesis, at its present length, is no better than the worst of
    `width` that ended. A prefix is as `write` has it.
    """
    sources = len(memory.mask_AS)
    device = memory.mask_AS.device
    positions = len(prefix) + max_tokens
    decoder = start(model, memory, positions, width)
    special = SpecialIds.of(model.config)
    ended_A = Ended.none(sources, width, max_tokens, special.pad, device)
    source_B = torch.arange(sources, device=device)
    shape_BK = ended_A.score_BK
    last_id = _read(decoder, special.start, prefix, shape_BK)
    behind = special._replace(start=last_id)
    beams = Beams.start(sources, width, max_tokens, behind, device)
    as_it_is = grammar is None and not prefix and length_penalty == 1.0  # compiled as a whole
    state_RF = grammar.start(sources * width) if grammar else None
    for step in range(max_tokens):
        if as_it_is:
            beams = decoder.grow(beams)
        else:
            beams, state_RF = _grow(
                decoder, beams, grammar, state_RF, step, special.end, length_penalty
            )
        if beams.open_B.all():
            continue
        closed_B = ~beams.open_B
        ended_A.put(source_B[closed_B], beams.ended.rows(closed_B))
        if closed_B.all():
            break
        order_B = decoder.keep(beams.open_B)
        beams, source_B = beams.rows(order_B), source_B[order_B]
        if state_RF is not None:
            state_RF = _rows(state_RF, order_B, width)
    length_AK = ended_A.length_BK
    sum_AK = ended_A.score_BK * length_AK**length_penalty
    found = _hypotheses(ended_A.written_BKT, length_AK, sum_AK, special.end, ranked=True)
    possible = [[h for h in row if h.score * len(h.ids) > IMPOSSIBLE / 2] for row in found]
    return _behind(prefix, [some or row[:1] for some, row in zip(possible, found, strict=True)])


def _grow(
    decoder: SearchDecoder,
    beams: Beams,
    grammar: Grammar | None,
    state_RF: torch.Tensor | None,
    step: int,
    end_id: int,
    length_penalty: float,
) -> tuple[Beams, torch.Tensor | None]:
    """`SearchDecoder.grow` with what a grammar allows, and the grammar's next state."""
    scores_RV = decoder.next_logits(beams.next_BK).log_softmax(-1)
    allowed = Scored(scores_RV)
    if grammar is not None and state_RF is not None:
        allowed = grammar.allowed(scores_RV, state_RF, step)
    best = beams.best_continuations(allowed.scores_RC)
    if allowed.ids_RC is not None:
        ids_BN = allowed.ids_RC.reshape(len(best.number_BE), -1)
        best = best._replace(ids_BE=ids_BN.gather(1, best.number_BE))
    grown, chosen = beams.grow(best, step, end_id, length_penalty)
    decoder.reorder(chosen.origin_BE)
    if grammar is None or state_RF is None:
        return grown, None
    state_BKF = take(state_RF.unflatten(0, chosen.origin_BE.shape), chosen.origin_BE)
    place_BK = chosen.number_BE % allowed.scores_RC.shape[1]
    return grown, grammar.advance(state_BKF.flatten(0, 1), place_BK.flatten(), step)


def _rows(state_RF: torch.Tensor, order_B: torch.Tensor, width: int) -> torch.Tensor:
    """The rows of some sources, in their order."""
    return state_RF.unflatten(0, (-1, width))[order_B].flatten(0, 1)


def _hypotheses(
    written_AKT: torch.Tensor,
    length_AK: torch.Tensor,
    score_AK: torch.Tensor,
    end_id: int,
    *,
    ranked: bool = False,
) -> list[list[Hypothesis]]:
    """By source; the best first by mean log-probability (a stable order) unless they are ranked
    already."""
    mean_AK = score_AK / length_AK
    found = []
    rows = zip(written_AKT.tolist(), length_AK.tolist(), mean_AK.tolist(), strict=True)
    for written, lengths, means in rows:
        hypotheses = [
            Hypothesis(ids[:length], mean, cut=length == 0 or ids[length - 1] != end_id)
            for ids, length, mean in zip(written, lengths, means, strict=True)
        ]
        found.append(hypotheses if ranked else sorted(hypotheses, key=lambda h: -h.score))
    return found
