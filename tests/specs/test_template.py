from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.specs.tasks.template import Slot, TemplateError, fill, parse_template, slots

names = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True)
pieces = st.lists(st.one_of(st.text(min_size=1), names.map(Slot)), max_size=6)


def written(piece: str | Slot) -> str:
    if isinstance(piece, Slot):
        return f"{{{piece.name}}}"
    return piece.replace("{", "{{").replace("}", "}}")


def test_texts_and_slots_in_their_order() -> None:
    assert parse_template("{image} What is {this}?") == (
        Slot("image"),
        " What is ",
        Slot("this"),
        "?",
    )
    assert parse_template("") == ()


@given(pieces)
def test_what_is_written_is_read_back(original: list[str | Slot]) -> None:
    merged: list[str | Slot] = []
    for piece in original:
        if merged and isinstance(piece, str) and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    assert parse_template("".join(map(written, original))) == tuple(merged)


@given(pieces)
def test_filling_leaves_no_slot(original: list[str | Slot]) -> None:
    template = "".join(map(written, original))
    values = dict.fromkeys(slots(parse_template(template)), "<value>")
    expected = "".join("<value>" if isinstance(p, Slot) else p for p in original)
    assert fill(template, **values) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{image", "the brace '{' at character 1 has no partner"),
        ("a image}", "the brace '}' at character 8 has no partner"),
        ("{}", "'{}' at character 1 is no slot"),
        ("{ image }", "'{ image }' at character 1 is no slot"),
        ("{image!r}", "'{image!r}' at character 1 is no slot"),
        ("{a.b}", "'{a.b}' at character 1 is no slot"),
        ("{image\n}", r"'{image\\n}' at character 1 is no slot"),
    ],
)
def test_braces_that_name_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message.replace("{", r"\{").replace("}", r"\}")):
        parse_template(text)
