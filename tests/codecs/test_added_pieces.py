"""Pieces that are added leave the way of old texts as it was, but for joined stretches."""

from __future__ import annotations

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.codecs.texts.added_pieces import HAIR, learn_pieces, with_pieces
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.texts.training_text import training_text

OLD = ["a red house", "the green house", "two red cats and a green cat", "the cat sat"] * 4
NEW = ["een rood huis", "het groene huis", "twee rode katten", "een žlutý kůň", "het huis"] * 4
WORDS = ["house", "cat", "green", "tree", "rode", "huis", "het", "en", "katten", "sat", "x"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SentencePieceText:
    folder = tmp_path_factory.mktemp("old")
    letters = [" ".join("abcdefghijklmnopqrstuvwxyz")]
    return train_text_tokenizer([*OLD, *letters], folder / "text.model", 320)


@pytest.fixture(scope="module")
def new(old: SentencePieceText) -> SentencePieceText:
    pieces = learn_pieces(training_text(sorted(set(NEW))), old.content, 12)
    assert 0 < len(pieces) <= 12
    return SentencePieceText(with_pieces(old.content, len(old), len(old) + 5, pieces))


def scores(codec: SentencePieceText) -> sentencepiece.SentencePieceProcessor:
    one = sentencepiece.SentencePieceProcessor()
    one.LoadFromSerializedProto(codec.content)
    return one


def test_old_pieces_keep_their_ids(old: SentencePieceText, new: SentencePieceText) -> None:
    assert new.pieces(range(len(old))) == old.pieces(range(len(old)))
    assert new.special_ids == old.special_ids and new.byte_ids == old.byte_ids
    assert all("unused" in piece for piece in new.pieces(range(len(old), len(old) + 5)))


def test_new_texts_take_fewer_ids_and_new_letters_are_pieces(
    old: SentencePieceText, new: SentencePieceText
) -> None:
    before, after = (sum(len(codec.encode(text)) for text in NEW) for codec in (old, new))
    assert after < 0.8 * before
    assert any(i in old.byte_ids for i in old.encode("žlutý kůň"))
    assert len(new.encode("žlutý kůň")) < len(old.encode("žlutý kůň"))


@settings(max_examples=200)
@given(st.lists(st.sampled_from(WORDS) | st.text("abcdehiknorstux", max_size=8), max_size=8))
def test_a_text_of_old_letters_is_cut_as_it_was_with_stretches_joined(
    old: SentencePieceText, new: SentencePieceText, words: list[str]
) -> None:
    text = " ".join(words)
    ids = new.encode(text)
    assert new.decode(ids) == old.decode(old.encode(text))
    assert not any(len(old) <= i < len(old) + 5 for i in ids)
    joined = sum(i >= len(old) for i in ids)
    best = sum(scores(old).GetScore(i) for i in old.encode(text))
    opened = sum(scores(new).GetScore(i) for i in ids) - joined * HAIR
    # what new pieces stand for is a way that there was, and as good as the best within a hair each
    assert best - joined * HAIR - 1e-3 <= opened <= best + 1e-3


def test_a_new_piece_scores_what_its_parts_do(
    old: SentencePieceText, new: SentencePieceText
) -> None:
    for i in range(len(old) + 5, len(new)):
        word = new.pieces([i])[0]
        ids = old.encode(word[1:])
        if word.startswith("\u2581") and not any(each in old.byte_ids for each in ids):
            best = sum(scores(old).GetScore(each) for each in ids)
            assert scores(new).GetScore(i) == pytest.approx(best + HAIR, abs=1e-4)


def test_what_is_never_used_is_never_written(
    new: SentencePieceText, old: SentencePieceText
) -> None:
    ids = new.encode(f"a <unused_{len(old)}> b")
    assert len(old) not in ids and new.decode(ids) == f"a <unused_{len(old)}> b"
