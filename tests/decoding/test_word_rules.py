"""unified_vl/decoding/grammars/word_rules.py: what `transformers` writes with the same options."""

from __future__ import annotations

import pytest
import torch

from tests.decoding.test_search import LIMIT, build, memory_of, sources
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.grammars.word_rules import WordRules
from unified_vl.decoding.search import beam_search, write
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.specs.tasks.generate import GenerateSpec

NO_WORDS = {"bad_words_ids": []}  # those that a test finds in what is said without the rule
OPTIONS = {  # ours, and theirs
    "min_tokens": ({"min_tokens": 5}, {"min_new_tokens": 5}),
    "no_repeat_ngram 1": ({"no_repeat_ngram": 1}, {"no_repeat_ngram_size": 1}),
    "no_repeat_ngram 3": ({"no_repeat_ngram": 3}, {"no_repeat_ngram_size": 3}),
    "repetition_penalty": ({"repetition_penalty": 1.7}, {"repetition_penalty": 1.7}),
    "less than 1": ({"repetition_penalty": 0.8}, {"repetition_penalty": 0.8}),
    "bad_words": ({}, NO_WORDS),
    "prefix": ({}, {}),
    "all": (
        {"min_tokens": 4, "no_repeat_ngram": 2, "repetition_penalty": 1.3},
        {"min_new_tokens": 4, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3} | NO_WORDS,
    ),
}


class Anything(Grammar):
    """Whatever the model says."""

    def start(self, rows: int) -> torch.Tensor:
        return torch.empty((rows, 0), dtype=torch.long)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        return Scored(scores_RV)

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        return state_RF


def words_of(model, memory, name: str) -> list[list[int]]:
    """Of what a model says: an id, two, and three that follow each other."""
    if "bad_words_ids" not in OPTIONS[name][1]:
        return []
    said = max((row[0].ids for row in write(model, memory, LIMIT)), key=len)
    return [said[:1], said[1:3], said[3:6]]


def ours(
    model, memory, name: str, beams: int, length_penalty: float, words: list[list[int]]
) -> list[list[int]]:
    options, _ = OPTIONS[name]
    how = GenerateSpec(max_tokens=LIMIT, **options)
    prefix = [5, 40, 41] if name in ("prefix", "all") else []
    start_id = model.config.decoder_start_token_id
    rules = WordRules(Anything(), how, SpecialIds(start_id, EOS_ID, 0), prefix, words)
    if beams == 1:
        found = write(model, memory, LIMIT, rules, prefix=prefix, of_logits=True)
    else:
        found = beam_search(
            model, memory, LIMIT, beams, rules, length_penalty=length_penalty, prefix=prefix
        )
    return [hypothesis.ids for row in found for hypothesis in row]


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("name", OPTIONS)
@torch.inference_mode()
def test_options_do_what_they_do_in_transformers(name: str, beams: int) -> None:
    changed = 0
    for seed in range(3):
        model, (ids_BS, mask_BS) = build("t5", seed), sources(seed)
        length_penalty = 1.0 if beams == 1 else (0.0, 0.6, 2.0)[seed]
        start = [model.config.decoder_start_token_id]
        prefix = [5, 40, 41] if name in ("prefix", "all") else []
        memory = memory_of(model, ids_BS, mask_BS)
        words = words_of(model, memory, name)
        theirs = model.generate(
            input_ids=ids_BS,
            attention_mask=mask_BS,
            decoder_input_ids=torch.tensor([start + prefix]).expand(len(ids_BS), -1),
            do_sample=False,
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=LIMIT,
            length_penalty=length_penalty,
            **OPTIONS[name][1] | ({"bad_words_ids": words} if words else {}),
        )
        found = ours(model, memory, name, beams, length_penalty, words)
        for mine, other in zip(found, theirs[:, 1:].tolist(), strict=True):
            assert mine == other[: len(mine)]
            assert set(other[len(mine) :]) <= {PAD_ID, EOS_ID}
        plain = write(model, memory, LIMIT)
        changed += sum(m != p[0].ids for m, p in zip(found[::beams], plain, strict=True))
    assert changed  # the option did something


@torch.inference_mode()
def test_a_row_without_anything_left_to_say_ends() -> None:
    how = GenerateSpec(max_tokens=4, min_tokens=4)
    rules = WordRules(
        Anything(), how, SpecialIds(0, EOS_ID, 0), (), [[token] for token in range(150)]
    )
    scores = rules.allowed(torch.zeros(1, 150), rules.start(1), 0).scores_RC
    assert scores.argmax(-1).tolist() == [EOS_ID]


def test_a_bad_word_is_known_at_the_start_of_a_word_and_within_one(tiny) -> None:
    text: TextCodec = tiny.saved.codec.text
    for ids in text.writings("cat"):
        assert text.decode(ids).strip() == "cat"
    pieces = [text.pieces(ids)[0][0] for ids in text.writings("cat")]
    assert pieces == ["\u2581", "c"]
