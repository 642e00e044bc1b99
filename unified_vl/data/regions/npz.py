"""Folders of .npz files, one an image, as UNITER's and those of bottom-up attention in PyTorch."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unified_vl.data.regions.record import NAMES, RegionRecord, record_of
from unified_vl.errors import BadRow

_ZIP = b"PK\x03\x04"  # begins an archive; numpy would take others for arrays or pickles
_FOREIGN = (
    *(ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error),
    RuntimeError,  # an archive that is encrypted, or compressed as none is
    MemoryError,  # a header that says more numbers than there are
)


class NpzFolder:
    """A folder with NAME.npz for each image."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, name: str) -> bool:
        return bool(name) and not set(name) & set("/\\\0") and self._file(name).is_file()

    def get(self, name: str, *, features: bool = True, labels: bool = False) -> RegionRecord:
        path = self._file(name)
        with path.open("rb") as file:
            return read_npz(file, str(path), features=features, labels=labels)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.npz"


def read_npz(file: BinaryIO, where: str, *, features: bool, labels: bool = False) -> RegionRecord:
    """The regions in an .npz file. Nothing is unpickled.

    Raises:
        BadRow: for a file that is broken or has other arrays.
    """
    if file.read(len(_ZIP)) != _ZIP:
        raise BadRow("is no .npz file of regions: it is no zip archive", file=where)
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as arrays:

            def get(key: str) -> Any:
                name = next((each for each in NAMES[key] if each in arrays), None)
                return None if name is None else _array(arrays, name, where)

            return record_of(get, where, features=features, labels=labels)
    except BadRow:
        raise
    except _FOREIGN as error:
        raise BadRow(f"is no .npz file of regions: {error}", file=where) from error


def _array(arrays: Any, name: str, where: str) -> Any:
    try:
        return arrays[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        found = f"has {name} that are pickled objects, which are not read"
        raise BadRow(found, file=where, expected="an array of numbers") from error
