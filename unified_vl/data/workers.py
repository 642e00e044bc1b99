"""Threads that read rows: decoding and resizing of images run beside Python."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Workers:
    """Threads of all tasks of a run.

    Args:
        count: how many; with one, who asks does the work, when it asks for the results.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "rows") if count > 1 else None

    def start(self, work: Callable[..., Result], *items: Iterable[object]) -> Iterator[Result]:
        """What `map` gives, in its order; threads begin at once. What it raises stands in the
        place of its result."""
        if self._pool is None:
            return map(work, *items)
        job = _Job(work, list(zip(*items, strict=True)), self.count)
        for _ in range(job.threads):
            self._pool.submit(job.run)
        return job.results()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _Job(Generic[Result]):
    """Items of which each thread takes the next one that nobody has.

    Who waits is woken once, when all are done: for each item, as futures do it, that is a twentieth
    of the processor time of two threads that read images (docs/decisions.md).
    """

    def __init__(
        self, work: Callable[..., Result], items: list[tuple[Any, ...]], most: int
    ) -> None:
        self.threads = min(most, len(items))
        self._work = work
        self._waiting = deque(enumerate(items))  # several threads may take of it
        self._found: list[Result | _Failure | None] = [None] * len(items)
        self._running = self.threads
        self._lock = threading.Lock()
        self._done = threading.Event()

    def run(self) -> None:
        """What one thread does."""
        while True:
            try:
                place, arguments = self._waiting.popleft()
            except IndexError:
                break
            try:
                self._found[place] = self._work(*arguments)
            except BaseException as error:  # whatever it is, who waits must hear of it
                self._found[place] = _Failure(error)
        with self._lock:
            self._running -= 1
            if not self._running:
                self._done.set()

    def results(self) -> Iterator[Result]:
        """In the order of the items."""
        if self._found:
            self._done.wait()
        for found in self._found:
            if isinstance(found, _Failure):
                raise found.error
            yield found  # type: ignore[misc]
