"""unified_vl/kinds/hooks/automata.py: what is read to an end is what an expression matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.kinds.hooks.automata import DIGITS, Automaton, Some, Spelling, spelt
from unified_vl.kinds.registry import KINDS
from unified_vl.specs.tasks.generate import AnswerForm

CASES: dict[str, tuple[Automaton | None, str]] = {
    "whole numbers": (KINDS["number"].automaton(AnswerForm()), r"-?[0-9]+"),
    "two digits": (KINDS["number"].automaton(AnswerForm(decimals=2)), r"-?[0-9]+\.[0-9]{2}"),
    "dates": (spelt("9999-99-99"), r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "some of some": (
        Spelling(Some("ab", 2, None), Some("a", 0, 2), Some("-", 0)),
        "[ab]{2,}a{0,2}-?",
    ),
    "none or any": (Spelling(Some(DIGITS, 0, None), Some(".")), r"[0-9]*\."),
}


def is_read(automaton: Automaton, text: str) -> bool:
    state = automaton.start()
    for character in text:
        found = automaton.step(state, character)
        if found is None:
            return False
        state = found
    return automaton.ends(state)


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_texts_are_read_as_they_match(name: str, data: st.DataObject) -> None:
    automaton, pattern = CASES[name]
    assert automaton is not None
    right = data.draw(st.from_regex(pattern, fullmatch=True, alphabet="0123456789-.ab"))
    assert is_read(automaton, right)
    other = data.draw(st.text("0123-.ab", max_size=12))
    assert is_read(automaton, other) == bool(re.fullmatch(pattern, other))


@pytest.mark.parametrize("name", CASES)
def test_states_are_few(name: str) -> None:
    automaton, _ = CASES[name]
    assert automaton is not None
    states, left = {automaton.start()}, [automaton.start()]
    while left:
        state = left.pop()
        for character in automaton.characters:
            found = automaton.step(state, character)
            if found is not None and found not in states:
                states.add(found)
                left.append(found)
    assert len(states) <= 12
