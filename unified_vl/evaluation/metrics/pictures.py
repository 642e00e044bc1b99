"""How well the pictures that a model wrote match the true ones.

Pictures are uint8 RGB arrays (H, W, 3), all of one size.

Legend: N rows, K distinct true pictures, P numbers of a picture, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unified_vl.evaluation.metrics.images import WINDOW, psnr, ssim
from unified_vl.evaluation.metrics.statistics import Floats, per_row

Picture = np.ndarray
BEST_PSNR = 100.0  # dB, of equal pictures; infinity has no mean
RIGHT_PSNR = 20.0  # dB, from which a picture counts as right
BRIGHT = 128  # of a mask: the thing is where the mean of RGB reaches this
ROWS_AT_ONCE = 512
STACKED = 64


def psnr_rows(found: Sequence[Picture], true: Sequence[Picture]) -> Floats:
    """PSNR of each row in dB, at most 100."""
    return _some_at_once(lambda x, y: np.minimum(psnr(x, y), BEST_PSNR), found, true)


def ssim_rows(found: Sequence[Picture], true: Sequence[Picture]) -> Floats:
    """SSIM of each row, 1 for equal pictures; small ones are enlarged to hold its window."""

    def enlarged(pictures_NHWC: np.ndarray) -> np.ndarray:
        times = -(-WINDOW // min(pictures_NHWC.shape[1:3]))
        return pictures_NHWC.repeat(times, 1).repeat(times, 2)

    return _some_at_once(lambda x, y: ssim(enlarged(x), enlarged(y)), found, true)


def _some_at_once(
    rule: Callable[[np.ndarray, np.ndarray], np.ndarray],
    found: Sequence[Picture],
    true: Sequence[Picture],
) -> Floats:
    """What a rule gives stacks of pictures, without all of them in floats at once."""
    values: list[float] = []
    for start in range(0, len(found), STACKED):
        part = slice(start, start + STACKED)
        values += rule(np.stack(found[part]), np.stack(true[part])).tolist()
    return per_row(values)


def mask_iou(found_HWC: Picture, true_HWC: Picture) -> float:
    """Intersection over union of what is bright in two pictures; 1 where nothing is in either."""
    found_HW, true_HW = (p.mean(axis=2) >= BRIGHT for p in (found_HWC, true_HWC))
    union = int((found_HW | true_HW).sum())
    return float((found_HW & true_HW).sum() / union) if union else 1.0


def nearest_rows(found: Sequence[Picture], true: Sequence[Picture], top: int) -> Floats:
    """Whether a row's true picture is among the `top` nearest to what was drawn.

    A nearest-neighbour classifier by squared error, whose classes are the distinct true
    pictures of all rows. Among equally near ones the row's own comes last.
    """
    if not len(found):
        return per_row([])
    classes: dict[bytes, int] = {}
    own_N = np.array([classes.setdefault(picture.tobytes(), len(classes)) for picture in true])
    order = {number: row for row, number in reversed(list(enumerate(own_N.tolist())))}
    true_KP = np.stack([true[order[k]].reshape(-1) for k in range(len(classes))]).astype(np.float64)
    hits: list[bool] = []
    for start in range(0, len(found), ROWS_AT_ONCE):
        found_NP = np.stack([p.reshape(-1) for p in found[start : start + ROWS_AT_ONCE]])
        # |a - b|^2 without |a|^2, which is the same for all candidates of a row
        distance_NK = (true_KP**2).sum(1) - 2 * found_NP.astype(np.float64) @ true_KP.T
        own = own_N[start : start + ROWS_AT_ONCE, None]
        mine_N1 = np.take_along_axis(distance_NK, own, axis=1)
        before_N = (distance_NK <= mine_N1).sum(1) - 1  # others at least as near
        hits += (before_N < top).tolist()
    return per_row(hits)
