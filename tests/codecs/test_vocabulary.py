"""Id ranges never overlap, and a changed meaning changes the fingerprint."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.errors import UserError

TAGS = standard_tags(["de", "no", "de"], ["emoji_caption"])


@given(st.integers(3, 5000), st.integers(1, 2000), st.integers(0, 20000))
def test_ranges_are_disjoint_and_fill_the_embedding(text, locations, codes):
    vocabulary = Vocabulary(text, TAGS, locations, codes)
    ranges = [vocabulary.text_ids, vocabulary.tag_ids, vocabulary.locations, vocabulary.image_codes]
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


tag_names = st.lists(st.from_regex(r"task:[a-z]{1,3}", fullmatch=True), max_size=4)


@given(
    st.integers(3, 500),
    st.integers(1, 50),
    st.integers(0, 60),
    st.lists(st.tuples(tag_names, st.integers(0, 9)), max_size=3),
)
def test_what_is_added_changes_no_id(text, locations, codes, steps):
    first = vocabulary = Vocabulary(text, TAGS, locations, codes)
    for tags, pieces in steps:
        before = vocabulary
        vocabulary = before.extended(tags, pieces)
        assert before.tags == vocabulary.tags[: len(before.tags)]
        assert before.tag_ids == vocabulary.tag_ids[: len(before.tags)]
        assert set(before.text_ids) <= set(vocabulary.text_ids)
        assert len(vocabulary.text_ids) == len(before.text_ids) + pieces
        for token in range(before.end):
            assert before.kind_of(token) == vocabulary.kind_of(token)
        assert all(vocabulary.tag_name(vocabulary.tag_id(tag)) == tag for tag in (*TAGS, *tags))
        assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert (vocabulary.locations, vocabulary.image_codes) == (first.locations, first.image_codes)
    kinds = [vocabulary.kind_of(token) for token in range(vocabulary.end)]
    assert None not in kinds
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert counts["tag"] == len(vocabulary.tags) == len(set(vocabulary.tags))
    assert counts["location"] == locations and counts.get("image code", 0) == codes


def test_a_vocabulary_without_additions_is_written_as_before():
    assert set(json.loads(Vocabulary(300, TAGS).to_json())) == {
        *("text_size", "tags", "location_bins", "image_code_count")
    }


def test_a_language_in_another_spelling_is_not_added_again():
    vocabulary = Vocabulary(300, ("image", "language:pt-BR")).extended(["language:pt_BR"])
    assert vocabulary.tags == ("image", "language:pt-BR")


@pytest.mark.parametrize(
    "keys", [{"tag_runs": [[300, 3]]}, {"tag_runs": [[5, 4]], "locations_at": 7}]
)
def test_ids_that_do_not_add_up_are_refused(keys):
    values = json.loads(Vocabulary(300, TAGS).to_json())
    with pytest.raises(ValueError, match="id"):
        Vocabulary.from_json(json.dumps({**values, **keys}))
