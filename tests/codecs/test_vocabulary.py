"""Id ranges never overlap, and a changed meaning changes the fingerprint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.errors import UserError

TAGS = standard_tags(["de", "no", "de"], ["emoji_caption"])


@given(st.integers(3, 5000), st.integers(1, 2000), st.integers(0, 20000))
def test_ranges_are_disjoint_and_fill_the_embedding(text, locations, codes):
    vocabulary = Vocabulary(text, TAGS, locations, codes)
    ranges = [vocabulary.text, vocabulary.tag_range, vocabulary.locations, vocabulary.image_codes]
    assert [i for ids in ranges for i in ids] == list(range(vocabulary.image_codes.stop))
    assert vocabulary.size % 128 == 0
    assert 0 <= vocabulary.size - vocabulary.image_codes.stop < 128


def test_tags_are_found_by_name():
    vocabulary = Vocabulary(300, TAGS)
    assert TAGS == ("image", "language:de", "language:no", "task:emoji_caption")
    assert all(vocabulary.tag_name(vocabulary.tag_id(name)) == name for name in TAGS)
    with pytest.raises(UserError, match="did you mean 'language:no'"):
        vocabulary.tag_id("language:nu")


def test_json_keeps_everything_the_fingerprint_covers():
    vocabulary = Vocabulary(300, TAGS, 1000, 64)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    others = [
        Vocabulary(301, TAGS, 1000, 64),
        Vocabulary(300, TAGS[:-1], 1000, 64),
        Vocabulary(300, TAGS, 999, 64),
        Vocabulary(300, TAGS, 1000, 65),
    ]
    assert len({v.fingerprint for v in (vocabulary, *others)}) == 5


def test_a_tag_twice_is_refused():
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary(300, ("image", "image"))
