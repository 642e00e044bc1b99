"""unified_vl/decoding/grammars/grammar.py: what may be written, and that nothing else can be."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID, Vocabulary
from unified_vl.decoding.grammar_processor import GrammarProcessor
from unified_vl.decoding.grammars.choices import ChoiceGrammar
from unified_vl.decoding.grammars.grammar import Grammar
from unified_vl.decoding.grammars.trie import build_trie
from unified_vl.decoding.grammars.values import ShapeGrammar, TextGrammar, grammar_of
from unified_vl.errors import UserError
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec

CPU = torch.device("cpu")
VOCABULARY = Vocabulary(30, ("image", "task:t"), location_bins=4, image_code_count=5)


def next_ids(grammar: Grammar, written: list[int]) -> list[int]:
    scores_V = GrammarProcessor(grammar)(
        torch.tensor([[PAD_ID, *written]]), torch.zeros(1, VOCABULARY.size)
    )[0]
    assert set(scores_V.tolist()) <= {0.0, -torch.inf}
    return (scores_V == 0).nonzero()[:, 0].tolist()


def complete(grammar: Grammar, written: list[int]) -> list[list[int]]:
    """Every sequence that the grammar lets follow `written`, up to eos."""
    found = []
    for token in next_ids(grammar, written):
        longer = [*written, token]
        found += [longer] if token == EOS_ID else complete(grammar, longer)
    return found


def grammar(allow: str, most: int) -> Grammar:
    codec: Any = SimpleNamespace(vocabulary=VOCABULARY, text=SimpleNamespace(control_ids=()))
    return grammar_of(GenerateSpec(allow=allow, max_tokens=most), AnswerForm(), codec, CPU)


def test_the_box_grammar_writes_all_boxes_and_nothing_else() -> None:
    written = complete(ShapeGrammar(VOCABULARY, "box", CPU), [])
    corners = itertools.combinations(VOCABULARY.locations, 2)  # in rising order
    boxes = [
        [x1, y1, x2, y2, EOS_ID] for (x1, x2), (y1, y2) in itertools.product(corners, repeat=2)
    ]
    assert sorted(written) == sorted(boxes)


def test_the_text_grammar_allows_text_and_eos_at_every_step() -> None:
    expected = sorted({*VOCABULARY.text_ids} - {PAD_ID, UNK_ID} | {EOS_ID})
    for written in ([], [5], [5, 6, 7]):
        assert next_ids(TextGrammar(VOCABULARY, CPU), written) == expected


@given(st.integers(0, 2**31), st.sampled_from(["text", "box"]))
def test_whatever_a_model_prefers_the_impossible_is_not_written(seed: int, allow: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    process = GrammarProcessor(grammar(allow, 6))
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
            assert set(row) <= set(VOCABULARY.text_ids) - {PAD_ID, UNK_ID}


def test_each_row_of_a_batch_has_its_own_box() -> None:
    first, last = VOCABULARY.locations.start, VOCABULARY.locations.stop - 1
    process = GrammarProcessor(ShapeGrammar(VOCABULARY, "box", CPU))
    ids_BT = torch.tensor([[PAD_ID, first, first], [PAD_ID, last - 1, first]])
    allowed = process(ids_BT, torch.zeros(2, VOCABULARY.size)) == 0
    assert allowed[0].nonzero()[:, 0].tolist() == [first + 1, first + 2, last]
    assert allowed[1].nonzero()[:, 0].tolist() == [last]


def test_a_box_needs_room() -> None:
    with pytest.raises(UserError, match=r"generate\.max_tokens: .*at least 4"):
        grammar("box", 3)


CHOICES = st.lists(
    st.lists(st.integers(3, 29), max_size=5).map(lambda ids: (*ids, EOS_ID)),
    min_size=1,
    unique=True,
)


@given(CHOICES)
def test_a_trie_writes_all_choices_and_nothing_else(choices: list[tuple[int, ...]]) -> None:
    grammar = ChoiceGrammar(build_trie(choices), VOCABULARY.size, CPU)
    assert sorted(map(tuple, complete(grammar, []))) == sorted(choices)


@given(CHOICES)
def test_the_arrays_of_a_trie_are_its_tree(choices: list[tuple[int, ...]]) -> None:
    trie = build_trie(choices)
    for choice, leaf in zip(choices, trie.leaf_C, strict=True):
        path, node = [], int(leaf)
        while node:
            path.append(int(trie.token_N[node]))
            node = int(trie.parent_N[node])
        assert tuple(reversed(path)) == choice
    prefixes = {choice[:length] for choice in choices for length in range(len(choice) + 1)}
    assert len(trie.token_N) == len(prefixes)
    assert trie.depth == max(map(len, choices))
    for node in range(len(trie.token_N)):
        first, count = int(trie.first_child_N[node]), int(trie.children_N[node])
        assert (trie.parent_N == node).nonzero()[0].tolist() == [*range(first, first + count)]


@given(CHOICES, st.integers(0, 2**31))
def test_hypotheses_stand_at_nodes_of_their_own(choices: list[tuple[int, ...]], seed: int) -> None:
    grammar = ChoiceGrammar(build_trie(choices), VOCABULARY.size, CPU)
    generator = torch.Generator().manual_seed(seed)
    state_RF = grammar.start(7)
    written: list[list[int]] = [[] for _ in range(7)]
    for step in range(max(map(len, choices)) + 1):
        scores_RV = torch.randn(7, VOCABULARY.size, generator=generator)
        allowed = grammar.allowed(scores_RV, state_RF, step)
        place_R = allowed.scores_RC.argmax(-1)
        best_R = allowed.ids_at(place_R[:, None])[:, 0]
        assert torch.equal(grammar.place_of(state_RF, best_R), place_R)
        state_RF = grammar.advance(state_RF, place_R, step)
        for row, token in zip(written, best_R.tolist(), strict=True):
            row.append(token)
    for row in written:
        end = row.index(EOS_ID) + 1
        assert tuple(row[:end]) in choices
        assert set(row[end:]) <= {EOS_ID}
