from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unified_vl.metrics.pictures.images import codebook_use, psnr, ssim


def images(seed: int, count: int = 3) -> np.ndarray:
    draw = np.random.default_rng(seed)
    smooth = draw.integers(0, 256, (count, 6, 5, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(smooth + draw.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_psnr_and_ssim_agree_with_scikit_image(seed: int) -> None:
    true, noise = images(seed), images(seed + 100)
    found = (0.8 * true + 0.2 * noise).astype(np.uint8)
    for number in range(len(true)):
        peers = peak_signal_noise_ratio(true[number], found[number])
        assert psnr(found, true)[number] == pytest.approx(peers, abs=1e-9)
        alike = structural_similarity(
            true[number].astype(np.float64),
            found[number].astype(np.float64),
            data_range=255,
            channel_axis=2,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        assert ssim(found, true)[number] == pytest.approx(alike, abs=1e-6)


def test_equal_images() -> None:
    assert np.isinf(psnr(images(0), images(0))).all()
    assert ssim(images(0), images(0)) == pytest.approx(1.0)


def test_codes_in_use() -> None:
    used, perplexity = codebook_use(np.array([0, 0, 1, 1, 5, 5]), 8)
    assert used == pytest.approx(3 / 8)
    assert perplexity == pytest.approx(3.0)
