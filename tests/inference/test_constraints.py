"""unified_vl/inference/constraints.py: what may be written, and that nothing else can be."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID, Vocabulary
from unified_vl.errors import UserError
from unified_vl.inference.constraints import (
    BoxGrammar,
    Grammar,
    GrammarProcessor,
    TextGrammar,
    grammar_of,
)

CPU = torch.device("cpu")
VOCABULARY = Vocabulary(30, ("image", "task:t"), location_bins=4, image_code_count=5)


def next_ids(grammar: Grammar, written: list[int]) -> list[int]:
    mask = grammar.allowed(torch.tensor([written], dtype=torch.long))
    return mask.expand(1, VOCABULARY.size)[0].nonzero()[:, 0].tolist()


def complete(grammar: Grammar, written: list[int]) -> list[list[int]]:
    """Every sequence that the grammar lets follow `written`, up to eos."""
    found = []
    for token in next_ids(grammar, written):
        longer = [*written, token]
        found += [longer] if token == EOS_ID else complete(grammar, longer)
    return found


def test_the_box_grammar_writes_all_boxes_and_nothing_else() -> None:
    written = complete(BoxGrammar(VOCABULARY, CPU), [])
    corners = itertools.combinations(VOCABULARY.locations, 2)  # in rising order
    boxes = [
        [x1, y1, x2, y2, EOS_ID] for (x1, x2), (y1, y2) in itertools.product(corners, repeat=2)
    ]
    assert sorted(written) == sorted(boxes)


def test_the_text_grammar_allows_text_and_eos_at_every_step() -> None:
    expected = sorted({*VOCABULARY.text} - {PAD_ID, UNK_ID} | {EOS_ID})
    for written in ([], [5], [5, 6, 7]):
        assert next_ids(TextGrammar(VOCABULARY, CPU), written) == expected


@given(st.integers(0, 2**31), st.sampled_from(["text", "box"]))
def test_whatever_a_model_prefers_the_impossible_is_not_written(seed: int, allow: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    grammar = grammar_of(allow, 6, VOCABULARY, CPU)
    process = GrammarProcessor(grammar)
    ids_BT = torch.zeros(3, 1, dtype=torch.long)  # the start id
    for _ in range(5):
        logits_BV = 50 * torch.randn(3, VOCABULARY.size, generator=generator)
        best_B1 = process(ids_BT, logits_BV).argmax(-1, keepdim=True)
        ids_BT = torch.cat([ids_BT, best_B1], dim=1)
    for row in ids_BT[:, 1:].tolist():
        if allow == "box":
            x1, y1, x2, y2, end = row
            assert {x1, y1, x2, y2} <= set(VOCABULARY.locations)
            assert (x1 < x2, y1 < y2, end) == (True, True, EOS_ID)
        else:
            assert set(row) <= set(VOCABULARY.text) - {PAD_ID, UNK_ID}


def test_each_row_of_a_batch_has_its_own_box() -> None:
    first, last = VOCABULARY.locations.start, VOCABULARY.locations.stop - 1
    mask = BoxGrammar(VOCABULARY, CPU).allowed(torch.tensor([[first, first], [last - 1, first]]))
    assert mask[0].nonzero()[:, 0].tolist() == [first + 1, first + 2, last]
    assert mask[1].nonzero()[:, 0].tolist() == [last]


def test_a_box_needs_room() -> None:
    with pytest.raises(UserError, match=r"generate\.max_tokens: .*at least 4"):
        grammar_of("box", 3, VOCABULARY, CPU)
