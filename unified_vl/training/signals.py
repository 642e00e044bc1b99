"""SIGTERM and SIGINT ask for an end; the training answers at the next step boundary."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ANSWER = b"\nending after this step with a checkpoint; once more ends at once, without one\n"


class StopSignals:
    """Take note of the first signal and leave a second one its usual, immediate effect.

    Use it as a context manager. Outside the main thread, where Python handles no signals,
    it takes note of none.

    Attributes:
        received: the signal's number, 0 as long as there is none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for each, handler in self._before.items():
            signal.signal(each, handler)
        os.write(2, ANSWER)  # a handler may not touch buffered streams


def name_of(number: int) -> str:
    """`SIGTERM` for 15."""
    return signal.Signals(number).name
