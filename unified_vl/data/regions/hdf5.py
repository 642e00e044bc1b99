"""HDF5 files as VL-T5 published them: a group an image, with its arrays."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from unified_vl.data.regions.record import NAMES, RegionRecord, record_of
from unified_vl.errors import BadRow, UserError
from unified_vl.extras import require


class Hdf5Store:
    """An HDF5 file with IMAGE/features, IMAGE/boxes, IMAGE/img_w, IMAGE/img_h and, where it has
    them, IMAGE/obj_id, IMAGE/obj_conf, IMAGE/attr_id and IMAGE/soft_labels.

    Raises:
        UserError: without h5py, or for another file.
    """

    def __init__(self, path: Path) -> None:
        require("h5py")
        import h5py

        self.path = path
        try:
            self._file: Any = h5py.File(path, "r")
        except OSError as error:
            raise UserError(f"is no HDF5 file: {error}", file=path) from error
        self._lock = threading.Lock()  # HDF5 does one thing at a time

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return self._group(name) is not None

    def get(self, name: str, *, features: bool = True, labels: bool = False) -> RegionRecord:
        where = f"{self.path}, image {name!r}"
        with self._lock:
            group = self._group(name)

            def get(key: str) -> Any:
                known = next((each for each in NAMES[key] if each in group), None)
                return None if known is None else _array(group, known, where)

            try:
                return record_of(get, where, features=features, labels=labels)
            except (OSError, KeyError) as error:
                raise BadRow(f"cannot be read: {error}", file=where) from error

    def _group(self, name: str) -> Any:
        import h5py

        if (
            not name
            or "/" in name
            or not isinstance(self._file.get(name, getlink=True), h5py.HardLink)
        ):
            return None
        found = self._file[name]
        return found if isinstance(found, h5py.Group) else None


def _array(group: Any, name: str, where: str) -> Any:
    """An array that lies in the file itself: others may be named by it."""
    import h5py

    within = isinstance(group.get(name, getlink=True), h5py.HardLink)
    found = group[name] if within else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise BadRow(f"has {name!r} that is no array of this file", file=where)
    return found[()]
