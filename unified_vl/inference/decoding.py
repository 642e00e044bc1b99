"""From a batch of sources to ids.

Legend: B rows, S source length, T ids written so far, V vocabulary, W 1 or B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.data.batching import Batch
from unified_vl.inference.constraints import Grammar, GrammarProcessor, grammar_of
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.task import GenerateSpec


@dataclass(frozen=True, slots=True)
class Generated:
    """What the model wrote, row by row.

    Attributes:
        ids: without the start id and padding; ends in eos unless cut at the limit.
        scores: mean log-probability (natural) of a row's ids, eos included, before
            the grammar removed any: 0 is certain.
    """

    ids: list[list[int]]
    scores: list[float]


def generate(
    model: UnifiedVLForConditionalGeneration,
    batch: Batch,
    how: GenerateSpec,
    codec: SequenceCodec,
) -> Generated:
    """Write the targets of a batch as its spec says: greedily or with beams.

    Raises:
        UserError: when the spec's `max_tokens` has no room for its `allow`.
    """
    grammar = grammar_of(how.allow, how.max_tokens, codec.vocabulary, batch.input_ids_BS.device)
    model.eval()
    with torch.inference_mode():
        if how.method == "greedy" or how.beams == 1:
            return _greedy(model, batch, grammar, how.max_tokens)
        return _beam(model, batch, grammar, how.max_tokens, how.beams)


def _greedy(
    model: UnifiedVLForConditionalGeneration, batch: Batch, grammar: Grammar, max_tokens: int
) -> Generated:
    """The likeliest allowed id at every step; rows that have ended write padding."""
    memory = model.encoder(batch.input_ids_BS, batch.attention_mask_BS, batch.pixel_values_NCHW)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    rows = batch.input_ids_BS.shape[0]
    ids_BT = batch.input_ids_BS.new_empty((rows, 0))
    score_B = torch.zeros(rows, device=ids_BT.device)
    running_B = torch.ones(rows, dtype=torch.bool, device=ids_BT.device)
    next_B = ids_BT.new_full((rows,), model.config.decoder_start_token_id)
    for _ in range(max_tokens):
        logits_BV = model(
            encoder_outputs=memory,
            attention_mask=batch.attention_mask_BS,
            decoder_input_ids=next_B[:, None],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
        logits_BV = logits_BV.float()
        best_B1 = logits_BV.masked_fill(~grammar.allowed(ids_BT), -torch.inf).argmax(-1, True)
        log_probability_B = logits_BV.gather(1, best_B1)[:, 0] - logits_BV.logsumexp(-1)
        score_B += torch.where(running_B, log_probability_B, 0.0)
        next_B = best_B1[:, 0].where(running_B, PAD_ID)
        ids_BT = torch.cat([ids_BT, next_B[:, None]], dim=1)
        running_B = running_B & (next_B != EOS_ID)
        if not running_B.any():
            break
    ids = _without_padding(ids_BT)
    totals = score_B.tolist()
    return Generated(ids, [total / len(row) for total, row in zip(totals, ids, strict=True)])


def _beam(
    model: UnifiedVLForConditionalGeneration,
    batch: Batch,
    grammar: Grammar,
    max_tokens: int,
    beams: int,
) -> Generated:
    """The best of `beams` hypotheses by mean log-probability, by transformers."""
    generating: Any = model  # transformers annotates `generate` for its own models only
    out = generating.generate(
        input_ids=batch.input_ids_BS,
        attention_mask=batch.attention_mask_BS,
        pixel_values=batch.pixel_values_NCHW,
        num_beams=beams,
        do_sample=False,
        max_new_tokens=max_tokens,
        length_penalty=1.0,  # divides a hypothesis's score by its number of ids
        logits_processor=LogitsProcessorList([GrammarProcessor(grammar)]),
        return_dict_in_generate=True,
        output_scores=True,
    )
    return Generated(_without_padding(out.sequences[:, 1:]), out.sequences_scores.tolist())


def _without_padding(ids_BT: torch.Tensor) -> list[list[int]]:
    return [[i for i in row if i != PAD_ID] for row in ids_BT.tolist()]
