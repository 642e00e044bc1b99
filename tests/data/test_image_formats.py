"""Every format that is read, at every depth, and those that are not."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import TiffImagePlugin

from unified_vl.data.images.high_bit_depth import to_8_bit
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import BadRow
from unified_vl.image_formats import (
    FORMATS,
    SUFFIXES,
    WITH_EXTRA,
    is_image,
    is_unread_image,
    named,
    readable_formats,
)

SIZE = (8, 8)
RED = (200, 30, 30)


@pytest.mark.parametrize("kind", [*FORMATS, *WITH_EXTRA])
def test_every_format_is_read(kind: str, tmp_path: Path) -> None:
    assert kind in readable_formats()
    suffix = {**FORMATS, **WITH_EXTRA}[kind][0]
    path = tmp_path / f"a{suffix}"
    PILImage.new("RGB", (16, 16), RED).save(path, kind)
    assert is_image(path)
    pixels_HWC = ImageLoader(tmp_path, SIZE).load(path.name, "row").pixels_HWC
    assert np.abs(pixels_HWC.astype(int) - RED).max() <= 12  # what lossy formats may change


def grey_tiff(values: np.ndarray[Any, Any], **tags: float) -> PILImage.Image:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[int(name.removeprefix("tag_"))] = value
    buffer = io.BytesIO()
    PILImage.fromarray(values).save(buffer, "TIFF", tiffinfo=directory)
    buffer.seek(0)
    return PILImage.open(buffer)


RAMP = np.linspace(0.0, 1.0, 64).reshape(8, 8)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "tags"),
    [
        (0, 65535, np.uint16, {}),
        (0, 4095, np.uint16, {"tag_281": 4095}),  # 12 bits of 16
        (0, 1023, np.uint16, {"tag_340": 0, "tag_341": 1023}),
        (1000, 3000, np.uint16, {"tag_280": 1000, "tag_281": 3000}),
        (-(2**31), 2**31 - 1, np.int32, {}),
        (0.0, 1.0, np.float32, {}),
        (0.0, 255.0, np.float32, {}),  # as those who convert a file of 8 bits write it
        (0.0, 201.5, np.float32, {"tag_341": 201.5}),
        (0.0, 65535.0, np.float32, {}),
        (-5.0, 5.0, np.float32, {"tag_340": -5.0, "tag_341": 5.0}),
        (65535, 0, np.uint16, {"tag_262": 0}),  # white is zero
    ],
)
def test_grey_of_many_bits_fills_the_range_that_its_file_states(
    low: float, high: float, dtype: type, tags: dict[str, float]
) -> None:
    values = (low + RAMP * (high - low)).astype(dtype)
    opened = grey_tiff(values, **tags)
    opened.load()
    grey = np.asarray(to_8_bit(opened, opened))[..., 0].astype(int)
    assert np.abs(grey - RAMP * 255).max() <= 1.0


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_16_bits_are_read_alike_in_every_format(kind: str, tmp_path: Path) -> None:
    values = (RAMP * 65535).astype(np.uint16)
    PILImage.fromarray(values).save(tmp_path / "a", kind)
    pixels_HWC = ImageLoader(tmp_path, SIZE).load("a", "row").pixels_HWC
    assert np.abs(pixels_HWC[..., 0].astype(int) - RAMP * 255).max() <= 1.0


@pytest.mark.parametrize(
    ("largest", "white"),
    [(0.5, 1), (1, 1), (1.02, 1), (3, 255), (200, 255), (255, 255), (256, 255), (4095, 65535)],
)
def test_floats_without_a_range_are_read_by_their_largest(largest: float, white: float) -> None:
    opened = grey_tiff((RAMP * largest).astype(np.float32))
    opened.load()
    grey = np.asarray(to_8_bit(opened, opened))[..., 0].astype(int)
    assert np.abs(grey - np.clip(RAMP * largest / white, 0, 1) * 255).max() <= 1.0


def test_what_is_no_number_is_black() -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, 0.5]], np.float32)
    image = PILImage.fromarray(values)
    assert np.asarray(to_8_bit(image, image))[..., 0].tolist() == [[0, 255], [0, 128]]


@pytest.mark.parametrize(
    ("name", "read", "unread"),
    [
        ("a.TIFF", True, False),
        ("a.jp2", True, False),
        ("a.heic", True, False),  # the extra is installed here
        ("a.svg", False, True),
        ("a.jxl", False, True),
        ("a.psd", False, True),
        ("a.txt", False, False),
        ("a.pdf", False, False),
        (".a.png", False, False),
        ("a", False, False),
    ],
)
def test_names_tell_images(name: str, read: bool, unread: bool) -> None:
    assert (is_image(Path(name)), is_unread_image(Path(name))) == (read, unread)


def test_heic_without_its_extra_says_what_would_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PILImage.new("RGB", (16, 16), RED).save(tmp_path / "a.heic", "HEIF")
    opening = "unified_vl.data.images.opening"
    monkeypatch.setattr(f"{opening}.readable_formats", lambda: tuple(FORMATS))
    with pytest.raises(BadRow, match=r"pip install 'unified_vl\[heic\]'"):
        ImageLoader(tmp_path, SIZE).load("a.heic", "row")
    assert "unified_vl[heic]" in named([Path("a.heic"), Path("b.svg")])


def test_a_file_named_like_an_image_is_none(tmp_path: Path) -> None:
    for suffix in sorted(SUFFIXES):
        (tmp_path / f"a{suffix}").write_bytes(b"no image at all")
        with pytest.raises(BadRow, match="cannot be read"):
            ImageLoader(tmp_path, SIZE).load(f"a{suffix}", "row")
