"""Opens files of region features by what they are, once in a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from unified_vl.data.regions.hdf5 import Hdf5Store
from unified_vl.data.regions.npz import NpzFolder
from unified_vl.data.regions.parquet import ParquetStore
from unified_vl.data.regions.record import RegionRecord
from unified_vl.data.regions.tsv import TsvStore
from unified_vl.errors import UserError


class RegionStore(Protocol):
    """A file in which images are looked up; no more of it is in memory than where each is."""

    def __contains__(self, name: str) -> bool:
        """Whether it has an image of this name."""

    def get(self, name: str, *, features: bool = True, labels: bool = False) -> RegionRecord:
        """The regions of an image that is there.

        Args:
            name: of the image.
            features: whether these are asked for; without, less is read.
            labels: whether the probabilities of all classes are.

        Raises:
            BadRow: for a record that is broken.
        """


OPENERS: dict[str, Callable[[Path], RegionStore]] = {
    ".tsv": TsvStore,
    ".h5": Hdf5Store,
    ".hdf5": Hdf5Store,
    ".parquet": ParquetStore,
}
_open: dict[tuple[str, int, int], RegionStore] = {}
_lock = threading.Lock()


def open_store(path: Path) -> RegionStore:
    """The store of a file or folder; that of one which did not change is opened once.

    Raises:
        UserError: for a file that is of no such format.
    """
    if path.is_dir():
        return NpzFolder(path)
    opener = OPENERS.get(path.suffix.lower())
    if opener is None:
        raise UserError(
            "is no file of region features",
            file=path,
            expected=f"{', '.join(OPENERS)} or a folder of .npz files",
        )
    state = path.stat()
    key = str(path), state.st_size, state.st_mtime_ns
    with _lock:
        if key not in _open:
            _open[key] = opener(path)
        return _open[key]
