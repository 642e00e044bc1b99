"""Text in any script and boxes come back from their ids."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.codecs.sequence import VOCABULARY, SequenceCodec, load_tokenizer
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import EOS_ID, Vocabulary, standard_tags
from unified_vl.errors import UserError
from unified_vl.geometry import Box

TEXTS = [
    "a red cat and a dog",
    "eine Katze und ein Hund",
    "猫と犬",
    "고양이와 개",
    "گربه و سگ",
    "кот",
]
IMAGE = LoadedImage(np.zeros((64, 64, 3), np.uint8), 640, 480)


TEXT_MODEL = SentencePieceText.FILE


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    return train_text_tokenizer(TEXTS * 5, tmp_path_factory.mktemp("t") / TEXT_MODEL, 340)


@pytest.fixture(scope="module")
def codec(text: TextCodec) -> SequenceCodec:
    vocabulary = Vocabulary(len(text), standard_tags(["de"], ["caption"]))
    return SequenceCodec(vocabulary, text, image_tokens=4, image_size=(64, 64), max_source=40)


printable = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)


@given(words=st.lists(printable, min_size=1, max_size=4))
def test_any_text_comes_back(text, words):
    sentence = unicodedata.normalize("NFC", " ".join(words)).replace("\u2581", "")
    assert text.decode(text.encode(sentence)).strip() == sentence.strip()


def test_invisible_joiners_survive(text):
    for sentence in ("می\u200cخواهم", "و\u200fسگ", "Ｆｕｌｌ　ｗｉｄｔｈ".replace("\u3000", " ")):
        assert text.decode(text.encode(sentence)) == sentence


def test_a_source_holds_places_for_its_images(codec):
    encoded = codec.encode_source([Tag("task:caption"), Image(IMAGE), Text("ein Hund")])
    image_id = codec.vocabulary.tag_id("image")
    assert encoded.ids[:5] == [codec.vocabulary.tag_id("task:caption"), *[image_id] * 4]
    assert encoded.ids[-1] == EOS_ID
    assert encoded.ids.count(EOS_ID) == 1
    assert len(encoded.images) == 1
    assert not encoded.truncated


def test_a_target_comes_back_as_segments(codec):
    target = [Text("eine Katze"), Box(0.1, 0.2, 0.3, 0.4), Box(0.5, 0.5, 0.9, 1.0)]
    ids = codec.encode_target(target).ids
    words, *found = codec.decode([*ids, 7, 8])  # what follows eos is not read
    assert words == Text("eine Katze")
    assert [round(box.x1, 2) for box in found] == [0.1, 0.5]
    assert codec.decode_text(ids) == "eine Katze"


def test_incomplete_boxes_are_dropped(codec):
    ids = codec.shapes.encode(Box(0.1, 0.2, 0.3, 0.4))
    assert codec.decode([*ids, *ids[:3], EOS_ID]) == codec.decode(ids)
    assert codec.decode(ids[:2]) == ()


def test_long_text_is_cut_and_images_are_not(codec):
    encoded = codec.encode_source([Text("кот " * 50), Image(IMAGE), Tag("language:de")])
    assert encoded.truncated
    assert len(encoded.ids) == 40
    assert encoded.ids.count(codec.vocabulary.tag_id("image")) == 4
    with pytest.raises(UserError, match="without its text"):
        codec.encode_source([Image(IMAGE)] * 12)


def test_saved_and_loaded_it_encodes_the_same(codec, tmp_path):
    codec.save(tmp_path)
    vocabulary, text = load_tokenizer(tmp_path)
    assert vocabulary == codec.vocabulary
    assert all(text.encode(t) == codec.text.encode(t) for t in TEXTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([TEXT_MODEL, VOCABULARY])


@pytest.mark.parametrize("missing", [TEXT_MODEL, VOCABULARY])
def test_a_missing_part_is_named(codec, tmp_path, missing):
    codec.save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=missing):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("name", [TEXT_MODEL, VOCABULARY])
def test_a_broken_part_is_named(codec, tmp_path, name):
    codec.save(tmp_path)
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(UserError, match=name):
        load_tokenizer(tmp_path)


def test_training_twice_gives_the_same_bytes(tmp_path: Path):
    first = train_text_tokenizer(TEXTS, tmp_path / "a.model", 320).content
    assert train_text_tokenizer(TEXTS, tmp_path / "b.model", 320).content == first
    assert (tmp_path / "a.model").read_bytes() == first


def test_no_text_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match="no text"):
        train_text_tokenizer(["  "], tmp_path / "a.model", 320)
    assert not (tmp_path / "a.model").exists()
