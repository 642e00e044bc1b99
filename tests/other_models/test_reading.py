"""unified_vl/other_models/reading.py: free texts as the answers that a task asks for."""

from __future__ import annotations

import pytest

from unified_vl.kinds.hooks.automata import longest_within, spelt
from unified_vl.kinds.registry import KINDS
from unified_vl.other_models.choices_in_text import ChoiceFinder
from unified_vl.specs.tasks.generate import AnswerForm

YES_NO = ("yes", "no")
LETTERS = ("A", "B", "C", "D")


@pytest.mark.parametrize(
    ("choices", "text", "expected"),
    [
        (YES_NO, "yes", "yes"),
        (YES_NO, " Yes. ", "yes"),
        (YES_NO, "**No**", "no"),
        (YES_NO, "Yes, there is no dog.", "yes"),
        (YES_NO, "There is no dog.", "no"),
        (YES_NO, "It is nothing.", None),
        (YES_NO, "Either yes or no.", None),
        (YES_NO, "", None),
        (LETTERS, "B", "B"),
        (LETTERS, "(b)", "B"),
        (LETTERS, "B. a dog", "B"),
        (LETTERS, "The answer is C.", "C"),
        (LETTERS, "Answer: D", "D"),
        (LETTERS, "A dog is in it", None),
        (LETTERS, "A) because B: is wrong", "A"),
        (("1", "10"), "10", "10"),
        (("1", "10"), "It is 10 of them", "10"),
        (("cat", "a red cat"), "I see a red cat here", "a red cat"),
        (("true", "false"), "True", "true"),
        (("US", "us"), "us", "us"),
        (("US", "us"), "Us", None),
        (("是", "不是"), "不是的", "不是"),
        (("はい", "いいえ"), "はい、そうです。", "はい"),
        (("نعم", "لا"), "نعم.", "نعم"),
        (("é", "b"), "e\u0301", "é"),
        (("!", "?"), "!", "!"),
    ],
)
def test_choices(choices: tuple[str, ...], text: str, expected: str | None) -> None:
    assert ChoiceFinder(choices)(text) == expected


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        ("3", 0, "3"),
        ("There are 3 dogs.", 0, "3"),
        ("-4", 0, "-4"),
        ("about 1,234 people", 0, "1234"),
        ("2 of 5, so 2", 0, "2"),
        ("12.345", 1, "12.3"),
        ("3", 2, "3.00"),
        ("-0.2", 0, "0"),
        ("none", 0, None),
        ("A4 paper", 0, None),
    ],
)
def test_numbers(text: str, decimals: int, expected: str | None) -> None:
    assert KINDS["number"].heard(text, AnswerForm(decimals=decimals)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2026-11-29.", "2026-11-29"),
        ("2026-11", None),
        ("1 2024-01-02 2025-01-02", "2024-01-02"),
    ],
)
def test_what_an_automaton_reads(text: str, expected: str | None) -> None:
    assert longest_within(text, spelt("9999-99-99")) == expected


def test_a_text_is_as_it_is() -> None:
    assert KINDS["text"].heard("a dog", AnswerForm()) == "a dog"
