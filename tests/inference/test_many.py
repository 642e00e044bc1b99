"""Many rows at once: in their order, as they come, told of, and ended early."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.tiny import Tiny
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL


@pytest.fixture(scope="module")
def model(tiny: Tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


def rows(picture: Any, number: int) -> list[dict[str, Any]]:
    tags = ("en", "de", "fa")
    return [
        {"key": n, "image": picture(n), "phrase": "a dog " * (n % 4 + 1), "language": tags[n % 3]}
        for n in range(number)
    ]


def test_answers_are_those_of_single_rows_in_their_order(model: UnifiedVL, picture: Any) -> None:
    given = rows(picture, 23)
    found = list(model.predict_many(given, "tiny_ground", batch_size=2))
    assert [each.key for each in found] == [str(n) for n in range(23)]
    for row, each in zip(given, found, strict=True):
        fields = {key: value for key, value in row.items() if key != "key"}
        alone = model.predict("tiny_ground", **fields)
        assert (each.text, each.boxes) == (alone.text, alone.boxes)
        assert each.score == pytest.approx(alone.score, abs=1e-4)


def test_rows_may_name_their_task(model: UnifiedVL, picture: Any) -> None:
    given = [
        {"task": "tiny_copy", "text": "yes"},
        {"task": "tiny_caption", "image": picture(1), "language": "de"},
    ]
    found = list(model.predict_many(given, n=2))
    assert found[0].text == model.predict("tiny_copy", text="yes", n=2).text
    assert found[1].text == model.predict("tiny_caption", "de", image=picture(1), n=2).text
    assert len(found[0].alternatives or ()) == 2


BAD = {
    "no field": ({"text": None}, "needs the field 'text'"),
    "misspelt": ({"txt": "a"}, "did you mean 'txt'"),
    "task": ({"task": "tiny_cpoy", "text": "a"}, "did you mean 'tiny_copy'"),
    "language": ({"text": "a", "language": "xx"}, "unknown language 'xx'"),
    "no mapping": ("yes", "row 1 is str"),
    "image": ({"task": "tiny_caption", "image": "none.png", "language": "de"}, "none.png"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_gets_a_message_and_the_others_answers(model: UnifiedVL, name: str) -> None:
    bad, message = BAD[name]
    good = {"text": "yes", "task": "tiny_copy", "key": "good"}
    if isinstance(bad, dict):
        bad = {"task": "tiny_copy", **bad}
    first, wrong, last = model.predict_many([good, bad, good])
    assert message in (wrong.error or "")
    assert first.text == last.text == model.predict("tiny_copy", text="yes").text
    assert last.key == "good"


def test_progress_counts_answers_and_rows(model: UnifiedVL) -> None:
    told: list[tuple[int, int | None]] = []
    given = [{"text": "a" * (n % 5)} if n % 4 else {} for n in range(1, 20)]
    list(
        model.predict_many(
            given, "tiny_copy", batch_size=2, progress=lambda *numbers: told.append(numbers)
        )
    )
    counts = [done for done, _ in told]
    assert counts == sorted(counts) and counts[-1] == 19
    assert {total for _, total in told} == {19}


def test_who_takes_no_more_ends_the_work(model: UnifiedVL) -> None:
    read = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal read
        while True:
            read += 1
            yield {"text": "yes"}

    told: list[tuple[int, int | None]] = []
    answers = model.predict_many(
        endless(), "tiny_copy", batch_size=2, progress=lambda *numbers: told.append(numbers)
    )
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert read == 8
    assert {total for _, total in told} == {None}


def test_progress_may_end_the_work(model: UnifiedVL) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(model.predict_many([{"text": "yes"}] * 9, "tiny_copy", batch_size=2, progress=stop))


@pytest.mark.parametrize(
    ("given", "message"),
    [({"task": "tiny_cpoy"}, "tiny_copy"), ({"batch_size": 0}, "at least 1")],
)
def test_what_is_wrong_with_all_rows_is_told_at_once(
    model: UnifiedVL, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        model.predict_many([], **given)
