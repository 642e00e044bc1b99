"""Round robin: everyone's share in every round, evenly, and a resume that is exact."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.specs.load import load_mixture
from unified_vl.specs.schedule import StopAndGoSpec
from unified_vl.training.schedules.registry import joining_rounds
from unified_vl.training.schedules.round_robin import RoundRobin
from unified_vl.training.schedules.sampled import Sampled, size_weights
from unified_vl.training.schedules.schedule import Rules, Schedule

SHARES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 6), min_size=1)
ORDERS: st.SearchStrategy[Literal["fixed", "seeded"]] = st.sampled_from(["fixed", "seeded"])


@given(SHARES, ORDERS, st.integers(0, 5))
def test_every_round_holds_each_task_exactly_its_batches(
    shares: dict[str, int], order: Literal["fixed", "seeded"], seed: int
) -> None:
    schedule = RoundRobin(tuple(shares), shares, order, Rules(seed=seed))
    for _ in range(3):
        assert Counter(schedule.next_update()[0] for _ in range(sum(shares.values()))) == shares


@given(SHARES, ORDERS, st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_a_late_task_joins_at_its_round(
    shares: dict[str, int], order: Literal["fixed", "seeded"], joins: list[int]
) -> None:
    late = dict(zip(shares, [0, *joins], strict=False))
    schedule = RoundRobin(tuple(shares), shares, order, Rules(seed=3, from_round=late))
    for number in range(7):
        active = {task: count for task, count in shares.items() if late[task] <= number}
        steps = sum(active.values())
        assert Counter(schedule.next_update()[0] for _ in range(steps)) == active


@given(SHARES, ORDERS)
def test_a_tasks_batches_are_spread_over_the_round(
    shares: dict[str, int], order: Literal["fixed", "seeded"]
) -> None:
    """Any stretch of a round holds a task's share of it, give or take one for each task."""
    schedule = RoundRobin(tuple(shares), shares, order, Rules(seed=1))
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
    rules = Rules(seed=7, from_round=late)
    assert_goes_on(lambda: RoundRobin(tuple(shares), shares, order, rules), steps)


def assert_goes_on(make: Callable[[], Schedule], steps: int) -> None:
    """A second schedule, restored from the first after `steps`, gives the same updates."""
    first, second = make(), make()
    for _ in range(steps):
        first.next_update()
    second.load_state_dict(first.state_dict())
    assert [first.next_update() for _ in range(30)] == [second.next_update() for _ in range(30)]


def test_a_fixed_round_interleaves() -> None:
    schedule = RoundRobin(("a", "b", "c"), {"a": 4, "b": 2, "c": 1})
    assert schedule.round(0) == schedule.round(5) == ("a", "b", "a", "c", "a", "b", "a")


def test_a_seeded_order_differs_between_rounds_and_seeds() -> None:
    shares = {"a": 2, "b": 2, "c": 1}

    def rounds(seed: int) -> list[tuple[str, ...]]:
        schedule = RoundRobin(tuple(shares), shares, "seeded", Rules(seed=seed))
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
        RoundRobin(("a", "b"), {"a": 1, "b": 1}, rules=Rules(from_round={"a": 1, "b": 2}))


@given(SHARES, st.integers(0, 40))
def test_drawn_tasks_go_on_as_they_would_have(shares: dict[str, int], steps: int) -> None:
    late = {task: number for number, task in enumerate(shares)}
    rules = Rules(seed=7, from_round=late)
    assert_goes_on(lambda: Sampled(tuple(shares), shares, shares, rules), steps)


def test_tasks_are_drawn_by_their_weights_from_their_round_on() -> None:
    schedule = Sampled(("a", "b", "c"), {"a": 2, "b": 1, "c": 1}, {"a": 6, "b": 3, "c": 1}, Rules())
    drawn = Counter(schedule.next_update()[0] for _ in range(10_000))
    assert [drawn[task] / 10_000 for task in "abc"] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    late = Sampled(("a", "b"), {"a": 1, "b": 1}, {"a": 1, "b": 9}, Rules(from_round={"b": 5}))
    assert [late.next_update()[0] for _ in range(5)] == ["a"] * 5
    assert "b" in [late.next_update()[0] for _ in range(20)]


def test_a_weight_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sampled(("a",), {"a": 1}, {"a": 0.0})


def test_size_weights_are_those_of_t5() -> None:
    rows = {"small": 100, "large": 10_000}
    assert size_weights(rows) == {"small": 100, "large": 10_000}
    assert size_weights(rows, 2) == pytest.approx({"small": 10, "large": 100})
    assert size_weights(rows, limit=400) == {"small": 100, "large": 400}


RULE = StopAndGoSpec(patience=1, gap=3)


def test_a_joint_update_is_a_round() -> None:
    schedule = RoundRobin(("a", "b"), {"a": 2, "b": 1}, rules=Rules(joint=True))
    assert [schedule.next_update() for _ in range(2)] == [("a", "b", "a")] * 2


def test_a_resting_task_trains_in_every_third_round() -> None:
    schedule = RoundRobin(("a", "b"), {"a": 1, "b": 1}, rules=Rules(stop_and_go=RULE))
    assert [schedule.next_update()[0] for _ in range(3)] == ["a", "b", "a"]
    assert schedule.observe("a", 5) is None
    told = schedule.observe("a", 5)
    assert told is not None and told.state == "STOP"
    # the round that is under way ends as it began
    assert "".join(schedule.next_update()[0] for _ in range(9)) == "bbbabbbab"
    woken = schedule.observe("a", 4)
    assert woken is not None and woken.state == "GO" and "4 after a best of 5" in woken.reason
    assert "".join(schedule.next_update()[0] for _ in range(4)) == "abab"


def test_where_all_rest_the_next_turn_comes_at_once() -> None:
    schedule = RoundRobin(("a", "b"), {"a": 1, "b": 1}, rules=Rules(stop_and_go=RULE))
    schedule.next_update()
    for task in "abab":
        schedule.observe(task, 5)
    assert "".join(schedule.next_update()[0] for _ in range(5)) == "babab"


def test_a_task_is_not_judged_before_it_joins() -> None:
    rules = Rules(stop_and_go=RULE, from_round={"b": 2})
    schedule = RoundRobin(("a", "b"), {"a": 1, "b": 1}, rules=rules)
    schedule.next_update()
    assert schedule.observe("b", 5) is None and schedule.observe("b", 5) is None
    assert "b" in [schedule.next_update()[0] for _ in range(4)]


def test_lower_is_better_for_the_task() -> None:
    rules = Rules(stop_and_go=RULE, lower_is_better=frozenset("a"))
    schedule = RoundRobin(("a",), {"a": 1}, rules=rules)
    schedule.next_update()
    assert [schedule.observe("a", score) for score in (9, 8, 7)] == [None] * 3


@given(
    SHARES,
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 9)), max_size=40),
    st.integers(0, 40),
)
def test_no_task_starves_and_a_resume_is_exact(
    shares: dict[str, int],
    joint: bool,
    drawn: bool,
    scores: list[tuple[int, float]],
    cut: int,
) -> None:
    """Whatever the scores: every task trains within `gap` rounds, and JSON holds all state."""
    rules = Rules(seed=1, joint=joint, stop_and_go=RULE)

    def make() -> Schedule:
        if drawn:
            return Sampled(tuple(shares), shares, shares, rules)
        return RoundRobin(tuple(shares), shares, "fixed", rules)

    first, second = make(), make()
    for number, (place, score) in enumerate(scores):
        if number == cut:
            second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        updates = [first.next_update()]
        updates.append((str(first.observe(first.tasks[place % len(shares)], score)),))
        if number >= cut:
            again = [second.next_update()]
            again.append((str(second.observe(second.tasks[place % len(shares)], score)),))
            assert again == updates
    if not drawn:
        within = [first.round(n) for n in range(first._number + 1, first._number + 1 + RULE.gap)]
        assert {task for tasks in within for task in tasks} == set(shares)


@pytest.mark.parametrize(
    ("order", "joins"),
    [("easy_first", {"a": 0, "b": 10, "c": 20}), ("hard_first", {"a": 20, "b": 10, "c": 0})],
)
def test_levels_of_difficulty_join_one_after_the_other(
    order: str, joins: dict[str, int], squares: Path, tmp_path: Path
) -> None:
    shutil.copytree(squares, tmp_path, dirs_exist_ok=True)
    lines = ["mixture: m", "version: 1", "tasks:"]
    for name, difficulty in (("a", 1), ("b", 2.5), ("c", 7)):
        spec = (squares / "see.yaml").read_text().replace("task: see", f"task: {name}")
        (tmp_path / f"{name}.yaml").write_text(spec)
        lines.append(f"  - {{spec: {name}.yaml, difficulty: {difficulty}}}")
    lines.append(f"schedule: {{curriculum: {{order: {order}, rounds: 10}}}}")
    (tmp_path / "m.yaml").write_text("\n".join(lines))
    assert joining_rounds(load_mixture(tmp_path / "m.yaml")) == joins
