"""What holds for the text tokenizers of every kind."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
import sentencepiece
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codecs.texts.conftest import COMPLETE, KINDS
from tests.public_tokenizers import TEXTS
from tokenizers import Tokenizer
from unified_vl.codecs.segments import Text
from unified_vl.codecs.sequence import SequenceCodec, load_tokenizer
from unified_vl.codecs.texts import byte_level_bpe, sentence_piece
from unified_vl.codecs.texts.loading import load_text_codec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.example import Example
from unified_vl.decoding.grammars.language import LanguageGrammar, ScriptMasks
from unified_vl.decoding.grammars.values import TextGrammar, grammar_of
from unified_vl.errors import UserError
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec

CPU = torch.device("cpu")
ODD = ["ﬁ", "Ｆｕｌｌ", "½", "\u200d", "e\u0301", "\u1112\u1161\u11ab", "🙂", "</s>", "<pad>", "\n"]
PARTS = st.sampled_from([*TEXTS.values(), *ODD, " ", "  ", "a", "1", "\U00020000", "½", "´", "ﷺ"])
WRITTEN = st.lists(PARTS, max_size=12).map("".join)
SPECIAL_OF_BPE = {"pad_id": 1, "eos_id": 2, "unk_id": 3}


def sequence_codec(text: TextCodec, **limits: int) -> SequenceCodec:
    special = {name: i for name, i in text.special_ids.items() if i >= 0} or SPECIAL_OF_BPE
    vocabulary = Vocabulary(len(text), ("image",), location_bins=6, **special)
    return SequenceCodec(vocabulary, text, image_tokens=4, image_size=(8, 8), **limits)


@pytest.mark.parametrize("kind", COMPLETE)
@settings(deadline=None, max_examples=100)
@given(text=WRITTEN)
def test_a_text_comes_back(codecs: dict[str, TextCodec], kind: str, text: str) -> None:
    codec = codecs[kind]
    ids = codec.encode(text)
    assert codec.decode(ids) == codec.normalized(text)
    assert codec.control_ids.isdisjoint(ids)
    spelt = b"".join(codec.fragments.get(i, codec.texts[i].encode()) for i in ids)
    assert spelt.decode().strip(" ") == codec.normalized(text).strip(" ")


@pytest.mark.parametrize("language", TEXTS)
def test_what_t5_did_not_learn_is_unknown_and_the_rest_comes_back(
    codecs: dict[str, TextCodec], language: str
) -> None:
    codec = codecs["t5"]
    text = TEXTS[language]
    assert codec.decode(codec.encode(text)) == codec.normalized(text)
    assert codec.encode("🙂")[-1] in codec.unlearnt_ids


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(parts=st.lists(PARTS, min_size=5, max_size=60), least=st.integers(1, 40))
def test_the_start_of_a_text_has_the_ids_of_the_whole(
    codecs: dict[str, TextCodec], kind: str, parts: list[str], least: int
) -> None:
    codec = codecs[kind]
    text = "".join(parts)
    whole = codec.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        for module in (sentence_piece, byte_level_bpe):
            patch.setattr(module, "LONG_TEXT", 20)
            patch.setattr(module, "_START", 1)
        start = codec.encode_start(text, least)
    assert len(start) >= min(least, len(whole))
    assert start == whole[: len(start)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", TEXTS)
def test_a_cut_splits_no_character(codecs: dict[str, TextCodec], kind: str, language: str) -> None:
    codec = codecs[kind]
    text = codec.normalized(TEXTS[language] + "🙂\u3042")
    ids = codec.encode(text)
    kept = [codec.whole(ids, end) for end in range(len(ids) + 1)]
    assert kept[-1] == len(ids) and kept[0] == 0
    assert all(0 <= b - a <= 4 for a, b in pairwise(kept))
    if kind in COMPLETE:
        assert all(text.startswith(codec.decode(ids[:end])) for end in kept)
    encoded = sequence_codec(codec, max_target=9).encode_target([Text(text)])
    assert encoded.truncated and len(encoded.ids) <= 9
    assert [*encoded.ids[:-1], *encoded.cut[0]] == ids
    assert "\ufffd" not in codec.decode(encoded.ids[:-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["ru", "fa", "ja", "de", "ko", "zh"])
def test_an_enforced_language_ends_and_stays_in_its_scripts(
    codecs: dict[str, TextCodec], kind: str, language: str
) -> None:
    codec = sequence_codec(codecs[kind])
    vocabulary, text = codec.vocabulary, codec.text
    masks = ScriptMasks(vocabulary, text, CPU)
    inner = TextGrammar(vocabulary, CPU, controls=text.control_ids)
    example = Example("t", language, "k", (), (), {}, {}, "f:0", None)
    other = "de" if language != "de" else "ru"
    grammar = LanguageGrammar(inner, masks).of([example])
    state = grammar.start(1)
    ids = text.encode(TEXTS[language])
    for step, token in enumerate([*ids, vocabulary.eos_id]):
        scores = grammar.allowed(torch.zeros(1, vocabulary.size), state, step).scores_RC[0]
        assert scores[token] == 0, (text.pieces([token]), step)
        state = grammar.advance(state, torch.tensor([token]), step)
    state = grammar.start(1)
    refused = False
    for step, token in enumerate(text.encode(TEXTS[other])):
        scores = grammar.allowed(torch.zeros(1, vocabulary.size), state, step).scores_RC[0]
        refused = refused or bool(scores[token] != 0)
        state = grammar.advance(state, torch.tensor([token]), step)
    assert refused
    draw = torch.Generator().manual_seed(3)
    state = grammar.start(4)
    rows: list[torch.Tensor] = []
    for step in range(30):
        wanted = torch.randn(4, vocabulary.size, generator=draw)
        wanted[:, list(text.fragments)] += 1.0
        wanted[:, vocabulary.eos_id] = -9.0
        place_R = grammar.allowed(wanted, state, step).scores_RC.argmax(1)
        state = grammar.advance(state, place_R, step)
        rows.append(place_R)
    from unified_vl.languages.scripts import strange_parts

    for ids in torch.stack(rows, 1).tolist():
        written = text.decode(ids[: text.whole(ids, len(ids))])
        assert not strange_parts(written, language)
        assert "\ufffd" not in written


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", ["7", "-12", "1999", "0.25"])
def test_numbers_can_be_written_and_nothing_else(
    codecs: dict[str, TextCodec], kind: str, number: str
) -> None:
    codec = sequence_codec(codecs[kind])
    decimals = 2 if "." in number else 0
    how = GenerateSpec(allow="number", max_tokens=20)
    grammar = grammar_of(how, AnswerForm(decimals=decimals), codec, CPU)
    state = grammar.start(1)
    zeros = torch.zeros(1, codec.vocabulary.size)
    for step, token in enumerate(codec.encode_target([Text(number)]).ids):
        scores = grammar.allowed(zeros, state, step).scores_RC[0]
        assert scores[token] == 0, (number, step)
        state = grammar.advance(state, torch.tensor([token]), step)
    draw = torch.Generator().manual_seed(1)
    for _ in range(20):
        state, written = grammar.start(1), []
        for step in range(20):
            wanted = torch.randn(1, codec.vocabulary.size, generator=draw)
            wanted[:, codec.vocabulary.eos_id] += 2.0
            token = grammar.allowed(wanted, state, step).scores_RC.argmax(1)
            if int(token) == codec.vocabulary.eos_id:
                float(codec.decode_text(written))
                break
            state = grammar.advance(state, token, step)
            written.append(int(token))


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_found_wherever_it_stands(codecs: dict[str, TextCodec], kind: str) -> None:
    codec = codecs[kind]
    ways = codec.writings("dogs")
    for text in ("dogs", "two dogs", "dogs play"):
        ids = codec.encode(text)
        found = [ids[i : i + len(way)] == way for way in ways for i in range(len(ids))]
        assert any(found), text


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_beside_its_vocabulary(
    codecs: dict[str, TextCodec], kind: str, tmp_path: Path
) -> None:
    codec = sequence_codec(codecs[kind])
    codec.save(tmp_path)
    vocabulary, text = load_tokenizer(tmp_path)
    assert type(text) is type(codec.text) and text.content == codec.text.content
    assert vocabulary == codec.vocabulary
    assert [text.encode(t) for t in TEXTS.values()] == [
        codec.text.encode(t) for t in TEXTS.values()
    ]
    broken = tmp_path / text.FILE
    broken.write_bytes(b"x")
    with pytest.raises(UserError, match=text.FILE):
        load_text_codec(tmp_path)
    broken.unlink()
    with pytest.raises(UserError, match="no tokenizer here"):
        load_text_codec(tmp_path)


def test_two_text_tokenizers_are_one_too_many(codecs: dict[str, TextCodec], tmp_path: Path) -> None:
    for kind in ("own", "bytes"):
        (tmp_path / codecs[kind].FILE).write_bytes(codecs[kind].content)
    with pytest.raises(UserError, match=r"holds text.model and bytes.json"):
        load_text_codec(tmp_path)


NFD = [unicodedata.normalize("NFD", TEXTS[tag]) for tag in ("ko", "ja", "fr")]
ALL_TEXTS = [*TEXTS.values(), *NFD, "ｶﾀｶﾅ", *ODD, "tiếng Việt".encode().decode(), "a  b ", ""]


@pytest.mark.parametrize("kind", ["t5", "mt5"])
@pytest.mark.parametrize("text", ALL_TEXTS)
def test_ids_are_those_of_sentencepiece(codecs: dict[str, TextCodec], kind: str, text: str) -> None:
    codec = codecs[kind]
    peer = sentencepiece.SentencePieceProcessor(model_proto=codec.content)
    assert codec.encode(text) == peer.encode(text)
    assert codec.decode(codec.encode(text)) == peer.decode(peer.encode(text))


@pytest.mark.parametrize("text", ALL_TEXTS)
def test_ids_are_those_of_transformers_byt5(codecs: dict[str, TextCodec], text: str) -> None:
    from transformers import ByT5Tokenizer

    peer = ByT5Tokenizer()
    if any(token in text for token in ("</s>", "<pad>")):
        return  # a text there that ends a sequence; here it is a text
    ids = codecs["bytes"].encode(text)
    assert ids == peer.encode(text, add_special_tokens=False)
    assert codecs["bytes"].decode(ids) == peer.decode(ids)


@pytest.mark.parametrize("text", [*TEXTS.values(), *NFD, "a  b ", ""])
def test_ids_are_those_of_tokenizers(codecs: dict[str, TextCodec], text: str) -> None:
    codec = codecs["bpe"]
    peer = Tokenizer.from_str(codec.content.decode())
    ids = codec.encode(text)
    assert ids == peer.encode(text, add_special_tokens=False).ids
    assert codec.decode(ids) == peer.decode(ids)
