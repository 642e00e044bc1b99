"""The vocabulary as a tokenizer of `transformers`: ids are the codec's."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import Tiny
from unified_vl.codecs.segments import Tag, Text
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.hugging_face.tokenizer import UnifiedVLTokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny: Tiny) -> UnifiedVLTokenizer:
    codec = tiny.saved.codec
    return UnifiedVLTokenizer(codec.vocabulary, codec.text, codec.max_source)


@pytest.mark.parametrize("text", ["a red cat", "گربه قرمز", "ß 猫 </p>", "", " two  spaces "])
def test_a_text_has_the_ids_that_the_model_was_trained_with(
    tiny: Tiny, tokenizer: UnifiedVLTokenizer, text: str
) -> None:
    assert tokenizer(text).input_ids == tiny.saved.codec.encode_source([Text(text)]).ids


def test_tags_are_tokens(tiny: Tiny, tokenizer: UnifiedVLTokenizer) -> None:
    said = tokenizer("<task:tiny_ground> <language:de> a red cat")
    segments = [Tag("task:tiny_ground"), Tag("language:de"), Text("a red cat")]
    assert said.input_ids == tiny.saved.codec.encode_source(segments).ids
    shown = tokenizer.decode(said.input_ids)
    assert shown == "<task:tiny_ground> <language:de> a red cat </s>"


def test_every_id_has_a_name_of_its_own(tokenizer: UnifiedVLTokenizer) -> None:
    ids = range(len(tokenizer))
    names = tokenizer.convert_ids_to_tokens(list(ids))
    assert len(set(names)) == len(ids)
    assert tokenizer.convert_tokens_to_ids(names) == list(ids)
    assert tokenizer.convert_ids_to_tokens([5000]) == ["<unused:5000>"]


@settings(max_examples=50)
@given(ids=st.lists(st.integers(0, 400), max_size=12))
def test_the_words_of_an_answer_are_those_of_the_codec(
    tiny: Tiny, tokenizer: UnifiedVLTokenizer, ids: list[int]
) -> None:
    start = tiny.saved.codec.vocabulary.pad_id  # what a decoder's output begins with
    found = tokenizer.decode([start, *ids], skip_special_tokens=True)
    assert found == tiny.saved.codec.decode_text(ids)


def test_rows_are_padded_behind(tokenizer: UnifiedVLTokenizer) -> None:
    batch = tokenizer(["a", "a red cat"], padding=True, return_tensors="pt")
    assert batch.attention_mask[0].tolist() == sorted(batch.attention_mask[0].tolist())[::-1]
    assert tokenizer.batch_decode(batch.input_ids, skip_special_tokens=True) == ["a", "a red cat"]


def test_what_is_saved_is_read_again(tokenizer: UnifiedVLTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = UnifiedVLTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.model_max_length == tokenizer.model_max_length


def test_bytes_are_pieces_too() -> None:
    text = ByteText()
    tokenizer = UnifiedVLTokenizer(Vocabulary(len(text), standard_tags(["en"], ["t"])), text)
    ids = tokenizer("<language:en> naïve").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "naïve"
