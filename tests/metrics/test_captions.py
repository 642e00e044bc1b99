"""unified_vl/metrics/texts/captions.py: parity with pycocoevalcap on tokenized input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.texts import captions

words = st.lists(
    st.sampled_from(["a", "the", "cat", "dog", "on", "red", "big", "猫", "table's"]), max_size=9
)
rows = st.lists(
    st.tuples(words, st.lists(words, min_size=1, max_size=5)), min_size=1, max_size=8
)  # a caption and its references
Rows = list[tuple[list[str], list[list[str]]]]


def published(found: Rows) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    right = {i: [" ".join(r) for r in references] for i, (_, references) in enumerate(found)}
    return right, {i: [" ".join(caption)] for i, (caption, _) in enumerate(found)}


def split(found: Rows) -> tuple[list[list[str]], list[list[list[str]]]]:
    return [caption for caption, _ in found], [references for _, references in found]


@settings(deadline=None, max_examples=50)
@given(rows)
def test_cider_d_is_that_of_pycocoevalcap(found: Rows) -> None:
    assume(any(any(references) for _, references in found))  # it fails without any word
    corpus, each = Cider().compute_score(*published(found))
    ours = captions.cider(*split(found))
    np.testing.assert_allclose(ours, each, atol=1e-6)
    assert np.mean(ours) == pytest.approx(corpus, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(rows)
def test_bleu_is_that_of_pycocoevalcap(found: Rows) -> None:
    corpus, _ = Bleu(4).compute_score(*published(found), verbose=0)
    sums = captions.coco_bleu_statistics(*split(found)).sum(axis=0, keepdims=True)
    for order, expected in enumerate(corpus, start=1):
        assert captions.coco_bleu(sums, order)[0] / 100 == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(rows)
def test_rouge_l_is_that_of_pycocoevalcap(found: Rows) -> None:
    _, each = Rouge().compute_score(*published(found))
    np.testing.assert_allclose([captions.rouge_l(*row) for row in found], each, atol=1e-6)


def test_long_captions_and_many_rows_agree_too() -> None:
    random = np.random.default_rng(7)
    known = [f"w{i}" for i in range(40)]

    def sentence() -> list[str]:
        return [str(w) for w in random.choice(known, random.integers(1, 70))]

    found: Rows = [(sentence(), [sentence() for _ in range(3)]) for _ in range(60)]
    np.testing.assert_allclose(
        captions.cider(*split(found)), Cider().compute_score(*published(found))[1], atol=1e-6
    )
    np.testing.assert_allclose(
        [captions.rouge_l(*row) for row in found],
        Rouge().compute_score(*published(found))[1],
        atol=1e-6,
    )


ENGLISH = [
    ("A man's dog isn't on the bike.", ["A dog on a bike!", "the man's dog (red)"]),
    ("two cats sleep", ["Two cats, sleeping.", "two cats sleep on a sofa"]),
    ("a plane", ["an airplane in the sky"]),
]


def test_the_spec_names_are_percentages_of_the_published_scores_on_our_words() -> None:
    from unified_vl.metrics.words import words_of

    found: Rows = [(words_of(c, "en"), [words_of(r, "en") for r in refs]) for c, refs in ENGLISH]
    right, guessed = published(found)
    answers = Answers([c for c, _ in ENGLISH], [r for _, r in ENGLISH], ["en"] * 3)
    expected = {
        "cider": Cider().compute_score(right, guessed)[0],
        "rouge_l": Rouge().compute_score(right, guessed)[0],
    }
    for order, value in enumerate(Bleu(4).compute_score(right, guessed, verbose=0)[0], start=1):
        expected[f"coco_bleu_{order}"] = value
    for name, value in expected.items():
        assert METRICS[name].score(answers) == pytest.approx(100 * value, abs=1e-6), name
    assert expected["cider"] > 0.1


def test_each_language_is_a_corpus_of_its_own_for_cider() -> None:
    english = Answers([c for c, _ in ENGLISH], [r for _, r in ENGLISH], ["en"] * 3)
    chinese = Answers(["红苹果", "一只猫"], [["红苹果"], ["一只小猫"]], ["zh"] * 2)
    both = Answers(
        [*chinese.predictions, *english.predictions],
        [*chinese.references, *english.references],
        [*chinese.languages, *english.languages],
    )
    alone = [METRICS["cider"].score(each) for each in (chinese, english)]
    assert METRICS["cider"].score(both) == pytest.approx((2 * alone[0] + 3 * alone[1]) / 5)


def test_one_row_has_no_rare_words() -> None:
    """log(1 row / 1 row) is 0 for every n-gram, as in the published code."""
    assert captions.cider([["a", "cat"]], [[["a", "cat"]]]) == [0.0]


def test_a_perfect_caption_has_the_highest_cider() -> None:
    sentences = [[f"{w}{i}" for w in "abcde"] for i in range(4)]
    found = captions.cider(sentences, [[s] for s in sentences])
    assert all(math.isclose(value, 10.0) for value in found)
