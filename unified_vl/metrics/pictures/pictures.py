"""How well the pictures that a model wrote match the true ones.

Pictures are uint8 RGB arrays (H, W, 3), all of one size.

Legend: N rows, K distinct true pictures, P numbers of a picture, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unified_vl.metrics.answers import Answers, Predicted
from unified_vl.metrics.metric import Metric, plain_mean
from unified_vl.metrics.pictures.images import WINDOW, psnr, ssim
from unified_vl.metrics.statistics import Floats, per_row

Picture = np.ndarray
BEST_PSNR = 100.0  # dB, of equal pictures; infinity has no mean
RIGHT_PSNR = 20.0  # dB, from which a picture counts as right
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
    values: list[float] = []
    for start in range(0, len(found), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        values += rule(np.stack(found[some]), np.stack(true[some])).tolist()
    return values


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


def picture_of(prediction: Predicted) -> Picture:
    """The first picture of an answer."""
    return np.asarray(prediction.images[0])


def _true(answers: Answers) -> list[Picture]:
    """The true pictures; a row has one."""
    return [references[0] for references in answers.references]


def _right(found: Picture, true: Sequence[Picture], *_: Any) -> bool:
    """Whatever the metric: which picture is nearest depends on other rows."""
    return bool(psnr_rows([found], true)[0, 0] >= RIGHT_PSNR)


METRICS = (
    Metric(
        name="psnr",
        label="PSNR",
        about="mean over rows of the peak signal-to-noise ratio; equal pictures have 100",
        kinds=("image_codes",),
        unit="dB",
        rows=lambda answers: psnr_rows(answers.predictions, _true(answers)),
        finish=plain_mean,
        answer=picture_of,
        right=_right,
    ),
    Metric(
        name="ssim",
        label="SSIM",
        about="100 × the mean structural similarity (Wang et al., 2004: Gaussian window of 11 "
        "pixels, sigma 1.5, where it lies inside; mean over channels)",
        kinds=("image_codes",),
        bounds=(-100.0, 100.0),
        rows=lambda answers: ssim_rows(answers.predictions, _true(answers)),
        answer=picture_of,
        right=_right,
    ),
    Metric(
        name="nearest_reference",
        about="rows whose own true picture is among the `top` (1) nearest to the answer, of all "
        "the true pictures of the scored rows",
        kinds=("image_codes",),
        unit="%",
        rows=lambda answers: nearest_rows(answers.predictions, _true(answers), answers.top),
        answer=picture_of,
        right=_right,
        options=frozenset({"top"}),
    ),
)
