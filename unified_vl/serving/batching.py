"""Jobs of many threads, done together where they are alike."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Waiting(Generic[Job, Answer]):
    job: Job
    most: int
    future: Future[Answer] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)


class Batcher(Generic[Job, Answer]):
    """One thread that does jobs, those of a key together, those that wait longest first.

    A group starts when it is full, when its first job has waited long enough, or when nobody is on
    the way who could join it.

    Args:
        work: does the jobs of a key and gives an answer to each, in their order; it is called by
            this thread alone.
        wait: seconds that a job waits for others.
        coming: how many jobs may be submitted soon.
    """

    def __init__(
        self,
        work: Callable[[Hashable, Sequence[Job]], Sequence[Answer]],
        wait: float,
        coming: Callable[[], int],
    ) -> None:
        self._work = work
        self._wait = wait
        self._coming = coming
        self._groups: dict[Hashable, deque[_Waiting[Job, Answer]]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self.seconds_a_job = 0.0
        """A running mean over batches, for estimates."""
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, job: Job, most: int) -> Future[Answer]:
        """Queue a job; cancelling the future takes it out again, unless it has begun.

        Args:
            key: jobs of the same key may be done together.
            job: what `work` is given.
            most: jobs of this key in one group.

        Raises:
            RuntimeError: after `close`.
        """
        waiting = _Waiting[Job, Answer](job, most)
        with self._changed:
            if self._closing:
                raise RuntimeError("the batcher is closed")
            self._groups.setdefault(key, deque()).append(waiting)
            self._changed.notify()
        return waiting.future

    def __len__(self) -> int:
        """How many jobs wait."""
        with self._changed:
            waiting = (one for group in self._groups.values() for one in group)
            return sum(not one.future.cancelled() for one in waiting)

    def close(self) -> None:
        """Do what is queued, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next()) is not None:
            key, waiting = group
            started = time.monotonic()
            self._do(key, waiting)
            each = (time.monotonic() - started) / len(waiting)
            self.seconds_a_job = 0.9 * self.seconds_a_job + 0.1 * each

    def _do(self, key: Hashable, group: list[_Waiting[Job, Answer]]) -> None:
        """Answer a group; where it fails as a whole, each job fails or succeeds alone."""
        try:
            answers = self._work(key, [one.job for one in group])
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    self._do(key, [one])
            else:
                group[0].future.set_exception(error)
            return
        for one, answer in zip(group, answers, strict=True):
            one.future.set_result(answer)

    def _next(self) -> tuple[Hashable, list[_Waiting[Job, Answer]]] | None:
        """The next group; None once all is done and there will be no more."""
        with self._changed:
            while True:
                self._forget_cancelled()
                if not self._groups:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                key, group = min(self._groups.items(), key=lambda item: item[1][0].arrived)
                left = group[0].arrived + self._wait - time.monotonic()
                full = len(group) >= group[0].most
                if full or left <= 0 or self._closing or self._coming() <= 0:
                    taken = self._taken(key, group)
                    if taken:
                        return key, taken
                    continue
                self._changed.wait(left)

    def _taken(
        self, key: Hashable, group: deque[_Waiting[Job, Answer]]
    ) -> list[_Waiting[Job, Answer]]:
        first = [group.popleft() for _ in range(min(group[0].most, len(group)))]
        if not group:
            del self._groups[key]
        return [one for one in first if one.future.set_running_or_notify_cancel()]

    def _forget_cancelled(self) -> None:
        for key, group in list(self._groups.items()):
            if any(one.future.cancelled() for one in group):
                kept = deque(one for one in group if not one.future.cancelled())
                if kept:
                    self._groups[key] = kept
                else:
                    del self._groups[key]
