"""A stream for what people read, whose loss ends nothing."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TextIO, cast


def unbroken(stream: TextIO) -> TextIO:
    """A stream that writes to another as long as that takes it.

    A training must outlive those who watch it: Ctrl-C also ends the `tee` behind a pipe, and
    a closed terminal takes its stream away, before the ranks have written the checkpoint that
    was asked for. What cannot be written is dropped; after that the stream's descriptor is
    the null device, so that other writers to it do not fail either.
    """
    return cast(TextIO, _Unbroken(stream))


class _Unbroken(io.TextIOBase):
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
