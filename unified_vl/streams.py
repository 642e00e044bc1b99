"""A stream for what people read, whose loss ends nothing."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TextIO, cast

GONE = (errno.EPIPE, errno.EIO)  # of a pipe without a reader, of a terminal


def unbroken(stream: TextIO) -> TextIO:
    """A stream that writes to another as long as that takes it.

    A training must outlive those who watch it: Ctrl-C also ends the `tee` behind a pipe, and
    a closed terminal takes its stream away, before the ranks have written the checkpoint that
    was asked for. What cannot be written is dropped. Of a stream that is gone for good the
    descriptor becomes the null device, so that other writers to it do not fail either.
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
        except OSError as error:
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno not in GONE:
            return  # as on a full disk, which may have room again
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
