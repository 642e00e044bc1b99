"""Languages by temperature: shares as asked, no row passed over, and no state."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.data.order import LanguageOrder, RowOrder, apportion

counts = st.lists(st.integers(1, 60), min_size=1, max_size=6)
temperatures = st.floats(0, 1)


def make(sizes: list[int], temperature: float, seed: int = 0) -> LanguageOrder:
    start, rows = 0, {}
    for number, size in enumerate(sizes):
        rows[f"l{number}"] = list(range(start, start + size))
        start += size
    return LanguageOrder(rows, temperature, seed, "task")


def language_of(row: int, sizes: list[int]) -> int:
    return next(n for n in range(len(sizes)) if row < sum(sizes[: n + 1]))


@given(st.integers(0, 500), st.lists(st.floats(0.01, 1000), min_size=1, max_size=20))
def test_apportioned_numbers_are_near_their_quotas(extra: int, weights: list[float]) -> None:
    total = len(weights) + extra
    found = apportion(total, weights)
    assert sum(found) == total
    assert min(found) >= 1
    quotas = [total * weight / sum(weights) for weight in weights]
    if min(quotas) >= 1:  # otherwise the least take from the others
        assert all(abs(n - quota) < 1 for n, quota in zip(found, quotas, strict=True))


@given(counts, temperatures, st.integers(0, 9))
def test_an_epoch_has_each_language_in_its_share(
    sizes: list[int], temperature: float, seed: int
) -> None:
    order = make(sizes, temperature, seed)
    total = sum(sizes)
    weights = [size**temperature for size in sizes]
    for epoch in range(2):
        rows = [order.place(epoch * total + p)[1] for p in range(total)]
        drawn = Counter(language_of(row, sizes) for row in rows)
        assert [drawn[n] for n in range(len(sizes))] == apportion(total, weights)


@given(counts, temperatures)
@settings(max_examples=30)
def test_every_row_is_met_before_any_is_met_again(sizes: list[int], temperature: float) -> None:
    order = make(sizes, temperature)
    met: dict[int, list[int]] = {n: [] for n in range(len(sizes))}
    turns: dict[int, list[int]] = {n: [] for n in range(len(sizes))}
    while any(len(met[n]) < 2 * size for n, size in enumerate(sizes)):
        turn, row = order.place(sum(map(len, met.values())))
        language = language_of(row, sizes)
        met[language].append(row)
        turns[language].append(turn)
    start = 0
    for n, size in enumerate(sizes):
        for turn in range(2):
            several = met[n][turn * size : (turn + 1) * size]
            assert sorted(several) == list(range(start, start + size))
            assert set(turns[n][turn * size : (turn + 1) * size]) == {turn}
        start += size


@given(counts, temperatures, st.lists(st.integers(0, 400), min_size=1, max_size=20))
def test_a_place_depends_on_its_position_alone(
    sizes: list[int], temperature: float, positions: list[int]
) -> None:
    used = make(sizes, temperature)
    for position in positions:
        assert used.place(position) == make(sizes, temperature).place(position)


def test_temperature_one_is_as_the_rows_are_and_zero_all_alike() -> None:
    assert make([90, 9, 1], 1).counts == [90, 9, 1]
    assert make([90, 9, 1], 0).counts == [34, 33, 33]


def test_seed_and_task_change_the_order() -> None:
    def first(order: LanguageOrder | RowOrder) -> list[int]:
        return [order.place(p)[1] for p in range(40)]

    assert first(make([20, 20], 0.3)) != first(make([20, 20], 0.3, seed=1))
    assert first(RowOrder(40, 0, "a")) != first(RowOrder(40, 0, "b"))
    assert first(RowOrder(40, 0, "a")) == first(RowOrder(40, 0, "a"))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0]])
def test_as_many_as_there_are_get_one_each(weights: list[float]) -> None:
    assert apportion(len(weights), weights) == [1] * len(weights)
