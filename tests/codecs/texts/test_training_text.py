"""No text is lost on its way to SentencePiece's training, however long it is."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.texts.training_text import MAX_BYTES, MAX_CHARACTERS, RESERVED, training_text
from unified_vl.errors import UserError

ARTICLES = {
    "latin": "The heron stood in the reeds. It waited for a fish! Did one come? " * 90,
    "thai": "นกกระสายืนอยู่ในพงหญ้ารอปลาอย่างเงียบเชียบ" * 60,
    "hindi": "बगुला सरकंडों में खड़ा था। वह मछली की प्रतीक्षा कर रहा था। " * 40,
    "chinese": "苍鹭站在芦苇丛中，静静地等着鱼。它等了很久！" * 80,
    "emoji": "👩‍👩‍👧‍👦" * 600,
    "decimals": "3.14159," * 800,
}


@pytest.mark.parametrize("name", ARTICLES)
def test_a_long_text_is_cut_and_nothing_of_it_is_lost(name: str) -> None:
    made = training_text([ARTICLES[name]])
    assert made.cut == 1 and len(made.sentences) > 1
    assert max(len(part.encode()) for part in made.sentences) <= MAX_BYTES
    assert _letters("".join(made.sentences)) == _letters(ARTICLES[name])


@pytest.mark.parametrize(
    ("name", "end"), [("latin", ".!?"), ("hindi", "।"), ("chinese", "。！"), ("emoji", "👦")]
)
def test_it_is_cut_behind_sentences_or_whole_characters(name: str, end: str) -> None:
    assert {part[-1] for part in training_text([ARTICLES[name]]).sentences} <= set(end)


def test_a_number_is_no_end_of_a_sentence() -> None:
    text = "The heron has 3.5 fish in its 2.0 nests, " * 120
    assert not any(part.endswith(("3.", "2.")) for part in training_text([text]).sentences)


def test_a_text_that_fits_stays_as_it_is() -> None:
    texts = ["a heron.  a reed", "x" * MAX_BYTES, "é" * (MAX_BYTES // 2)]
    made = training_text(texts)
    assert (made.sentences, made.cut, list(made.notes())) == (texts, 0, [])


def test_the_reserved_character_costs_itself_alone() -> None:
    made = training_text([f"bars {RESERVED}{RESERVED} rise", "a reed"])
    assert made.sentences == ["bars ", " rise", "a reed"]
    assert "U+2585" in next(made.notes()) and "2 times" in next(made.notes())


@given(
    st.text(st.sampled_from("ab .。!\n\u0301\u200d👩ก็" + RESERVED), max_size=60), st.integers(1, 80)
)
def test_texts_come_through_whole(text: str, times: int) -> None:
    long = text * times
    made = training_text([long])
    assert all(len(part.encode()) <= MAX_BYTES for part in made.sentences)
    wanted = unicodedata.normalize("NFC", long).replace(RESERVED, "")
    assert _letters("".join(made.sentences)) == _letters(wanted)


def test_long_articles_are_learnt_like_short_ones(tmp_path: Path) -> None:
    sentence = ARTICLES["thai"][: len(ARTICLES["thai"]) // 60]
    codec = train_text_tokenizer([ARTICLES["thai"]], tmp_path / "a.model", 330)
    assert codec.unlearnt_ids.isdisjoint(codec.encode(sentence))
    assert len(codec.encode(sentence)) < len(sentence)  # its bytes are three times as many


def test_a_text_of_nothing_but_the_reserved_character_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no text"):
        train_text_tokenizer([RESERVED * 3], tmp_path / "a.model", 320)


def test_one_character_of_a_thousand_marks_is_cut_all_the_same() -> None:
    text = "e" + "\u0301\u0302" * MAX_CHARACTERS * 2
    assert "".join(training_text([text]).sentences) == unicodedata.normalize("NFC", text)


def _letters(text: str) -> str:
    return re.sub(r"\s+", "", text)
