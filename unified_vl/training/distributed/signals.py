"""Signals ask for an end; the training answers at the next step boundary.

One request often comes as several signals. Ctrl-C in a terminal reaches the launcher and its
ranks alike, and the launcher then sends its ranks SIGTERM; a closed terminal sends SIGHUP
and takes the launcher away. So another kind of signal, or the same within a second, asks for
nothing new.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from unified_vl.training.distributed.launcher import Launcher, own_launcher

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LAUNCHER_GONE = int(signal.NSIG)  # a number beside those of signals
AGAIN = 1.0  # seconds; sooner, a signal is the first one once more
LOOKS = 1.0  # seconds between two looks at the launcher
ANSWER = (
    b"\nending after this step with a checkpoint; the same signal a second later or more"
    b" ends at once, without one\n"
)


class StopSignals:
    """Take note of signals and of a launcher that is gone; obey a signal that is repeated.

    Use it as a context manager. Outside the main thread, where Python handles no signals,
    it takes note of none. A signal that the process ignores (`nohup`) stays ignored.

    Args:
        launcher: whose end asks for an end, too; that of this process if not given.
    """

    def __init__(self, launcher: Launcher | None = None) -> None:
        self._received = 0
        self._looked = 0.0
        self._first: dict[int, float] = {}  # when each came
        self._before: dict[int, Any] = {}
        self._launcher = launcher or own_launcher()

    @property
    def received(self) -> int:
        """The first signal's number or LAUNCHER_GONE; 0 as long as there is none."""
        now = time.monotonic()
        if not self._received and now - self._looked > LOOKS:
            self._looked = now
            if self._launcher.gone:
                self._received = LAUNCHER_GONE
        return self._received

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        first = self._first.setdefault(number, now)
        if not self._received:
            self._received = number
            with contextlib.suppress(OSError):  # the terminal may be what has gone
                os.write(2, ANSWER)  # a handler may not touch buffered streams
        elif now - first > AGAIN:
            self._restore()
            os.kill(os.getpid(), number)


def ignore_signals() -> None:
    """From now on the process only ends; a launcher's late SIGTERM must not change how."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def name_of(number: int) -> str:
    """`SIGTERM` for 15."""
    return "the launcher is gone" if number == LAUNCHER_GONE else signal.Signals(number).name
