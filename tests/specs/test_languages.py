from __future__ import annotations

import pytest

from unified_vl.specs.languages import language_name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "English"),
        ("de", "German"),
        ("fa", "Persian"),
        ("pt-BR", "Portuguese (Brazil)"),
        ("xx", "xx"),
        ("zz_1", "zz_1"),
    ],
)
def test_a_language_has_an_english_name_or_its_tag(tag: str, name: str) -> None:
    assert language_name(tag) == name
