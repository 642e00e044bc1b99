"""Prepare what comes next while the current step computes."""

from __future__ import annotations

import copy
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

from unified_vl.data.batching import Batch
from unified_vl.training.distributed.copies import Copies
from unified_vl.training.state import Training
from unified_vl.training.update import TaskBatch

Item = TypeVar("Item")


class Prefetch(Generic[Item]):
    """Run an iterator in a thread, at most `depth` items ahead of its reader.

    The items and their order are those of the iterator; only when they are made
    changes. An exception of the iterator reaches the reader in its place. Use it as a
    context manager, so that the thread ends with the reader.

    Attributes:
        waited: seconds that the reader has waited for items, in all.
    """

    def __init__(self, items: Iterator[Item], depth: int = 2) -> None:
        self.waited = 0.0
        self._items = items
        self._ready: queue.Queue[Item | BaseException] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetch[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():  # it may wait for room in the queue
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                self._thread.join(timeout=0.05)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        started = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - started
        if isinstance(item, BaseException):
            raise item
        return item

    def _fill(self) -> None:
        try:
            for item in self._items:
                self._ready.put(item)
                if self._stopped.is_set():
                    return
            self._ready.put(StopIteration())
        except BaseException as error:  # whatever it is, the reader must hear of it
            self._ready.put(error)


def updates_ahead(training: Training) -> Iterator[Callable[[], list[TaskBatch]]]:
    """`batches_ahead`, each update as what gives it to the thread that computes it; for a GPU they
    are copied there before."""
    ahead, device = batches_ahead(training), training.process.device
    if device.type != "cuda":
        return (partial(list, update) for update in ahead)
    copies = Copies(device)
    return (partial(copies.arrived, update) for update in copies.sent(ahead))


def share_of(training: Training) -> tuple[int, int, int]:
    """This rank, all ranks, and the parts of a share, as streams ask for them."""
    process = training.process
    return process.rank, process.world, training.run.accumulate


def batches_ahead(training: Training) -> Iterator[list[TaskBatch]]:
    """This rank's share of the batches of each update to come, as things stand now.

    Now is when this is called: the thread that makes the batches may begin when the schedule has
    gone on already. Where there are workers, they read the rows of the next update while those of
    one are waited for.
    """
    schedule, drawn = copy.deepcopy(training.parts.schedule), dict(training.drawn)

    def started(task: str) -> Callable[[], list[Batch]]:
        stream = training.parts.streams[task]
        found = stream.started(drawn[task], *share_of(training))
        drawn[task] += 1
        return found

    def update() -> Callable[[], list[TaskBatch]]:
        try:
            under_way = [(task, started(task)) for task in schedule.next_update()]
        except Exception as error:  # its place is behind the updates before it
            failure = error

            def fail() -> list[TaskBatch]:
                raise failure

            return fail
        return lambda: [TaskBatch(task, tuple(batches())) for task, batches in under_way]

    return _made(update, ahead=1 if training.run.workers > 1 else 0)


def _made(
    begin: Callable[[], Callable[[], list[TaskBatch]]], ahead: int
) -> Iterator[list[TaskBatch]]:
    """What was begun, one after the other, while `ahead` more are under way."""
    waiting = deque(begin() for _ in range(ahead))
    while True:
        waiting.append(begin())
        yield waiting.popleft()()
