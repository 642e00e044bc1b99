"""unified_vl/evaluation/languages.py"""

from __future__ import annotations

import pytest

from unified_vl.evaluation.languages import language_of


@pytest.mark.parametrize(
    ("tag", "english", "own", "direction"),
    [
        ("de", "German", "Deutsch", "ltr"),
        ("fa", "Persian", "فارسی", "rtl"),
        ("ar", "Arabic", "العربية", "rtl"),
        ("ja", "Japanese", "日本語", "ltr"),
        ("ru", "Russian", "Русский", "ltr"),
        ("xx-nonsense", "xx-nonsense", "xx-nonsense", "auto"),
        (None, "", "", "auto"),
    ],
)
def test_names_and_directions(tag: str | None, english: str, own: str, direction: str) -> None:
    found = language_of(tag)
    assert (found.english, found.own, found.direction) == (english, own, direction)
