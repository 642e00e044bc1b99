"""Rows as evaluation meets them: what of them is bad."""

from __future__ import annotations

import pytest

from tests.data.conftest import HEAD, Quiz
from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow

EXAMPLE = '  source: "{image} {places} {caption}"\n  target: "{answer}"\n'
SKIP = HEAD + "  on_bad_row: skip\n"
ROOM = {  # of a source in tokens, to how many boxes fit beside an image of 4 and the end
    17: 3,
    16: 2,
    9: 1,
    8: 0,
    4: -1,
}


@pytest.mark.parametrize("room", ROOM)
def test_a_source_that_does_not_fit_without_its_text_is_a_bad_row(quiz: Quiz, room: int) -> None:
    spec = quiz.spec(EXAMPLE, head=SKIP)
    builder = quiz.builder(spec, "test", quiz.codec(spec, source=room))
    data = TaskData(spec, "test", quiz.root)
    found = [example is not None for _, example in good_examples(builder, data)]
    assert found == [1 <= number % 4 <= ROOM[room] for number in range(12)]  # of none it is empty


def test_it_stops_where_the_spec_says_so(quiz: Quiz) -> None:
    spec = quiz.spec(EXAMPLE.replace("{places}", "{places} {places} {places}"))
    builder = quiz.builder(spec, "test", quiz.codec(spec, source=16))
    rows = TaskData(spec, "test", quiz.root).rows([1])
    with pytest.raises(BadRow, match=r"test\.jsonl:2: a sequence needs 17 tokens without its text"):
        list(good_examples(builder, rows))
