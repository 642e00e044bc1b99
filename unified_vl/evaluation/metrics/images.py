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
    x, y = (images.astype(np.float64) / 255 for images in (found_BHWC, true_BHWC))
    height, width = (side - WINDOW + 1 for side in x.shape[1:3])
    weights = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()

    def mean(values_BHWC: Array) -> Array:
        """Each window's, down the columns and then along the rows: the Gaussian is separable."""
        columns = sum(w * values_BHWC[:, i : i + height] for i, w in enumerate(weights))
        return np.asarray(sum(w * columns[:, :, i : i + width] for i, w in enumerate(weights)))

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    near = (2 * mean_x * mean_y + STABLE[0]) / (mean_x**2 + mean_y**2 + STABLE[0])
    alike = (2 * covariance + STABLE[1]) / (variance_x + variance_y + STABLE[1])
    return np.asarray((near * alike).mean(axis=(1, 2, 3)))


def codebook_use(codes: Array, count: int) -> tuple[float, float]:
    """The share of `count` codes that occur, and the perplexity of their frequencies."""
    counts_K = np.bincount(codes.reshape(-1), minlength=count)
    share_K = counts_K[counts_K > 0] / counts_K.sum()
    return float((counts_K > 0).mean()), float(np.exp(-(share_K * np.log(share_K)).sum()))
