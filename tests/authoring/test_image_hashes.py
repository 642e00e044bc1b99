from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageFilter

from unified_vl.authoring.checking.image_hashes import ImageHash, ImageIndex, hash_image
from unified_vl.errors import BadRow


@cache
def picture(seed: int) -> Image.Image:
    """Soft blobs of colour, as a photo has them."""
    cells = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC)


def hashed(image: Image.Image, kind: str = "PNG", **how: object) -> ImageHash:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return hash_image(buffer.getvalue(), "a.jsonl:1")


SAME: dict[str, Callable[[Image.Image], ImageHash]] = {
    "jpeg": lambda image: hashed(image, "JPEG", quality=60),
    "webp": lambda image: hashed(image, "WEBP", quality=60),
    "half": lambda image: hashed(image.resize((160, 120), Image.Resampling.LANCZOS)),
    "thumbnail": lambda image: hashed(image.resize((100, 75)), "JPEG", quality=80),
    "stretched": lambda image: hashed(image.resize((224, 224))),
    "soft": lambda image: hashed(image.filter(ImageFilter.GaussianBlur(1))),
}
OTHER: dict[str, Callable[[Image.Image], ImageHash]] = {
    "mirrored": lambda image: hashed(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "coloured": lambda image: hashed(Image.merge("RGB", image.split()[::-1])),
    "covered": lambda image: hashed(_covered(image)),
}


def _covered(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.paste("black", (0, 0, 60, 60))
    image.paste("white", (60, 0, 100, 60))
    return image


@cache
def many() -> ImageIndex:
    return ImageIndex([hashed(picture(seed)) for seed in range(60)])


@pytest.mark.parametrize("how", SAME)
def test_a_picture_saved_in_another_way_is_found_among_many(how: str) -> None:
    asked = [SAME[how](picture(seed)) for seed in range(20, 30)]
    assert many().nearest(asked) == list(range(20, 30))


@pytest.mark.parametrize("how", OTHER)
def test_another_picture_is_not_found(how: str) -> None:
    assert many().nearest([OTHER[how](picture(seed)) for seed in range(10)]) == [None] * 10


def test_flat_pictures_are_told_apart_by_their_colour() -> None:
    colours = [(40 * i, 255 - 40 * i, 90) for i in range(6)]
    index = ImageIndex([hashed(Image.new("RGB", (30, 20), colour)) for colour in colours])
    asked = [hashed(Image.new("RGB", (50, 50), colour), "JPEG") for colour in colours]
    assert index.nearest(asked) == list(range(6))
    assert index.nearest([hashed(Image.new("RGB", (30, 20), (250, 250, 250)))]) == [None]


@pytest.mark.parametrize("flipped", [0, 1, 2, 3])
def test_every_hash_within_three_bits_shares_a_band(flipped: int) -> None:
    random = np.random.default_rng(flipped)
    known = hashed(picture(0))
    for _ in range(200):
        bits = sum(1 << int(bit) for bit in random.choice(64, flipped, replace=False))
        near = ImageHash(b"", known.steps ^ bits, known.thumbnail)
        assert ImageIndex([known]).nearest([near]) == [0]


def test_hashes_further_apart_are_others() -> None:
    known = hashed(picture(0))
    far = ImageHash(b"", known.steps ^ 0b1001001001, known.thumbnail)
    assert ImageIndex([known]).nearest([far]) == [None]


def test_many_pictures_of_one_hash_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_vl.authoring.checking.image_hashes._PAIRS", 7)
    monkeypatch.setattr("unified_vl.authoring.checking.image_hashes._THUMBNAILS", 3)
    shades = [ImageHash(b"", 0, bytes([shade] * 192)) for shade in range(0, 250, 50)]
    asked = [ImageHash(b"", 0, bytes([shade + 20] * 192)) for shade in range(0, 250, 50)]
    assert ImageIndex(shades).nearest(asked) == list(range(5))


def test_an_upright_copy_of_a_turned_photo_is_the_same() -> None:
    turned = picture(3).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    with_tag = hashed(turned, "JPEG", exif=exif, quality=95)
    assert ImageIndex([hashed(picture(3))]).nearest([with_tag]) == [0]


def test_what_is_no_image_is_a_bad_row() -> None:
    with pytest.raises(BadRow, match=r"a.jsonl:1: the image 5 bytes cannot be read"):
        hash_image(b"hello", "a.jsonl:1")
