"""One writer for each output: a lock beside it says which process that is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLock, Timeout

from unified_vl.errors import UserError

WAIT = 0.2  # seconds; a lock whose process is gone is taken over within them
WITHIN = ".lock"  # the lock's name in a directory whose parent nobody may write to


@contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Be the only process that writes `output`, a file or directory, while inside.

    `OUTPUT.lock` beside it holds the number of this process and its host, and goes at the end. One
    that a killed process of this host left is taken over; whether a process of another host
    still runs, nobody here can know.

    Raises:
        UserError: when another process writes it, or no lock can be written.
    """
    output = Path(os.path.realpath(output))  # two names of one output have one lock
    path = output.with_name(f"{output.name}.lock")
    if output.is_dir() and not os.access(output.parent, os.W_OK):  # a volume of a container
        path = output / WITHIN
    lock = SoftFileLock(path, timeout=WAIT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise _taken(output, path) from error
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=output) from error
    try:
        yield
    finally:
        lock.release()


def _taken(output: Path, path: Path) -> UserError:
    """Who holds a lock: its first two lines are the process and the host."""
    try:
        process, host, *_ = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        process, host = "of an unknown number", "an unknown host"
    remedy = "another output, or a start when that process has ended"
    if host != socket.gethostname():
        remedy += f"; if it no longer runs there, remove {path}"
    return UserError(f"process {process} on {host} writes it", file=output, expected=remedy)
