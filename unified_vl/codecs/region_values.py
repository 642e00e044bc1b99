"""Regions of an image as the numbers that a model reads of each.

Legend: R regions, F numbers of a feature, V = 10 + F numbers of a region, Y hidden regions whose
classes a file has the probabilities of, K classes, L = 1 + K numbers of such a region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from unified_vl.errors import BadRow, UserError
from unified_vl.kinds.hooks.segments import Regions

# left, top, right, bottom and area as fractions of the image; then these, and then the feature
BOX, ORDER, CLASS, SCORE, HIDDEN, ATTRIBUTE, FEATURE = slice(0, 5), 5, 6, 7, 8, 9, 10
REGION, LABELS = 0, slice(1, None)  # of labels: whose they are, and then the probabilities


@dataclass(frozen=True)
class RegionSizes:
    """Of the regions that a model reads.

    Attributes:
        features: numbers of a feature; None where no model is known, and any number goes.
        classes: of the detector; None where the model reads none.
        attributes: of the detector; likewise.
    """

    features: int | None = None
    classes: int | None = None
    attributes: int | None = None


def region_values(regions: Regions, sizes: RegionSizes | None) -> np.ndarray:
    """What a model reads of an image's regions, (R, V) float32.

    Classes and attributes are whole numbers, exact in float32 up to 2 ** 24; -1 stands for none.

    Raises:
        BadRow: for features of another width, or a class or attribute beyond those of the model.
        UserError: for a model that reads no regions.
    """
    if sizes is None:
        raise UserError("the model reads no regions", expected="model.region_features of its run")
    features_RF = regions.features_RF
    assert features_RF is not None, "regions that were measured are read before they are encoded"
    rows, width = features_RF.shape
    if sizes.features not in (None, width):
        raise BadRow(
            f"features have {width} numbers", expected=f"{sizes.features}, as model.region_features"
        )
    values_RV = np.empty((rows, FEATURE + width), np.float32)
    values_RV[:, :4] = regions.boxes_R4
    sides_R2 = regions.boxes_R4[:, 2:] - regions.boxes_R4[:, :2]
    values_RV[:, 4] = sides_R2.prod(1)
    values_RV[:, ORDER] = np.arange(rows)
    values_RV[:, CLASS] = _named(regions.classes_R, "class", "classes", sizes.classes)
    values_RV[:, SCORE] = regions.scores_R
    values_RV[:, HIDDEN] = regions.hidden_R
    values_RV[:, ATTRIBUTE] = _named(
        regions.attributes_R, "attribute", "attributes", sizes.attributes
    )
    values_RV[:, FEATURE:] = features_RF
    return values_RV


def _named(told_R: np.ndarray, one: str, many: str, known: int | None) -> np.ndarray:
    """Classes or attributes of a detector, none where the model reads none."""
    if known is None:
        return np.full(len(told_R), -1)
    if told_R.max(initial=-1) >= known:
        found = f"found the {one} {told_R.max()}"
        raise BadRow(found, expected=f"below {known}, model.region_{many}")
    return np.maximum(told_R, -1)


def region_labels(regions: Regions, sizes: RegionSizes | None) -> np.ndarray | None:
    """What hidden regions are to be guessed as, (Y, L) float32; None where no file says it.

    Raises:
        BadRow: for another number of classes than the model has.
    """
    label_RK, hidden_R = regions.labels_RK, regions.hidden_R
    if label_RK is None or sizes is None or sizes.classes is None:
        return None
    if label_RK.shape[1] != sizes.classes:
        raise BadRow(
            f"soft_labels have {label_RK.shape[1]} numbers",
            expected=f"{sizes.classes}, as model.region_classes",
        )
    if not hidden_R.any():
        return None
    place_Y1 = np.flatnonzero(hidden_R)[:, None]
    return np.concatenate([place_Y1, label_RK[hidden_R]], 1, dtype=np.float32)


def joined_labels(several: Iterable[tuple[int, np.ndarray | None]]) -> np.ndarray | None:
    """Labels of images, or of rows, that follow each other, (Y, L); None where none has any.

    Args:
        several: how many regions each has, and its labels.
    """
    found, before = [], 0
    for count, label_YL in several:
        if label_YL is not None:
            found.append(label_YL.copy())
            found[-1][:, REGION] += before
        before += count
    return np.concatenate(found) if found else None
