"""Corruptions beside definitions by others, and their kernels."""

from __future__ import annotations

import io
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image as PILImage
from scipy import ndimage
from skimage.util import random_noise

from tests.perturbation.conftest import a_picture
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image
from unified_vl.perturbation.images.blur import disk, line
from unified_vl.perturbation.images.corruption import Corruption, convolved, to_unit, with_images
from unified_vl.perturbation.registry import PERTURBATIONS, suites

GREY = PILImage.new("RGB", (224, 224), (120, 128, 136))


def corrupted(name: str, severity: int, image: PILImage.Image, seed: int = 0) -> np.ndarray:
    each = PERTURBATIONS[name]
    assert isinstance(each, Corruption)
    return np.asarray(each.draw(severity - 1, Random(seed)).pixels(image)).astype(float)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_jpeg_is_that_of_pillow_at_the_qualities_of_the_paper(severity: int) -> None:
    file = io.BytesIO()
    a_picture(1).save(file, "JPEG", quality=[25, 18, 15, 10, 7][severity - 1])
    theirs = np.asarray(PILImage.open(file)).astype(float)
    assert np.array_equal(corrupted("jpeg_compression", severity, a_picture(1)), theirs)


@pytest.mark.parametrize(("severity", "sigma"), [(1, 0.08), (2, 0.12), (3, 0.18)])
def test_gaussian_noise_has_the_stated_sigma(severity: int, sigma: float) -> None:
    noise = (corrupted("gaussian_noise", severity, GREY) - np.asarray(GREY)) / 255
    assert np.median(noise) == pytest.approx(0, abs=0.003)
    low, high = np.percentile(noise, [25, 75])  # where nothing is clipped
    assert (high - low) / 1.349 == pytest.approx(sigma, rel=0.02)


def test_impulse_noise_touches_as_many_numbers_as_scikit_image() -> None:
    theirs = random_noise(to_unit(GREY), mode="s&p", amount=0.09, rng=0)
    ours = corrupted("impulse_noise", 3, GREY)
    share = (ours != np.asarray(GREY)).mean()
    assert share == pytest.approx((theirs != to_unit(GREY)).mean(), abs=0.005)
    assert set(np.unique(ours[ours != np.asarray(GREY)])) == {0, 255}


def test_pixelate_is_two_box_resizes() -> None:
    image = a_picture(2)
    small = image.resize((38, 25), PILImage.Resampling.BOX)
    theirs = np.asarray(small.resize(image.size, PILImage.Resampling.BOX)).astype(float)
    assert np.array_equal(corrupted("pixelate", 3, image), theirs)


@pytest.mark.parametrize("kernel", [disk(4.3), line(6, 3, 30)], ids=["disk", "line"])
@pytest.mark.parametrize("size", [(96, 64), (9, 40)])
def test_convolution_is_that_of_scipy(kernel: np.ndarray, size: tuple[int, int]) -> None:
    pixels_HW3 = to_unit(a_picture(3).resize(size))
    ours = convolved(pixels_HW3, kernel)
    half = kernel.shape[0] // 2
    cuts = [max(0, half - (side - 1)) for side in size[::-1]]
    cut = kernel[tuple(slice(c, kernel.shape[0] - c) for c in cuts)]
    for colour in range(3):
        theirs = ndimage.convolve(pixels_HW3[..., colour], cut / cut.sum(), mode="mirror")
        assert np.allclose(ours[..., colour], theirs, atol=1e-5)


def test_a_disk_covers_the_area_of_its_circle() -> None:
    for radius in (1.3, 3, 8):
        assert disk(radius).sum() == pytest.approx(np.pi * radius**2, rel=0.06)
    assert disk(0.1).sum() > 0


def test_contrast_keeps_the_mean_and_a_share_of_what_differs() -> None:
    image = a_picture(4)
    before, after = np.asarray(image).astype(float), corrupted("contrast", 3, image)
    assert np.allclose(after.mean((0, 1)), before.mean((0, 1)), atol=0.5)
    assert after.std() < before.std()
    expected = (before - before.mean((0, 1))) * 0.2 + before.mean((0, 1))
    assert np.abs(after - expected).max() <= 1


def test_each_frame_of_a_video_is_changed_and_keeps_its_number() -> None:
    images = [LoadedImage(np.asarray(a_picture(seed)), 96, 64) for seed in range(2)]
    clip = Clip(tuple(Image(image, number) for number, image in enumerate(images)), 1.5)
    found = with_images(clip, lambda image: replace(image, pixels_HWC=255 - image.pixels_HWC))
    assert isinstance(found, Clip) and found.seconds == 1.5
    for before, after in zip(clip.frames, found.frames, strict=True):
        assert after.frame == before.frame
        assert np.array_equal(after.image.pixels_HWC, 255 - before.image.pixels_HWC)


@pytest.mark.parametrize("name", [each.name for each in suites()["images"]])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (224, 224)])
def test_any_size_stays_what_it_is(name: str, size: tuple[int, int]) -> None:
    image = a_picture(5).resize(size)
    before = image.tobytes()
    found = corrupted(name, 5, image)
    assert found.shape == (size[1], size[0], 3) and np.isfinite(found).all()
    assert image.tobytes() == before


def test_lengths_are_scaled_to_the_picture() -> None:
    """The same picture twice as large is blurred as much of itself."""
    small = a_picture(6).resize((112, 112), PILImage.Resampling.BILINEAR)
    large = small.resize((224, 224), PILImage.Resampling.BILINEAR)
    for name in ("gaussian_blur", "defocus_blur", "motion_blur"):
        again = PILImage.fromarray(corrupted(name, 4, large).astype(np.uint8)).resize((112, 112))
        difference = np.abs(np.asarray(again).astype(float) - corrupted(name, 4, small)).mean()
        assert difference < 4
