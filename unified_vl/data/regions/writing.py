"""Writes files of region features, in each of the formats that are read.

Legend: R regions, F numbers of a feature, K classes, 4 left, top, right and bottom.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unified_vl.errors import UserError
from unified_vl.extras import require

ROW_GROUP = 64  # images: as many are held when one is looked up


@dataclass(frozen=True, slots=True, eq=False)
class ImageRegions:
    """The regions of an image that are written.

    Attributes:
        name: of the image.
        size: (width, height) of it.
        boxes_R4: float32, in pixels of it.
        features_RF: float32.
        classes_R: int64; None where nothing says it, in all images alike, as for what follows.
        scores_R: float32.
        attributes_R: int64.
        labels_RK: float32, the probabilities of all classes; a .tsv has no place for them.
    """

    name: str
    size: tuple[int, int]
    boxes_R4: np.ndarray
    features_RF: np.ndarray
    classes_R: np.ndarray | None = None
    scores_R: np.ndarray | None = None
    attributes_R: np.ndarray | None = None
    labels_RK: np.ndarray | None = None


def write_regions(path: Path, images: Iterable[ImageRegions]) -> int:
    """Write a .tsv, .h5 or .parquet file, or a folder of .npz files; says how many images.

    A file is there under its name once it is whole.

    Args:
        path: what its ending says; without one a folder.
        images: each under a name of its own.

    Raises:
        UserError: for another ending, a name that is none, or what has no place in a .tsv; of .h5
            without h5py.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        expected = f"one that ends in {', '.join(e for e in WRITERS if e)}, or a folder"
        raise UserError("is no file of region features", file=path, expected=expected)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.suffix:
        return writer(path, images)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        count = writer(unfinished, images)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _write_tsv(path: Path, images: Iterable[ImageRegions]) -> int:
    count = 0
    with path.open("wb") as file:
        for each in images:
            file.write(_line(each))
            count += 1
    return count


def _line(image: ImageRegions) -> bytes:
    """That of bottom-up attention, or LXMERT's where more is known of the regions."""
    if set(image.name) & set("\t\r\n"):
        raise UserError(f"the name {image.name!r} has a tab or ends a line")
    if image.labels_RK is not None:
        raise UserError("a .tsv has no place for soft_labels", expected=".npz, .h5 or .parquet")
    width, height = image.size
    rows = len(image.boxes_R4)
    behind = [str(rows).encode(), _base64(image.boxes_R4), _base64(image.features_RF)]
    cells = [image.name.encode(), str(width).encode(), str(height).encode(), *behind]
    if any(told is not None for told in (image.classes_R, image.scores_R, image.attributes_R)):
        none_R, zero_R = np.full(rows, -1, np.int64), np.zeros(rows, np.float32)
        scores_R = np.ones(rows, np.float32) if image.scores_R is None else image.scores_R
        classes_R = none_R if image.classes_R is None else image.classes_R
        attributes_R = none_R if image.attributes_R is None else image.attributes_R
        told = [_base64(each) for each in (classes_R, scores_R, attributes_R, zero_R)]
        cells = [cells[0], cells[2], cells[1], *told, *behind]
    return b"\t".join(cells) + b"\n"


def _base64(array: np.ndarray) -> bytes:
    kind = "<i8" if array.dtype.kind in "iu" else "<f4"
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes())


def _arrays(image: ImageRegions) -> dict[str, Any]:
    """By the names of LXMERT and VL-T5."""
    width, height = image.size
    found = {"img_w": width, "img_h": height, "boxes": image.boxes_R4}
    told = {
        "obj_id": image.classes_R,
        "obj_conf": image.scores_R,
        "attr_id": image.attributes_R,
        "soft_labels": image.labels_RK,
    }
    return {
        **found,
        **{name: value for name, value in told.items() if value is not None},
        "features": image.features_RF,
    }


def _write_npz(path: Path, images: Iterable[ImageRegions]) -> int:
    path.mkdir(exist_ok=True)
    count = 0
    for each in images:
        count += 1
        if not each.name or set(each.name) & set("/\\\0"):
            raise UserError(f"the name {each.name!r} is none of a file", file=path)
        np.savez(path / f"{each.name}.npz", **_arrays(each))
    return count


def _write_hdf5(path: Path, images: Iterable[ImageRegions]) -> int:
    require("h5py")
    import h5py

    count = 0
    with h5py.File(path, "w") as file:
        for each in images:
            count += 1
            if not each.name or "/" in each.name:
                raise UserError(f"the name {each.name!r} is none of a group", file=path)
            group = file.create_group(each.name)
            for name, value in _arrays(each).items():
                group.create_dataset(name, data=value)
    return count


def _write_parquet(path: Path, images: Iterable[ImageRegions]) -> int:
    count, writer = 0, None
    try:
        for batch in _batches(images):
            writer = writer or pq.ParquetWriter(path, batch.schema)
            writer.write_batch(batch, row_group_size=ROW_GROUP)
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise UserError("there are no images to write", file=path)
    return count


def _batches(images: Iterable[ImageRegions]) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for image in images:
        rows.append({"img_id": image.name, **_arrays(image)})
        if len(rows) == ROW_GROUP:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    columns = {}
    for name, first in rows[0].items():
        values = [row[name] for row in rows]
        if isinstance(first, np.ndarray):
            kind = pa.int64() if first.dtype.kind in "iu" else pa.float32()
            columns[name] = pa.array([v.reshape(-1) for v in values], pa.list_(kind))
        else:
            columns[name] = pa.array(values)
    return pa.RecordBatch.from_pydict(columns)


WRITERS: dict[str, Callable[[Path, Iterable[ImageRegions]], int]] = {
    ".tsv": _write_tsv,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".parquet": _write_parquet,
    "": _write_npz,
}
