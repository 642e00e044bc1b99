"""How near an image is to another, and how a codebook is used.

Legend: B batch, H height, W width, C channels, K codes.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian
STABLE = (0.01**2, 0.03**2)  # its two constants, for values of 0 to 1


def psnr(found_BHWC: Array, true_BHWC: Array) -> Array:
    """Peak signal-to-noise ratio of each image in decibels, (B,), of uint8 images.

    Equal images have infinitely many.
    """
    difference = found_BHWC.astype(np.float64) - true_BHWC.astype(np.float64)
    error_B = np.square(difference).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / error_B)


def ssim(found_BHWC: Array, true_BHWC: Array) -> Array:
    """Structural similarity of each image, (B,), of uint8 images of 11 pixels a side or more.

    A Gaussian window of 11 pixels and sigma 1.5, only where it lies inside the image, the
    mean over channels (Wang et al. 2004, DOI 10.1109/TIP.2003.819861, section III).
    """
    x, y = (
        images.astype(np.float64).transpose(0, 3, 1, 2) / 255 for images in (found_BHWC, true_BHWC)
    )
    rows, columns = (_gaussian(length) for length in x.shape[2:])

    def mean(values: Array) -> Array:
        return rows @ values @ columns.T  # the window is a product of its rows and columns

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    near = (2 * mean_x * mean_y + STABLE[0]) / (mean_x**2 + mean_y**2 + STABLE[0])
    alike = (2 * covariance + STABLE[1]) / (variance_x + variance_y + STABLE[1])
    found: Array = (near * alike).mean(axis=(1, 2, 3))
    return found


def _gaussian(length: int) -> Array:
    """The matrix that takes the weighted mean of a line in every window inside it."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    line = np.exp(-(offsets**2) / (2 * SIGMA**2))
    matrix = np.zeros((length - WINDOW + 1, length))
    for place, row in enumerate(matrix):
        row[place : place + WINDOW] = line / line.sum()
    return matrix


def codebook_use(codes: Array, count: int) -> tuple[float, float]:
    """The share of `count` codes that occur, and the perplexity of their frequencies."""
    counts_K = np.bincount(codes.reshape(-1), minlength=count)
    share_K = counts_K[counts_K > 0] / counts_K.sum()
    return float((counts_K > 0).mean()), float(np.exp(-(share_K * np.log(share_K)).sum()))
