"""Round robin: everyone's share in every round, evenly, and a resume that is exact."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.training.schedule import RoundRobin, Sampled, size_weights

SHARES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 6), min_size=1)
ORDERS: st.SearchStrategy[Literal["fixed", "seeded"]] = st.sampled_from(["fixed", "seeded"])


@given(SHARES, ORDERS, st.integers(0, 5))
def test_every_round_holds_each_task_exactly_its_batches(
    shares: dict[str, int], order: Literal["fixed", "seeded"], seed: int
) -> None:
    schedule = RoundRobin(tuple(shares), shares, order, seed)
    for _ in range(3):
        assert Counter(schedule.next_task() for _ in range(sum(shares.values()))) == shares


@given(SHARES, ORDERS, st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_a_late_task_joins_at_its_round(
    shares: dict[str, int], order: Literal["fixed", "seeded"], joins: list[int]
) -> None:
    late = dict(zip(shares, [0, *joins], strict=False))
    schedule = RoundRobin(tuple(shares), shares, order, 3, late)
    for number in range(7):
        active = {task: count for task, count in shares.items() if late[task] <= number}
        steps = sum(active.values())
        assert Counter(schedule.next_task() for _ in range(steps)) == active


@given(SHARES, ORDERS)
def test_a_tasks_batches_are_spread_over_the_round(
    shares: dict[str, int], order: Literal["fixed", "seeded"]
) -> None:
    """Any stretch of a round holds a task's share of it, give or take one for each task."""
    schedule = RoundRobin(tuple(shares), shares, order, 1)
    for number in range(3):
        tasks = schedule.round(number)
        for task, batches in shares.items():
            places = [place for place, name in enumerate(tasks) if name == task]
            for count, place in enumerate(places):
                ideal = count * len(tasks) / batches
                assert abs(place - ideal) <= len(tasks) / batches + len(shares)


@given(SHARES, ORDERS, st.integers(0, 40))
def test_a_restored_schedule_goes_on_as_the_first_would_have(
    shares: dict[str, int], order: Literal["fixed", "seeded"], steps: int
) -> None:
    late = {task: number for number, task in enumerate(shares)}
    first = RoundRobin(tuple(shares), shares, order, 7, late)
    for _ in range(steps):
        first.next_task()
    second = RoundRobin(tuple(shares), shares, order, 7, late)
    second.load_state_dict(first.state_dict())
    assert [first.next_task() for _ in range(30)] == [second.next_task() for _ in range(30)]


def test_a_fixed_round_interleaves() -> None:
    schedule = RoundRobin(("a", "b", "c"), {"a": 4, "b": 2, "c": 1})
    assert schedule.round(0) == schedule.round(5) == ("a", "b", "a", "c", "a", "b", "a")


def test_a_seeded_order_differs_between_rounds_and_seeds() -> None:
    shares = {"a": 2, "b": 2, "c": 1}

    def rounds(seed: int) -> list[tuple[str, ...]]:
        schedule = RoundRobin(tuple(shares), shares, "seeded", seed)
        return [schedule.round(number) for number in range(8)]

    assert len(set(rounds(0))) > 1
    assert rounds(0) == rounds(0)
    assert rounds(0) != rounds(1)


@pytest.mark.parametrize(
    ("tasks", "batches"), [((), {}), (("a", "a"), {"a": 1}), (("a",), {"a": 0})]
)
def test_nonsense_is_refused(tasks: tuple[str, ...], batches: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="task"):
        RoundRobin(tasks, batches)


def test_somebody_must_begin() -> None:
    with pytest.raises(ValueError, match="round 0"):
        RoundRobin(("a", "b"), {"a": 1, "b": 1}, from_round={"a": 1, "b": 2})


@given(SHARES, st.integers(0, 40))
def test_drawn_tasks_go_on_as_they_would_have(shares: dict[str, int], steps: int) -> None:
    late = {task: number for number, task in enumerate(shares)}
    first = Sampled(tuple(shares), shares, shares, 7, late)
    for _ in range(steps):
        first.next_task()
    second = Sampled(tuple(shares), shares, shares, 7, late)
    second.load_state_dict(first.state_dict())
    assert [first.next_task() for _ in range(30)] == [second.next_task() for _ in range(30)]


def test_tasks_are_drawn_by_their_weights_from_their_round_on() -> None:
    schedule = Sampled(("a", "b", "c"), {"a": 2, "b": 1, "c": 1}, {"a": 6, "b": 3, "c": 1}, 0)
    drawn = Counter(schedule.next_task() for _ in range(10_000))
    assert [drawn[task] / 10_000 for task in "abc"] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    late = Sampled(("a", "b"), {"a": 1, "b": 1}, {"a": 1, "b": 9}, 0, {"b": 5})
    assert [late.next_task() for _ in range(5)] == ["a"] * 5
    assert "b" in [late.next_task() for _ in range(20)]


def test_a_weight_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sampled(("a",), {"a": 1}, {"a": 0.0})


def test_size_weights_are_those_of_t5() -> None:
    rows = {"small": 100, "large": 10_000}
    assert size_weights(rows) == {"small": 100, "large": 10_000}
    assert size_weights(rows, 2) == pytest.approx({"small": 10, "large": 100})
    assert size_weights(rows, limit=400) == {"small": 100, "large": 400}
