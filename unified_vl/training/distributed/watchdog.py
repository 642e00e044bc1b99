"""A rank that stands still ends the job, and every rank says where it stands.

In a collective all ranks wait for the slowest, for ever if need be. So each rank
watches its own progress from a thread. When it has made none for the time allowed, it
writes the Python stack of all its threads, waits a little until the others, which stand
still too, have written theirs, and ends the process: exceptions cannot, the main thread
may be anywhere. The start counts, too: a rank that never comes is waited for no longer.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from unified_vl.errors import HUNG
from unified_vl.streams import unbroken
from unified_vl.training.distributed.launcher import own_rank, ranks

STACKS = "stacks"
GRACE = 10.0  # seconds for the other ranks to write their stacks
LOOKS = 20  # a timeout: how exactly it is kept


class Watchdog:
    """End the process with exit code 5 when `beat` was not called for `timeout` seconds.

    The stacks go to stderr and to OUTPUT/stacks/rank-00000.txt, one file a rank. Use it as
    a context manager.

    Args:
        output: of the run.
        timeout: seconds; longer than the longest step, validation or checkpoint.
    """

    def __init__(self, output: Path, timeout: float) -> None:
        self._rank, self._ranks = own_rank(), ranks()
        self._folder = output / STACKS
        self._timeout = timeout
        self._last = time.monotonic()
        self._doing = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._file(self._rank).unlink(missing_ok=True)  # of an earlier start
        self.beat("the ranks meet")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def beat(self, doing: str = "") -> None:
        """There was progress; what is done now, if it is no step."""
        self._last = time.monotonic()
        self._doing = doing

    def _watch(self) -> None:
        while not self._ended.wait(self._timeout / LOOKS):
            if time.monotonic() - self._last > self._timeout:
                self._tell()
                self._wait_for_others()
                os._exit(HUNG)

    def _file(self, rank: int) -> Path:
        return self._folder / f"rank-{rank:05d}.txt"

    def _tell(self) -> None:
        rank = self._rank
        doing = f" while {self._doing}" if self._doing else ""
        print(
            f"error: rank {rank} has made no progress for {self._timeout:g} "
            f"seconds{doing} (hang_timeout); the stacks of all ranks are in {self._folder}",
            file=unbroken(sys.stderr),
            flush=True,
        )
        faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = self._file(rank).with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as file:
                faulthandler.dump_traceback(file=file, all_threads=True)
            partial.replace(self._file(rank))
        except OSError as error:  # stderr has them
            print(f"error: {error}", file=unbroken(sys.stderr), flush=True)

    def _wait_for_others(self) -> None:
        until = time.monotonic() + GRACE
        files = [self._file(rank) for rank in range(self._ranks)]
        while time.monotonic() < until and not all(file.exists() for file in files):
            time.sleep(0.1)
