"""Prefetching changes when things are made, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from unified_vl.training.prefetch import Prefetch


@pytest.mark.parametrize("depth", [1, 3])
def test_it_gives_what_the_iterator_gives(depth: int) -> None:
    with Prefetch(iter(range(20)), depth) as ahead:
        assert list(ahead) == list(range(20))


def test_an_error_reaches_the_reader_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    with Prefetch(items()) as ahead:
        assert next(ahead) == 1
        assert ahead.waited > 0
        with pytest.raises(KeyError, match="broken"):
            next(ahead)


def test_it_is_never_more_than_its_depth_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with Prefetch(items(), depth=2) as ahead:
        for read in range(10):
            next(ahead)
            assert len(made) <= read + 1 + 2 + 2  # read, queued, and one on its way


def test_the_thread_ends_with_the_reader() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    before = threading.active_count()
    with Prefetch(endless()) as ahead:
        next(ahead)
    assert threading.active_count() == before
