"""How well the pictures that a model wrote match the true ones.

Pictures are uint8 RGB arrays (H, W, 3), all of one size.

Legend: N rows, K distinct true pictures, P numbers of a picture, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unified_vl.metrics.images import WINDOW, psnr, ssim
from unified_vl.metrics.statistics import Floats, per_row

Picture = np.ndarray
BEST_PSNR = 100.0  # dB, of equal pictures; infinity has no mean
RIGHT_PSNR = 20.0  # dB, from which a picture counts as right
BRIGHT = 128  # of a mask: the thing is where the mean of RGB reaches this
AT_ONCE = 64  # pictures; in 64 bits a number they take eight times their own size


def psnr_rows(found: Sequence[Picture], true: Sequence[Picture]) -> Floats:
    """PSNR of each row in dB, at most 100."""
    return per_row([min(db, BEST_PSNR) for db in _of_pairs(psnr, found, true)])


def ssim_rows(found: Sequence[Picture], true: Sequence[Picture]) -> Floats:
    """SSIM of each row, 1 for equal pictures; small ones are enlarged to hold its window."""
    times = -(-WINDOW // min(true[0].shape[:2])) if len(true) else 1

    def enlarged(found_BHWC: Picture, true_BHWC: Picture) -> np.ndarray:
        return ssim(*(p.repeat(times, 1).repeat(times, 2) for p in (found_BHWC, true_BHWC)))

    return per_row(_of_pairs(enlarged, found, true))


def _of_pairs(
    rule: Callable[[Picture, Picture], np.ndarray],
    found: Sequence[Picture],
    true: Sequence[Picture],
) -> list[float]:
    """What a rule of (B, H, W, 3) gives each pair."""
    marks: list[float] = []
    for start in range(0, len(found), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        marks += rule(np.stack(found[some]), np.stack(true[some])).tolist()
    return marks


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
    places: dict[bytes, int] = {}
    own_N = np.array([places.setdefault(p.tobytes(), len(places)) for p in true], dtype=np.int64)
    classes = [true[row] for row in np.unique(own_N, return_index=True)[1]]
    before_N = np.zeros(len(found), dtype=np.int64)  # others that are at least as near
    for start in range(0, len(found), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        found_NP, own_NP = _flat(found[rows]), _flat(true[rows])
        mine_N = _distances(own_NP, np.einsum("np,np->n", found_NP, own_NP))
        for first in range(0, len(classes), AT_ONCE):
            true_KP = _flat(classes[first : first + AT_ONCE])
            distance_NK = _distances(true_KP, found_NP @ true_KP.T)
            other_NK = own_N[rows, None] != np.arange(first, first + len(true_KP))
            before_N[rows] += (other_NK & (distance_NK <= mine_N[:, None])).sum(1)
    return per_row((before_N < top).tolist())


def _flat(pictures: Sequence[Picture]) -> Floats:
    return np.stack([picture.reshape(-1) for picture in pictures]).astype(np.float64)


def _distances(true_KP: Floats, product: Floats) -> Floats:
    """Squared errors less the square of what was found, which is the same for all candidates.

    Sums of whole numbers below 2^53: exact, so equal distances are equal however they are summed.
    """
    return np.asarray(np.einsum("kp,kp->k", true_KP, true_KP) - 2 * product)
