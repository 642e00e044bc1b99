"""unified_vl/metrics/texts/vqa.py: the official rules, case by case.

The expected values are those of the published evaluation code for VQA v2.
"""

from __future__ import annotations

import pytest

from unified_vl.metrics.texts.vqa import normalise_answer, vqa_accuracy

NORMALISED = [
    ("Yes", "yes"),
    ("The dog", "dog"),
    ("a an the", ""),
    ("two", "2"),
    ("none", "0"),
    ("twenty", "twenty"),
    ("dont", "don't"),
    ("isnt", "isn't"),
    ("couldntve", "couldntve"),  # both apostrophes missing: not in the table
    ("couldnt've", "couldn't've"),
    ("yall'll", "y'all'll"),
    ("somebody'd", "somebodyd"),  # an oddity of the table
    ("well", "well"),
    ("im", "im"),  # the table's Im is never met: words are lower case by then
    ("red, white", "red white"),  # a mark beside a space goes
    ("red,white", "red white"),  # within a word it becomes a space
    ("1,000", "1000"),  # a comma in a number: marks go everywhere
    ("a-b 1,000", "ab 1000"),
    ("t-shirt", "t shirt"),
    ("black & white", "black & white"),  # & is not on the list
    ("3.5", "3.5"),
    ("st. louis", "st louis"),
    ("5.", "5"),
    ("u.s.a.", "usa"),
    ("what?!", "what"),
    ("it's", "it's"),  # the apostrophe is not on the list
    ("50%", "50%"),
    (" left\thand ", "left hand"),
]


@pytest.mark.parametrize(("answer", "expected"), NORMALISED)
def test_normalised_answers(answer: str, expected: str) -> None:
    assert normalise_answer(answer) == expected


def people(**answers: int) -> list[str]:
    return [answer.replace("_", " ") for answer, count in answers.items() for _ in range(count)]


ACCURACIES = [  # prediction, ten answers, accuracy
    ("yes", people(yes=10), 1.0),
    ("no", people(yes=10), 0.0),
    ("yes", people(yes=4, no=6), 1.0),
    ("yes", people(yes=3, no=7), 0.9),  # leave one out: 3 of 10 times only 2 others agree
    ("yes", people(yes=2, no=8), 0.6),
    ("yes", people(yes=1, no=9), 0.3),
    ("maybe", people(yes=5, no=5), 0.0),
    ("2", people(two=6, three=4), 1.0),
    ("Two", people(two=3, three=7), 0.9),
    ("the red ball", people(red_ball=3, ball=7), 0.9),
    ("isnt", ["isn't"] * 4 + ["is"] * 6, 1.0),
    # where all agree nothing is normalised
    ("Yes", people(yes=10), 0.0),
    ("two", ["2"] * 10, 0.0),
    ("yes\n", people(yes=10), 1.0),
    ("left hand", ["left\thand"] * 10, 1.0),
    # fewer than ten people, as in other data sets
    ("yes", people(yes=4, no=1), 1.0),
    ("yes", people(yes=4), 1.0),
    # fewer than four: all others must agree, and one person is right
    ("yes", people(yes=3), 1.0),
    ("yes", people(yes=2, no=1), 2 / 3),
    ("yes", people(yes=1, no=2), 1 / 3),
    ("yes", people(yes=2), 1.0),
    ("yes", people(yes=1, no=1), 0.5),
    ("Yes", people(yes=1), 1.0),
    ("two", ["2"], 1.0),
    ("no", people(yes=1), 0.0),
]


@pytest.mark.parametrize(("prediction", "answers", "accuracy"), ACCURACIES)
def test_accuracies(prediction: str, answers: list[str], accuracy: float) -> None:
    assert vqa_accuracy(prediction, answers) == pytest.approx(accuracy)
