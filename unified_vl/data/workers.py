"""Threads that read rows: decoding and resizing of images run beside Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
        return map(work, *items) if self._pool is None else self._pool.map(work, *items)
