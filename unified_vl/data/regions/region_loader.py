"""The regions that rows name: looked up in files, and brought to what the model reads.

Legend: R regions, F numbers of a feature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from random import Random

import numpy as np

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.regions.npz import read_npz
from unified_vl.data.regions.record import NAMES, RegionRecord, record_of
from unified_vl.data.regions.stores import RegionStore, open_store
from unified_vl.data.rows.row import Row
from unified_vl.errors import BadRow
from unified_vl.kinds.hooks.segments import Regions
from unified_vl.specs.tasks.fields import FieldSpec

_NUMBER = re.compile(r"([0-9]+)$")


class RegionLoader:
    """Reads regions of images.

    Args:
        images: knows the data root.
        features: whether features are read; without, as where rows are measured, boxes alone.
        labels: whether the probabilities of all classes are read, where a field hides regions.
    """

    def __init__(self, images: ImageLoader, *, features: bool = True, labels: bool = False) -> None:
        self._images = images
        self._features = features
        self._labels = labels and features

    def load(self, row: Row, value: object, field: FieldSpec, random: Random | None) -> Regions:
        """The regions that a row names, no more than the field's `most`.

        Args:
            row: that they are of.
            value: the name of an image in the field's files, its path (whose name, or the number
                at its end, is looked up), the path of an .npz file, or the arrays of one by name.
            field: which files, and how many regions.
            random: draws those that are hidden in training; None hides none.

        Raises:
            BadRow: for an image that no file has, or regions that are broken.
            UserError: for a file of another format.
        """
        record = self._record(row, value, field)
        most = field.most or len(record.boxes_R4)
        boxes_R4 = record.boxes_R4[:most]
        rows = len(boxes_R4)
        hidden_R = np.zeros(rows, bool)
        if field.hide is not None and random is not None:
            hidden_R = np.array([random.random() < field.hide for _ in range(rows)])
        unknown_R = np.full(rows, -1, np.int64)
        classes, scores, attributes = record.classes_R, record.scores_R, record.attributes_R
        return Regions(
            boxes_R4,
            None if record.features_RF is None else record.features_RF[:most],
            unknown_R if classes is None else classes[:most],
            np.ones(rows, np.float32) if scores is None else scores[:most],
            hidden_R,
            unknown_R if attributes is None else attributes[:most],
            record.size,
            None if record.labels_RK is None else record.labels_RK[:most],
        )

    def _record(self, row: Row, value: object, field: FieldSpec) -> RegionRecord:
        labels = self._labels and field.hide is not None
        parts = {"features": self._features, "labels": labels}
        if isinstance(value, Mapping):

            def get(key: str) -> object:
                return next((value[name] for name in NAMES[key] if name in value), None)

            return record_of(get, row.where, **parts)
        if not isinstance(value, (str, int, Path)) or isinstance(value, bool) or value == "":
            found = f"found {type(value).__name__} in place of an image's name"
            raise BadRow(found, file=row.where)
        if str(value).endswith(".npz"):
            name = str(row.image(str(value)))
            path = self._images.resolve(name, row.where, row.linked, what="file of regions")
            with path.open("rb") as file:
                return read_npz(file, str(value), **parts)
        if field.features is None:
            raise BadRow(
                f"found {value!r} in place of regions",
                file=row.where,
                expected="an .npz file, or `features` of the field",
            )
        stores = self._stores(row, field.features)
        for name in names_of(str(value)):
            for store in stores:
                if name in store:
                    return store.get(name, **parts)
        raise BadRow(f"no file of features has the image {value!r}", file=row.where)

    def _stores(self, row: Row, names: tuple[str, ...]) -> list[RegionStore]:
        resolve = self._images.resolve
        found = (
            resolve(name, row.where, what="file of features", or_folder=True) for name in names
        )
        return [open_store(path) for path in found]


def names_of(value: str) -> Iterator[str]:
    """What an image may be called in files of features, which leave out folders and endings, and
    of COCO's names all but the number."""
    yield value
    stem = PurePosixPath(value.replace("\\", "/")).stem
    if stem != value:
        yield stem
    number = _NUMBER.search(stem)
    if number is not None and str(int(number[1])) != stem:
        yield str(int(number[1]))
