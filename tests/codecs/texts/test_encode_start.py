"""The start of a very long text: the ids are those of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.codecs.texts import sentence_piece as text_codec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer

WORDS = [
    "the cat",
    "sat on",
    "a mat",
    "猫 狗",
    "schön",
    "abcabcabc",
    "aaaaaaaa",
    "न्यूज़",
    "e\u0301a\u030a",
    "한글",
]


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    texts = [f"{a} {b}" for a in WORDS for b in WORDS]
    return train_text_tokenizer(texts, tmp_path_factory.mktemp("text") / "text.model", 400)


PIECES = st.sampled_from([*WORDS, " ", "a", "b", "ab", "\u0301", "ᄒ", "ᅡ", "ᆫ", "🙂", "x", "\n"])


@settings(deadline=None, max_examples=300)
@given(pieces=st.lists(PIECES, min_size=20, max_size=300), least=st.integers(1, 60))
def test_the_start_of_a_text_has_the_ids_of_the_whole(
    codec: TextCodec, pieces: list[str], least: int
) -> None:
    text = "".join(pieces)
    whole = codec.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_codec, "LONG_TEXT", 20)
        patch.setattr(text_codec, "_START", 1)
        start = codec.encode_start(text, least)
    assert len(start) >= min(least, len(whole))
    assert start == whole[: len(start)]


def test_of_a_very_long_text_little_is_encoded(
    codec: TextCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    real = codec._encode_uncached
    monkeypatch.setattr(codec, "_encode_uncached", lambda t: encoded.append(len(t)) or real(t))
    text = "the cat sat on a mat. " * 100_000
    start = codec.encode_start(text, 64)
    assert len(start) >= 64
    assert max(encoded) < 4096
    assert start == codec.encode(text[:4000])[: len(start)]
