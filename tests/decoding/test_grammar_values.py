"""unified_vl/decoding/grammars/values.py: whatever a model prefers, an answer can be read back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.codecs.segments import Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import EOS_ID, Vocabulary
from unified_vl.decoding.grammars.grammar import Grammar
from unified_vl.decoding.grammars.values import grammar_of
from unified_vl.geometry import Box, Polygon
from unified_vl.kinds.box import with_labels
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec

CPU = torch.device("cpu")
LONGEST = 40
NUMBER = re.compile(r"-?\d+(\.\d{2})?")


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> SequenceCodec:
    path: Path = tmp_path_factory.mktemp("text") / "text.model"
    texts = ["a cat ; a dog", "12 34.5 -7 0.25", "3.14 . - 1999"] * 20
    text: TextCodec = train_text_tokenizer(texts, path, 330)
    vocabulary = Vocabulary(len(text), ("image",), location_bins=6)
    return SequenceCodec(vocabulary, text, image_tokens=4, image_size=(8, 8))


def walk(grammar: Grammar, codec: SequenceCodec, seed: int, hurry: bool = True) -> list[list[int]]:
    """Three answers of a model that wants something at random, and eos ever more."""
    draw = torch.Generator().manual_seed(seed)
    rows: list[list[int]] = [[], [], []]
    state = grammar.start(3)
    for step in range(LONGEST):
        wanted_RV = torch.randn(3, codec.vocabulary.size, generator=draw)
        if hurry:
            wanted_RV[:, EOS_ID] += 0.3 * step
            wanted_RV[:, codec.vocabulary.locations.start : codec.vocabulary.locations.stop] += 1.5
        allowed = grammar.allowed(wanted_RV, state, step)
        assert torch.isfinite(allowed.scores_RC).any(1).all(), "nothing may be written"
        place_R = allowed.scores_RC.argmax(-1)
        ids_R = allowed.ids_at(place_R[:, None])[:, 0]
        state = grammar.advance(state, place_R, step)
        for row, token in zip(rows, ids_R.tolist(), strict=True):
            if EOS_ID not in row:
                row.append(token)
    return rows


FORMS = {
    "box": ("box", AnswerForm()),
    "boxes": ("box", AnswerForm(many=True)),
    "labelled boxes": ("labelled_boxes", AnswerForm(many=True)),
    "point": ("point", AnswerForm("point")),
    "points": ("point", AnswerForm("point", many=True)),
    "polygon": ("polygon", AnswerForm("polygon")),
    "polygons": ("polygon", AnswerForm("polygon", many=True)),
    "text and boxes": ("mixed", AnswerForm(many=True)),
}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**31))
def test_what_a_grammar_lets_be_written_is_whole_shapes(
    codec: SequenceCodec, name: str, seed: int
) -> None:
    allow, form = FORMS[name]
    how = GenerateSpec(allow=allow, max_tokens=LONGEST)  # type: ignore[arg-type]
    for row in walk(grammar_of(how, form, codec, CPU), codec, seed):
        if row[-1] != EOS_ID:
            continue  # cut at the limit
        segments = codec.decode(row, form.shape)
        encoded = [
            i
            for s in segments
            if not isinstance(s, Text)
            for i in codec.encode_target([s]).ids[:-1]
        ]
        assert encoded == [i for i in row if i in codec.vocabulary.locations], "something was lost"
        texts = [s for s in segments if isinstance(s, Text)]
        shapes = [s for s in segments if not isinstance(s, Text)]
        if name in ("box", "point", "polygon"):
            assert len(shapes) == 1 and not texts
        if name in ("boxes", "points"):
            assert shapes and not texts
        if name == "polygons":
            assert len(shapes) == len(texts) + 1 and isinstance(segments[-1], Polygon)
        if name == "labelled boxes":
            labelled = with_labels(segments)
            assert labelled and all(isinstance(s, Box) and s.label is not None for s in labelled)
        for shape in shapes:
            if isinstance(shape, Box):
                assert shape.x1 < shape.x2 and shape.y1 < shape.y2


@pytest.mark.parametrize("decimals", [0, 2])
@settings(max_examples=40)
@given(seed=st.integers(0, 2**31))
def test_a_number_is_a_number(codec: SequenceCodec, decimals: int, seed: int) -> None:
    how = GenerateSpec(allow="number", max_tokens=LONGEST)
    grammar = grammar_of(how, AnswerForm(decimals=decimals), codec, CPU)
    for row in walk(grammar, codec, seed, hurry=False):
        if row[-1] == EOS_ID:
            text = codec.decode_text(row)
            assert NUMBER.fullmatch(text), text
            assert ("." in text) == bool(decimals)
            float(text)


@pytest.mark.parametrize("text", ["7", "-12", "1999", "0"])
def test_every_whole_number_can_be_written(codec: SequenceCodec, text: str) -> None:
    how = GenerateSpec(allow="number", max_tokens=LONGEST)
    grammar = grammar_of(how, AnswerForm(), codec, CPU)
    state = grammar.start(1)
    for step, token in enumerate(codec.encode_target([Text(text)]).ids):
        scores = grammar.allowed(torch.zeros(1, codec.vocabulary.size), state, step).scores_RC
        assert scores[0, token] == 0, (text, step)
        state = grammar.advance(state, torch.tensor([token]), step)


@pytest.mark.parametrize("name", [n for n, (_, form) in FORMS.items() if form.many])
def test_an_answer_may_be_empty_only_where_the_task_says_so(
    codec: SequenceCodec, name: str
) -> None:
    allow, form = FORMS[name]
    how = GenerateSpec(allow=allow, max_tokens=LONGEST)  # type: ignore[arg-type]
    for empty in (True, False):
        grammar = grammar_of(how, replace(form, empty=empty), codec, CPU)
        scores_RV = torch.zeros(2, codec.vocabulary.size)
        allowed = grammar.allowed(scores_RV, grammar.start(2), 0)
        assert bool(torch.isfinite(allowed.scores_RC[:, EOS_ID]).all()) is empty
        assert torch.isfinite(allowed.scores_RC).sum(1).min() > 1  # or something
