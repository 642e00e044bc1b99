"""What files of region features say of one image, whatever they call it.

Legend: R regions, F numbers of a feature, 4 left, top, right and bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unified_vl.errors import BadRow

NAMES: Mapping[str, tuple[str, ...]] = {
    "features": ("features", "x"),
    "boxes": ("boxes", "bbox"),
    "relative": ("norm_bb",),
    "width": ("image_w", "img_w", "width", "image_width"),
    "height": ("image_h", "img_h", "height", "image_height"),
    "classes": ("objects_id", "obj_id", "classes"),
    "scores": ("objects_conf", "obj_conf", "scores", "conf"),
    "attributes": ("attrs_id", "attr_id", "attributes"),
    "labels": ("soft_labels",),
    "count": ("num_boxes", "num_bbox"),
}
"""What is told of an image: as the published files of bottom-up attention, LXMERT, UNITER and
VL-T5 call it."""
KEYS = ("image_id", "img_id", "id")  # of the image, in a table
OPTIONAL = ("classes", "scores", "attributes")
ROUNDED = 0.02  # how far a sum of probabilities in float16 may be from 1
BEYOND = 0.02  # of a side, and a pixel: what roundings may put a corner beyond an edge


@dataclass(frozen=True, slots=True, eq=False)
class RegionRecord:
    """The regions of an image, in the order of the file.

    Attributes:
        boxes_R4: float32, as fractions of the image.
        features_RF: float32; None where they were not asked for.
        classes_R: int64; None where the file does not say it, as for what follows.
        scores_R: float32.
        attributes_R: int64.
        labels_RK: float32, the probabilities of all classes; also None where they were not asked
            for.
        size: (width, height) of the image in pixels.
    """

    boxes_R4: np.ndarray
    features_RF: np.ndarray | None
    classes_R: np.ndarray | None = None
    scores_R: np.ndarray | None = None
    attributes_R: np.ndarray | None = None
    labels_RK: np.ndarray | None = None
    size: tuple[int, int] | None = None


def record_of(
    get: Callable[[str], Any], where: str, *, features: bool, labels: bool = False
) -> RegionRecord:
    """A record of what a file has under its own names.

    Args:
        get: the value under a name, as an array or a number; None where there is none.
        where: the file and the image, for messages.
        features: whether features are asked for.
        labels: whether the probabilities of all classes are, too.

    Raises:
        BadRow: for what is missing, of another shape, or no number.
    """
    given = get("count")
    count = None if given is None else int(_number("count", given, where))
    boxes_R4, size = _boxes(get, where, count)
    rows = len(boxes_R4) if count is None else count
    if rows > len(boxes_R4) or rows < 1:
        raise BadRow(f"says {rows} regions and has {len(boxes_R4)} boxes", file=where)
    padded = count is not None
    found = {name: _told(name, get(name), rows, padded, where) for name in OPTIONAL}
    features_RF = None
    if features:
        value = get("features")
        if value is None:
            raise BadRow("has no features", file=where, expected=" or ".join(NAMES["features"]))
        features_RF = _vectors("features", value, rows, padded, where)
    return RegionRecord(
        boxes_R4[:rows],
        features_RF,
        found["classes"],
        found["scores"],
        found["attributes"],
        _labels(get("labels"), rows, padded, where) if labels else None,
        size,
    )


def _vectors(name: str, value: Any, rows: int, padded: bool, where: str) -> np.ndarray:
    """As many numbers of each region (R, N), float32; they may come in one row, and if `padded`
    there may be more behind them."""
    numbers = _numbers(value, name, where).astype(np.float32, copy=False)
    if numbers.ndim == 1 and len(numbers) % rows == 0:
        numbers = numbers.reshape(rows, -1)
    if numbers.ndim != 2 or not _suits(len(numbers), rows, padded) or not numbers.shape[1]:
        shape = list(numbers.shape)
        raise BadRow(f"has {name} of shape {shape} for {rows} boxes", file=where)
    return numbers[:rows]


def _suits(found: int, rows: int, padded: bool) -> bool:
    return found >= rows if padded else found == rows


def _labels(value: Any, rows: int, padded: bool, where: str) -> np.ndarray | None:
    """Probabilities (R, K), whose sums are 1 but for roundings of float16, which are made good."""
    if value is None:
        return None
    label_RK = _vectors("soft_labels", value, rows, padded, where)
    sum_R1 = label_RK.sum(1, keepdims=True)
    wrong_R = (abs(sum_R1[:, 0] - 1) > ROUNDED) | (label_RK < 0).any(1)
    if wrong_R.any():
        said = f"has soft_labels that are no probabilities: a sum of {sum_R1[wrong_R][0, 0]:g}"
        if (label_RK < 0).any():
            said = f"has soft_labels that are no probabilities: one is {label_RK.min():g}"
        raise BadRow(said, file=where, expected="numbers of at least 0 whose sum is 1")
    whole_RK: np.ndarray = label_RK / sum_R1
    return whole_RK


def _told(name: str, value: Any, rows: int, padded: bool, where: str) -> np.ndarray | None:
    """What is told of each region, where it is."""
    if value is None:
        return None
    told_R = _numbers(value, name, where).reshape(-1)
    if not _suits(len(told_R), rows, padded):
        raise BadRow(f"has {rows} boxes and {len(told_R)} {name}", file=where)
    told_R = told_R[:rows]
    kind: type[np.generic] = np.float32 if name == "scores" else np.int64
    if name == "scores":
        wrong_R = (told_R < -ROUNDED) | (told_R > 1 + ROUNDED)
        expected = "numbers from 0 to 1"
    else:
        wrong_R = (told_R < -1) | (told_R != np.floor(told_R)) | (told_R > np.iinfo(np.int32).max)
        expected = "whole numbers from 0, or -1 for none"
    if wrong_R.any():
        raise BadRow(f"has {told_R[wrong_R][0]:g} among its {name}", file=where, expected=expected)
    return told_R.astype(kind)


def _boxes(
    get: Callable[[str], Any], where: str, count: int | None
) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Boxes as fractions, and the image's size, where it is known; a corner beyond an edge by a
    rounding comes back to it. Of more than `count` boxes the rest is padding."""
    relative = get("relative")
    value = get("boxes") if relative is None else relative
    if value is None:
        raise BadRow("has no boxes", file=where, expected=" or ".join(NAMES["boxes"]))
    boxes = _numbers(value, "boxes", where).astype(np.float32)
    if boxes.ndim == 1 and boxes.size % 4 == 0:
        boxes = boxes.reshape(-1, 4)
    if boxes.ndim != 2 or boxes.shape[1] < 4:
        raise BadRow(f"has boxes of shape {list(boxes.shape)}", file=where, expected="[N, 4]")
    boxes_R4: np.ndarray = boxes[: count if count is not None and count > 0 else None, :4]
    size = _size(get, where)
    if relative is None:
        if size is None:
            expected = "image_w and image_h, or norm_bb"
            raise BadRow("does not say how large the image is", file=where, expected=expected)
        boxes_R4 = boxes_R4 / np.array([*size, *size], np.float32)
    pixel_4 = np.zeros(4) if size is None else 1 / np.array([*size, *size])
    beyond_R = ((boxes_R4 < -BEYOND - pixel_4) | (boxes_R4 > 1 + BEYOND + pixel_4)).any(1)
    if beyond_R.any():
        found = ", ".join(f"{side:g}" for side in boxes[beyond_R.argmax(), :4])
        image = "fractions of the image, 0 to 1"
        if relative is None and size is not None:
            image = f"places within the image, which is {size[0]} x {size[1]}"
        raise BadRow(f"has the box [{found}]", file=where, expected=image)
    boxes_R4 = boxes_R4.clip(0, 1)
    if not (boxes_R4[:, :2] <= boxes_R4[:, 2:]).all():
        raise BadRow("has a box whose right or bottom lies before its left or top", file=where)
    return boxes_R4, size


def _size(get: Callable[[str], Any], where: str) -> tuple[int, int] | None:
    sides = [get("width"), get("height")]
    if any(side is None for side in sides):
        return None
    width, height = (
        _number(name, side, where) for name, side in zip(("width", "height"), sides, strict=True)
    )
    if not (width >= 1 and height >= 1):
        raise BadRow(f"says that the image is {width:g} x {height:g}", file=where)
    return int(width), int(height)


def _number(name: str, value: Any, where: str) -> float:
    """One number, as it is or in an array of one."""
    try:
        numbers = _numbers(value, name, where).reshape(-1)
    except BadRow:
        numbers = np.empty(0)
    if len(numbers) != 1:
        raise BadRow(f"has {str(value)[:30]!r} as its {name}", file=where, expected="one number")
    return float(numbers[0])


def _numbers(value: Any, name: str, where: str) -> np.ndarray:
    """Numbers of any type that float32 can hold: what lies beyond it is infinite to a model."""
    try:
        array = np.asarray(value)
        numbers = array.astype(np.float64) if array.dtype.kind in "bO" else array
        if numbers.dtype.kind not in "fiu":
            raise ValueError
        with np.errstate(over="ignore"):
            finite = np.isfinite(numbers.astype(np.float32)).all()
    except (TypeError, ValueError) as error:
        raise BadRow(f"has {name} that are no numbers", file=where) from error
    if not finite:
        raise BadRow(f"has {name} that are no finite numbers", file=where)
    return numbers
