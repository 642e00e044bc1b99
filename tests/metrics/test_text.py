"""unified_vl/metrics/texts/text.py: known cases, and laws."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.texts import text

OF_TEXTS = [
    name
    for name, metric in METRICS.items()
    if "text" in metric.kinds
    and not metric.ranks
    and not metric.options & {"implies", "group", "with"}
]


def score(name: str, predictions: list[str], references: list[list[str]], tag: str = "en") -> float:
    return METRICS[name].score(Answers(predictions, references, [tag] * len(predictions)))


def test_any_reference_counts_and_their_number_may_differ() -> None:
    references = [["a dog", "a hound"], ["one cat"]]
    assert score("exact_match", ["a hound", "one cat"], references) == 100


def test_unicode_forms_and_spacing_are_ignored_and_case_only_by_accuracy() -> None:
    composed, decomposed = "caf\u00e9  noir", " cafe\u0301 noir"
    assert score("exact_match", [composed], [[decomposed]]) == 100
    assert score("exact_match", ["Yes"], [["yes"]]) == 0
    assert score("accuracy", ["Yes"], [["yes"]]) == 100
    assert score("accuracy", ["STRASSE"], [["straße"]]) == 100
    assert score("exact_match", ["می\u200cرود"], [["میرود"]]) == 0  # the joiner is a letter here


CASES = [  # language, two texts, whether they are the same but for case
    ("tr", "IĞDIR", "ığdır", True),
    ("tr", "İzmir", "izmir", True),
    ("tur_Latn", "DIŞ", "dış", True),
    ("tr", "İzmir", "izmir", True),
    ("tr", "KIR", "kir", False),
    ("az", "QIZIL", "qızıl", True),
    ("az-Cyrl", "ГЫЗЫЛ", "гызыл", True),
    ("crh", "İÇ", "iç", True),
    ("kaz_Latn", "QAZAQ TILI", "qazaq tılı", True),
    ("kk", "IPHONE", "iphone", True),
    ("en", "IRAN", "iran", True),
    (None, "IRAN", "iran", True),
    ("lt", "Ì", "i̇̀", True),
    ("lt", "J̃", "j̇̃", True),
    ("lt", "Į́", "į̇́", True),
    ("vi", "Ì", "ì", True),
    ("el", "ΟΔΟΣ", "οδος", True),
    ("el", "ΟΔΟΣ", "οδοσ", True),
    ("de", "STRASSE", "straße", True),
    ("de", "STRAẞE", "straße", True),
    ("nl", "IJSSEL", "ijssel", True),
    ("hy", "ԵՎ", "և", False),  # to Unicode the capitals of և are ԵՒ
    ("ka", "ᲗᲑᲘᲚᲘᲡᲘ", "თბილისი", True),
    ("ru", "МОСКВА", "москва", True),
]


@pytest.mark.parametrize(("tag", "one", "other", "same"), CASES)
def test_case_is_ignored_as_the_language_has_it(
    tag: str | None, one: str, other: str, same: bool
) -> None:
    answers = Answers([one, one], [[other], ["?"]], [tag, tag])
    assert METRICS["accuracy"].score(answers) == (50 if same else 0)
    assert METRICS["macro_f1"].score(answers) == pytest.approx(100 / 3 if same else 0)
    assert METRICS["accuracy"].is_right(one, [other], language=tag) is same
    assert METRICS["exact_match"].score(answers) == 0


@pytest.mark.parametrize("name", ["anls", "f1"])
def test_other_scores_ignore_case_as_the_language_has_it(name: str) -> None:
    assert score(name, ["IŞIK"], [["ışık"]], "tr") == 100
    assert score(name, ["İzmir"], [["izmir"]], "tr") == 100


def test_nothing_to_score_is_an_error() -> None:
    for name in METRICS:
        with pytest.raises(ValueError, match="nothing to score"):
            METRICS[name].score(Answers([], [], []))


def test_one_row_is_right_by_the_rule_of_its_metric() -> None:
    assert METRICS["accuracy"].is_right("YES", ["yes"])
    assert not METRICS["chrf"].is_right("YES", ["yes"])
    assert not METRICS["exact_match"].is_right(None, ["yes"])


words = st.text(alphabet="abcé あ猫 \n", min_size=1).filter(lambda t: bool(t.strip()))


@settings(max_examples=30, deadline=None)
@given(st.lists(words, min_size=1, max_size=5), st.lists(words, min_size=1, max_size=5))
def test_scores_stay_within_their_bounds_and_a_copy_is_perfect(
    found: list[str], right: list[str]
) -> None:
    size = min(len(found), len(right))
    languages: list[str | None] = ["en"] * size
    rows = [[r] for r in right[:size]]
    for name in OF_TEXTS:
        value = METRICS[name].score(Answers(found[:size], rows, languages))
        lowest, highest = METRICS[name].bounds
        assert lowest - 1e-9 <= value <= highest + 1e-9
    copy = Answers(right[:size], rows, languages)
    for name in ("exact_match", "accuracy", "anls", "f1", "chrf", "rouge_l"):
        assert METRICS[name].score(copy) == pytest.approx(100)
    assert METRICS["ter"].score(copy) == 0


ANLS = [  # prediction, references, credit
    ("Paris", ["paris"], 1.0),
    ("  New   York ", ["new york"], 1.0),
    ("pariss", ["paris"], 1 - 1 / 6),
    ("ab", ["abcd"], 0.5),  # exactly the threshold counts
    ("a", ["abc"], 0.0),  # a third of the letters is not enough
    ("x", ["paris", "X"], 1.0),
    ("", [""], 1.0),
    ("", ["a"], 0.0),
    ("20l8", ["2018"], 0.75),
]


@pytest.mark.parametrize(("prediction", "references", "credit"), ANLS)
def test_anls_of_known_cases(prediction: str, references: list[str], credit: float) -> None:
    assert text.anls(prediction, references) == pytest.approx(credit)


F1 = [  # prediction, references, language, credit
    ("The Eiffel Tower!", ["eiffel tower"], "en", 1.0),
    ("a big red apple", ["the red apple"], "en", 0.8),
    ("the", ["a"], "en", 1.0),  # articles alone: nothing on both sides
    ("the", ["cat"], "en", 0.0),
    ("le chat", ["chat"], "fr", 2 / 3),  # only English leaves articles out
    ("die Katze", ["the cat", "Die Katze."], "de", 1.0),
    ("红苹果", ["苹果"], "zh", 0.8),  # words are characters
    ("cat cat", ["cat dog"], "en", 0.5),
    ("no", ["yes", "no"], None, 1.0),
]


@pytest.mark.parametrize(("prediction", "references", "language", "credit"), F1)
def test_token_f1_of_known_cases(
    prediction: str, references: list[str], language: str | None, credit: float
) -> None:
    assert text.token_f1(prediction, references, language) == pytest.approx(credit)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert text.edit_distance(a, b) == text.edit_distance(b, a)
    assert (text.edit_distance(a, b) == 0) == (a == b)
    assert text.edit_distance(a, c) <= text.edit_distance(a, b) + text.edit_distance(b, c)
    assert abs(len(a) - len(b)) <= text.edit_distance(a, b) <= max(len(a), len(b))


def test_half_of_the_credit_make_an_answer_right() -> None:
    assert METRICS["anls"].is_right("abc", ["abcd"])
    assert not METRICS["anls"].is_right("a", ["abcd"])
    assert METRICS["f1"].is_right("le chat", ["chat"], language="fr")
    assert METRICS["vqa_accuracy"].is_right("yes", ["yes"] * 2 + ["no"] * 8)
    assert not METRICS["vqa_accuracy"].is_right("yes", ["yes"] + ["no"] * 9)
