"""Copies of remote files in this user's cache: at most so many bytes, those in use kept.

    CACHE/remote/ab/ab12.../NAME     a file, by a digest of its URL and version
    CACHE/remote/in_use/PROCESS      the digests of what a running process has open, one a line

A copy is written beside its place and then given its name, so any number of processes may share a
cache. A process holds a lock on its list as long as it lives; the lists of others that no longer
do count as none. What was used longest ago goes first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import uuid4

from filelock import FileLock

from unified_vl.errors import UserError
from unified_vl.files import telling_disk_full

GIB = 1 << 30
MOST = 50 * GIB  # unless the environment says another number
FOLDER, LIMIT = "UNIFIED_VL_CACHE", "UNIFIED_VL_CACHE_GB"
_USED_AGAIN = 60.0  # seconds in which a use counts as the last one


def cache_folder() -> Path:
    """Where the copies are: `remote` in $UNIFIED_VL_CACHE, or in the user's cache."""
    given, xdg = os.environ.get(FOLDER), os.environ.get("XDG_CACHE_HOME")
    home = Path(xdg) if xdg else Path.home() / ".cache"
    return (Path(given) if given else home / "unified_vl") / "remote"


def most_bytes() -> int:
    """How many bytes the copies may have together.

    Raises:
        UserError: where the environment says what is no number.
    """
    given = os.environ.get(LIMIT)
    if not given:
        return MOST
    try:
        number = float(given)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise UserError(f"found {given!r}", field=LIMIT, expected="a number of GiB, such as 50")
    return int(number * GIB)


class Cache:
    """The copies in a folder, as one process uses them. Several threads may.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._in_use: set[str] = set()
        self._list: IO[str] | None = None
        self._process = os.getpid()
        self._spare = 0  # bytes that may be added before all are counted again
        self._touched: dict[str, float] = {}

    def find(self, key: str, name: str, keep: bool) -> Path | None:
        """A copy that is there, from now on the one used last; None where there is none."""
        path = self._place(key) / name
        with self._lock:
            if keep:
                self._keep(key)
            if not path.is_file():
                return None
            now = time.monotonic()
            if now - self._touched.get(key, -_USED_AGAIN) >= _USED_AGAIN:
                self._touched[key] = now
                with contextlib.suppress(OSError):
                    os.utime(path.parent)
        return path

    def add(self, key: str, name: str, size: int, keep: bool, get: Callable[[Path], None]) -> Path:
        """A copy, which `get` writes to the path that it is given, unless another did meanwhile.

        Raises:
            UserError: when files in use leave no room for it, or the cache cannot be written.
            DiskFull: when the disk does.
        """
        place = self._place(key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            # of large files a second process waits for the first
            with FileLock(f"{place}.lock"):
                found = self.find(key, name, keep)
                if found is not None:
                    return found
                self._make_room(size)
                partial = place.with_name(f"{place.name}.partial-{uuid4().hex[:8]}")
                try:
                    with telling_disk_full(f"{self.folder}: no room for a copy of {size} bytes"):
                        partial.mkdir()
                        get(partial / name)
                    written = (partial / name).stat().st_size
                    with self._lock:
                        self._spare -= written
                    with contextlib.suppress(OSError):  # there already
                        partial.rename(place)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", file=self.folder) from error
        finally:
            with contextlib.suppress(OSError):
                Path(f"{place}.lock").unlink()
        return place / name

    def release(self, key: str) -> None:
        """A copy is no longer in use; it stays while there is room."""
        with self._lock:
            self._in_use.discard(key)
            self._write_list()

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _keep(self, key: str) -> None:
        if key in self._in_use and self._process == os.getpid():
            return
        self._in_use.add(key)
        self._write_list()

    def _write_list(self) -> None:
        """Say what is in use to all who would remove it."""
        if self._list is None or self._process != os.getpid():  # a fork has a list of its own
            folder = self.folder / "in_use"
            folder.mkdir(parents=True, exist_ok=True)
            self._list = (folder / f"{os.getpid()}-{uuid4().hex[:8]}").open("w")
            self._process = os.getpid()
            fcntl.flock(self._list, fcntl.LOCK_EX)
        self._list.seek(0)
        self._list.write("".join(f"{key}\n" for key in sorted(self._in_use)))
        self._list.truncate()
        self._list.flush()

    def _all_in_use(self) -> set[str]:
        found: set[str] = set()
        for path in (self.folder / "in_use").glob("*"):
            if self._list is not None and path.name == Path(self._list.name).name:
                found |= self._in_use
                continue
            with contextlib.suppress(OSError), path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()  # its process is gone
                except BlockingIOError:
                    found |= set(file.read().split())
        return found

    def _make_room(self, size: int) -> None:
        """That `size` bytes more are no more than the limit.

        All are counted again once this process added a sixteenth of the limit; so several
        processes may be above it by as much each.
        """
        with self._lock:
            if size <= self._spare:
                return
            most = most_bytes()
            with FileLock(f"{self.folder / 'count'}.lock"):
                copies = sorted(self._copies())
                total = sum(size for _, size, _ in copies)
                kept = self._all_in_use()
                for _, each, path in copies:
                    if total + size <= most:
                        break
                    if path.name not in kept:
                        shutil.rmtree(path, ignore_errors=True)
                        total -= each
            if total + size > most:
                raise UserError(
                    f"the cache {str(self.folder)!r} has no room for {size} bytes: it may hold "
                    f"{most}, and {total} are in use",
                    expected=f"a larger {LIMIT}, or data.stream",
                )
            self._spare = min(most - total, max(size, most // 16))

    def _copies(self) -> Iterator[tuple[float, int, Path]]:
        """When each was last used, its size, and its folder; what a killed process left of half
        a copy goes, after a day."""
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                used = path.stat().st_mtime
                if ".partial-" in path.name:
                    if time.time() - used > 86_400:
                        shutil.rmtree(path, ignore_errors=True)
                    continue
                if path.is_dir():
                    yield used, sum(each.stat().st_size for each in path.iterdir()), path
