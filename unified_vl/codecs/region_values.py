"""Regions of an image as the numbers that a model reads of each.

Legend: R regions, F numbers of a feature, V = 9 + F numbers of a region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unified_vl.errors import BadRow, UserError
from unified_vl.kinds.hooks.segments import Regions

# left, top, right, bottom and area as fractions of the image; then these, and then the feature
BOX, ORDER, CLASS, SCORE, HIDDEN, FEATURE = slice(0, 5), 5, 6, 7, 8, 9


@dataclass(frozen=True)
class RegionSizes:
    """Of the regions that a model reads.

    Attributes:
        features: numbers of a feature; None where no model is known, and any number goes.
        classes: of the detector; None where the model reads none.
    """

    features: int | None = None
    classes: int | None = None


def region_values(regions: Regions, sizes: RegionSizes | None) -> np.ndarray:
    """What a model reads of an image's regions, (R, V) float32.

    Classes are whole numbers, exact in float32 up to 2 ** 24; -1 stands for none.

    Raises:
        BadRow: for features of another width, or a class beyond those of the model.
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
    classes_R = regions.classes_R if sizes.classes is not None else np.full(rows, -1)
    if sizes.classes is not None and classes_R.max(initial=-1) >= sizes.classes:
        found = f"found the class {classes_R.max()}"
        raise BadRow(found, expected=f"below {sizes.classes}, model.region_classes")
    values_RV = np.empty((rows, FEATURE + width), np.float32)
    values_RV[:, :4] = regions.boxes_R4
    sides_R2 = regions.boxes_R4[:, 2:] - regions.boxes_R4[:, :2]
    values_RV[:, 4] = sides_R2.prod(1)
    values_RV[:, ORDER] = np.arange(rows)
    values_RV[:, CLASS] = np.maximum(classes_R, -1)
    values_RV[:, SCORE] = regions.scores_R
    values_RV[:, HIDDEN] = regions.hidden_R
    values_RV[:, FEATURE:] = features_RF
    return values_RV
