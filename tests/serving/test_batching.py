"""unified_vl/serving/batching.py: jobs of many threads, done together."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from typing import Any

import pytest

from unified_vl.serving.batching import Batcher


class Bench:
    """Work that notes its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[tuple[Hashable, list[Any]]] = []
        self.go = threading.Event()
        self.coming = 1
        self.batcher: Batcher[Any, Any] = Batcher(self.work, 30.0, lambda: self.coming)

    def work(self, key: Hashable, jobs: Sequence[Any]) -> Sequence[Any]:
        if jobs == ["first"]:
            self.go.wait()
            return jobs
        self.batches.append((key, list(jobs)))
        if "bad" in jobs:
            raise ValueError("a bad job")
        return [f"{key} {job}" for job in jobs]

    def hold(self) -> None:
        """Keep the thread busy until `go` is set."""
        self.batcher.submit("hold", "first", 1)


@pytest.fixture
def bench() -> Any:
    found = Bench()
    yield found
    found.go.set()
    found.batcher.close()


def test_those_of_a_key_go_together_the_oldest_first(bench: Bench) -> None:
    bench.hold()
    jobs = [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)]
    futures = [bench.batcher.submit(key, job, 2) for key, job in jobs]
    assert len(bench.batcher) >= 5
    bench.coming = 0
    bench.go.set()
    assert [one.result(30) for one in futures] == [f"{key} {job}" for key, job in jobs]
    assert bench.batches == [("a", [1, 3]), ("b", [2, 4]), ("a", [5])]


def test_a_full_group_waits_for_nobody(bench: Bench) -> None:
    futures = [bench.batcher.submit("a", job, 2) for job in range(2)]
    assert [one.result(20) for one in futures] == ["a 0", "a 1"]  # wait is 30


def test_one_alone_does_not_wait_where_nobody_is_on_the_way(bench: Bench) -> None:
    bench.coming = 0
    assert bench.batcher.submit("a", 1, 8).result(20) == "a 1"


def test_a_job_that_fails_fails_alone(bench: Bench) -> None:
    bench.hold()
    futures = [bench.batcher.submit("a", job, 8) for job in (1, "bad", 2)]
    bench.coming = 0
    bench.go.set()
    assert futures[0].result(30) == "a 1" and futures[2].result(30) == "a 2"
    with pytest.raises(ValueError, match="a bad job"):
        futures[1].result(30)


def test_what_nobody_waits_for_is_not_done(bench: Bench) -> None:
    bench.hold()
    gone, kept = (bench.batcher.submit("a", job, 8) for job in (1, 2))
    assert gone.cancel()
    bench.coming = 0
    bench.go.set()
    assert kept.result(30) == "a 2"
    assert bench.batches == [("a", [2])]


def test_closing_does_what_is_queued() -> None:
    bench = Bench()
    bench.hold()
    future = bench.batcher.submit("a", 1, 8)
    closing = threading.Thread(target=bench.batcher.close)
    closing.start()
    bench.go.set()
    closing.join(30)
    assert future.result(0) == "a 1"
    with pytest.raises(RuntimeError):
        bench.batcher.submit("a", 2, 8)
