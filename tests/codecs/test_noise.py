"""Noise takes out what it says, and source and target together give the text back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.noise import mask_words, settle, spans_to_take, switch_words, words
from unified_vl.codecs.segments import Noised, Pieces, Segment, Tag, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.specs.tasks.example import SENTINELS, sentinel_tag

TEXTS = ["a red cat and a dog run over the grass", "eine Katze und ein Hund", "猫と犬", "گربه و سگ"]
seeds = st.integers(0, 2**64 - 1)
rates = st.floats(0.01, 0.99)


TEXT_MODEL = SentencePieceText.FILE


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    return train_text_tokenizer(TEXTS * 5, tmp_path_factory.mktemp("t") / TEXT_MODEL, 340)


@pytest.fixture(scope="module")
def codec(text: TextCodec) -> SequenceCodec:
    return make_codec(text, 512, 512)


def make_codec(text: TextCodec, most_source: int, most_target: int) -> SequenceCodec:
    tags = standard_tags(["en"], ["t"], (), map(sentinel_tag, range(SENTINELS)))
    sizes = {"max_source": most_source, "max_target": most_target}
    return SequenceCodec(
        Vocabulary(len(text), tags), text, image_tokens=4, image_size=(8, 8), **sizes
    )


def noised(field: str, said: str, seed: int, kind: str = "span_corruption", rate: float = 0.3):
    return Noised(field, said, kind, rate, 2.0, seed)  # type: ignore[arg-type]


@given(st.integers(1, 300), rates, st.floats(1, 10), seeds, st.integers(1, 100))
def test_spans_are_apart_and_hold_their_share(
    length: int, rate: float, mean: float, seed: int, most: int
) -> None:
    spans = spans_to_take(length, rate, mean, Random(seed), most)
    assert all(start < end for start, end in spans)
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
    assert spans[0][0] >= 0 and spans[-1][1] <= length
    taken = sum(end - start for start, end in spans)
    assert taken == min(max(round(length * rate), 1), max(length - 1, 1))
    assert len(spans) <= min(most, max(round(taken / mean), 1))
    assert spans == spans_to_take(length, rate, mean, Random(seed), most)


def test_spans_are_anywhere() -> None:
    drawn = [spans_to_take(20, 0.15, 3, Random(seed)) for seed in range(400)]
    assert {place for ((start, end),) in drawn for place in range(start, end)} == set(range(20))


def restored(source: tuple[Segment, ...], target: tuple[Segment, ...]) -> list[int]:
    """The ids of a text out of what is left of it and what was taken."""
    taken: dict[str, list[int]] = {}
    behind = ""
    for segment in target:
        if isinstance(segment, Tag):
            behind = segment.name
        elif isinstance(segment, Pieces):
            taken.setdefault(behind, []).extend(segment.ids)
    ids: list[int] = []
    for segment in source:
        if isinstance(segment, Pieces):
            ids += segment.ids
        elif isinstance(segment, Tag):
            ids += taken.pop(segment.name)
    return ids + taken.pop("", [])  # what a prefix goes on with has no sentinel


sentences = st.lists(st.sampled_from(" ".join(TEXTS).split()), min_size=1, max_size=60).map(
    " ".join
)


@given(sentences, seeds, rates, st.sampled_from(["span_corruption", "prefix_lm"]))
def test_both_sides_give_the_text_back(codec, said, seed, rate, kind):
    both = (noised("f", said, seed, kind, rate),)
    settled = settle(both, both, codec)
    assert settled.target
    assert restored(settled.source, settled.target) == codec.text.encode(said)
    assert settled == settle(both, both, codec)


@given(sentences, sentences, seeds)
def test_sentinels_run_on_over_fields_in_the_order_of_the_source(codec, first, second, seed):
    a, b = noised("a", first, seed), noised("b", second, seed + 1)
    settled = settle((a, Text("and"), b), (b, a), codec)
    used = [segment.name for segment in settled.source if isinstance(segment, Tag)]
    assert used == [sentinel_tag(number) for number in range(len(used))]
    written = [segment.name for segment in settled.target if isinstance(segment, Tag)]
    assert sorted(written, key=used.index) == used
    assert settled.kept.keys() == {"a", "b"}


@given(st.lists(st.sampled_from(TEXTS), min_size=8, max_size=30).map(" ".join), seeds)
def test_what_does_not_fit_is_cut_on_both_sides_alike(text, said, seed):
    codec = make_codec(text, 40, 12)
    for kind in ("span_corruption", "prefix_lm"):
        both = (noised("f", said, seed, kind),)
        settled = settle((Tag("task:t"), *both), both, codec)
        source, target = codec.encode_source(settled.source), codec.encode_target(settled.target)
        assert source.truncated and target.truncated  # and say so
        assert len(source.ids) <= 40 and len(target.ids) <= 12
        back = restored(settled.source[1:], settled.target)
        assert back == text.encode(said)[: len(back)]


def test_a_text_of_one_piece_is_what_the_target_says(codec: SequenceCodec) -> None:
    one = next(t for t in "abcdefghijk" if len(codec.text.encode(t)) == 1)
    for kind in ("span_corruption", "prefix_lm"):
        both = (noised("f", one, 0, kind),)
        assert codec.decode_text(codec.encode_target(settle(both, both, codec).target).ids) == one


def test_noise_that_is_not_settled_has_no_ids(codec: SequenceCodec) -> None:
    with pytest.raises(ValueError, match="settle"):
        codec.encode_source([noised("f", "a cat", 0)])


WORDS = [
    ("A dog, two cats.", ["A", "dog", "two", "cats"]),
    ("It's a well-known l'eau", ["It's", "a", "well-known", "l'eau"]),
    ("猫と犬。", ["猫", "と", "犬"]),
    ("می\u200cخواهم سگ", ["می\u200cخواهم", "سگ"]),
    ("🐈 🐕", ["🐈", "🐕"]),
    ("...", [".", ".", "."]),
    ("2 ложки", ["2", "ложки"]),
]


@pytest.mark.parametrize(("said", "expected"), WORDS)
def test_words(said: str, expected: list[str]) -> None:
    assert [said[start:end] for start, end in words(said)] == expected


@given(sentences, st.floats(0.01, 1), seeds)
def test_masks_stand_for_words_of_the_text(said: str, rate: float, seed: int) -> None:
    pieces = mask_words(said, rate, Random(seed))
    masked = pieces.count(None)
    assert masked == min(max(round(len(words(said)) * rate), 1), len(words(said)))
    place = 0
    for number, piece in enumerate(pieces):  # what is left stands in the text in its order
        if piece is None:
            continue
        found = said.index(piece, place)
        assert number == 0 or pieces[number - 1] is None
        place = found + len(piece)


def test_every_word_is_masked_at_some_time() -> None:
    said = "a red cat runs"
    left = [mask_words(said, 0.25, Random(seed)) for seed in range(60)]
    assert len({tuple(pieces) for pieces in left}) == 4


DICTIONARY = {"cat": [["Katze", "Kater"], ["chat"]], "dog": [["Hund"]]}


def translations(word: str) -> list[list[str]]:
    return DICTIONARY.get(word.lower(), [])


@given(seeds)
def test_words_are_switched_one_by_one(seed: int) -> None:
    said = "The Cat, the dog and the bird."
    one = switch_words(said, translations, 0.5, Random(seed))
    assert one in {
        "The Cat, the Hund and the bird.",
        "The Katze, the dog and the bird.",
        "The Kater, the dog and the bird.",
        "The chat, the dog and the bird.",
    }
    both = switch_words(said, translations, 1, Random(seed))
    assert "Hund" in both and "Cat" not in both and both.startswith("The ")


def test_a_text_without_known_words_stays() -> None:
    assert switch_words("a bird", translations, 1, Random(0)) == "a bird"


def test_no_vocabulary_gets_sentinels_that_did_not_ask(text: TextCodec, tmp_path: Path) -> None:
    assert not [tag for tag in standard_tags(["en"], ["t"]) if "sentinel" in tag or tag == "mask"]
    assert standard_tags(["en"], ["t"], (), ["mask", "mask"])[-2:] == ("task:t", "mask")
