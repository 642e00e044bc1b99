"""Threads give what `map` gives, and whoever waits for them is woken."""

from __future__ import annotations

import threading

import pytest

from unified_vl.data.workers import Workers


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("items", [0, 1, 3, 40])
def test_results_are_those_of_map_in_its_order(count: int, items: int) -> None:
    workers = Workers(count)
    several = [workers.start(pow, range(items), [exponent] * items) for exponent in (2, 3)]
    assert [list(each) for each in several] == [
        [number**exponent for number in range(items)] for exponent in (2, 3)
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_stands_in_the_place_of_its_result(count: int) -> None:
    workers = Workers(count)
    found = workers.start(lambda number: 6 // number, [2, 3, 0, 1])
    assert [next(found), next(found)] == [3, 2]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert list(workers.start(abs, [-1, 1])) == [1, 1]  # the threads go on


def test_so_many_threads_work_at_once_and_who_asks_does_not() -> None:
    together, names = threading.Barrier(3), set()

    def work(number: int) -> int:
        names.add(threading.current_thread().name)
        together.wait(timeout=60)  # three at a time, or none comes by
        return number

    assert list(Workers(3).start(work, range(6))) == list(range(6))
    assert len(names) == 3 and threading.current_thread().name not in names
