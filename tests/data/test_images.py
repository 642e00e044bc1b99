from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageFile

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.opening import decode_smaller
from unified_vl.errors import BadRow
from unified_vl.kinds.hooks.fits import Fit, Pack

RED = (255, 0, 0)


def encoded(image: PILImage.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more pixels than its bytes hold."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def grey_16(value: int) -> PILImage.Image:
    return PILImage.fromarray(np.full((4, 4), value, np.uint16))


def pixel(loader: ImageLoader, value: object) -> tuple[int, ...]:
    return tuple(int(v) for v in loader.load(value, "a.parquet:1").pixels_HWC[0, 0])


@pytest.fixture
def loader(tmp_path: Path) -> ImageLoader:
    return ImageLoader(tmp_path, (4, 4))


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (PILImage.new("RGB", (4, 4), RED), "PNG", RED),
        (PILImage.new("RGB", (4, 4), RED), "BMP", RED),
        (PILImage.new("P", (4, 4), 0), "GIF", (0, 0, 0)),
        (PILImage.new("L", (4, 4), 7), "PNG", (7, 7, 7)),
        (PILImage.new("1", (4, 4), 1), "PNG", (255, 255, 255)),
        (PILImage.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (PILImage.new("RGBA", (4, 4), (255, 0, 0, 51)), "PNG", (255, 204, 204)),
        (PILImage.new("LA", (4, 4), (0, 51)), "PNG", (204, 204, 204)),
        (PILImage.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", (255, 255, 255)),
        (PILImage.new("RGB", (4, 4), (9, 9, 9)), "WEBP", (9, 9, 9)),
        (grey_16(65535), "PNG", (255, 255, 255)),
        (grey_16(25700), "PNG", (100, 100, 100)),
        (grey_16(257), "PNG", (1, 1, 1)),
    ],
)
def test_every_mode_becomes_rgb(
    loader: ImageLoader, image: PILImage.Image, kind: str, expected: tuple[int, ...]
) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert pixel(loader, encoded(image, kind, **options)) == expected


def test_a_transparent_colour_of_a_palette_is_white(loader: ImageLoader) -> None:
    image = PILImage.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0])
    assert pixel(loader, encoded(image)) == RED
    assert pixel(loader, encoded(image, transparency=0)) == (255, 255, 255)


def test_orientation_is_applied(loader: ImageLoader) -> None:
    image = PILImage.new("RGB", (8, 4), "white")
    image.paste(RED, (0, 0, 4, 4))  # the left half
    exif = PILImage.Exif()
    exif[0x0112] = 6  # turn it clockwise to see it: the left half is then the upper one
    loaded = loader.load(encoded(image, exif=exif), "a:1")
    assert (loaded.width, loaded.height) == (4, 8)
    assert tuple(loaded.pixels_HWC[0, 3]) == RED
    assert tuple(loaded.pixels_HWC[3, 0]) == (255, 255, 255)


def test_a_stretch_remembers_the_size(tmp_path: Path) -> None:
    loaded = ImageLoader(tmp_path, (6, 3)).load(PILImage.new("RGB", (20, 10), RED), "a:1")
    assert loaded.pixels_HWC.shape == (6, 3, 3)
    assert loaded.pixels_HWC.dtype == np.uint8
    assert (loaded.width, loaded.height) == (20, 10)


def test_paths_bytes_and_stored_images_are_the_same(tmp_path: Path, loader: ImageLoader) -> None:
    data = encoded(PILImage.new("RGB", (4, 4), RED))
    (tmp_path / "a.png").write_bytes(data)
    values = [
        "a.png",
        str(tmp_path / "a.png"),
        data,
        {"bytes": data, "path": "b.png"},
        {"bytes": None, "path": "a.png"},
        PILImage.open(io.BytesIO(data)),
    ]
    assert [pixel(loader, value) for value in values] == [RED] * len(values)


def test_an_image_may_be_a_part_of_a_file(tmp_path: Path, loader: ImageLoader) -> None:
    red, blue = (encoded(PILImage.new("RGB", (4, 4), c)) for c in (RED, (0, 0, 255)))
    (tmp_path / "all").write_bytes(b"head" + red + blue + base64.urlsafe_b64encode(blue))
    places = [(4, len(red), False), (4 + len(red), len(blue), False)]
    places.append((4 + len(red) + len(blue), 4 * -(-len(blue) // 3), True))
    found = [
        {"file": "all", "offset": start, "size": size, "base64": written}
        for start, size, written in places
    ]
    assert [pixel(loader, place) for place in found] == [RED, (0, 0, 255), (0, 0, 255)]
    (tmp_path / "all").unlink()
    assert [pixel(loader, place) for place in found] == [RED, (0, 0, 255), (0, 0, 255)]


def test_a_file_is_decoded_once(tmp_path: Path, loader: ImageLoader) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(PILImage.new("RGB", (4, 4), RED)))
    first = loader.load("a.png", "a:1")
    path.unlink()
    assert loader.load("a.png", "a:2") is first


def test_the_cache_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    size = 4 * 4 * 3
    loader = ImageLoader(tmp_path, (4, 4), cache_bytes=2 * size)
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encoded(PILImage.new("RGB", (4, 4), RED)))
    a, b = loader.load("a.png", "a:1"), loader.load("b.png", "a:2")
    assert loader.load("a.png", "a:1") is a
    loader.load("c.png", "a:3")
    assert loader.load("a.png", "a:1") is a
    assert loader.load("b.png", "a:2") is not b


def test_nothing_is_kept_in_a_cache_of_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(PILImage.new("RGB", (4, 4), RED)))
    loader = ImageLoader(tmp_path, (4, 4), cache_bytes=0)
    assert loader.load("a.png", "a:1") is not loader.load("a.png", "a:1")


GOOD = encoded(PILImage.effect_noise((64, 64), 50))
JPEG = encoded(PILImage.effect_noise((64, 64), 50), "JPEG")
TIFF = encoded(PILImage.effect_noise((64, 64), 50), "TIFF")
AVIF = encoded(PILImage.effect_noise((64, 64), 50), "AVIF")
JPEG2000 = encoded(PILImage.effect_noise((64, 64), 50), "JPEG2000")
BAD = [
    (b"", "the image 'x.png' cannot be read; expected PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF, "),
    (b"no image at all", "the image 'x.png' cannot be read; expected PNG, JPEG, WEBP, GIF, BMP, "),
    (encoded(PILImage.new("RGB", (16, 16)), "ICO"), "the image 'x.png' cannot be read; expected"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "the image 'x.png' cannot be read"),
    (GOOD[: len(GOOD) // 2], "the image 'x.png' is broken or truncated: "),
    (JPEG[: len(JPEG) // 2], "the image 'x.png' is broken or truncated: "),
    (GOOD[:100] + b"\0" * 50 + GOOD[150:], "the image 'x.png' is broken or truncated: "),
    (bomb(20_000, 20_000), "the image 'x.png' is too large; expected at most 64 million pixels"),
    (bomb(12_000, 12_000), "is 12000 x 12000 pixels; expected at most 64 million pixels"),
    (bomb(8_001, 8_000), "is 8001 x 8000 pixels; expected at most 64 million pixels"),
    (bomb(100, 100), "the image 'x.png' is broken or truncated: "),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("data", "message"), BAD)
def test_a_bad_file_is_named_with_its_row(
    tmp_path: Path, loader: ImageLoader, data: bytes, message: str
) -> None:
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(BadRow) as error:
        loader.load("x.png", "a.parquet:17")
    assert str(error.value).startswith("a.parquet:17: ")
    assert message in str(error.value)


def test_a_large_image_is_refused_before_it_is_decoded(
    loader: ImageLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: PILImage.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    for side in (20_000, 9_000):
        with pytest.raises(BadRow, match="at most 64 million pixels"):
            loader.load(bomb(side, side), "a:1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "../outside.png",
            "the image '../outside.png' leaves the data root; expected a path in it",
        ),
        ("sub/../../outside.png", "leaves the data root"),
        ("link.png", "the image 'link.png' leaves the data root"),
        ("/etc/passwd", "the image '/etc/passwd' leaves the data root"),
        ("insid.png", "there is no image 'insid.png'; did you mean 'inside.png'?"),
        ("", "there is no image ''"),
        ("sub", "there is no image 'sub'"),
        ("a\0b", "is no path: "),
        ("loop", "'loop'"),
        (None, "found nothing in place of an image"),
        (7, "found int in place of an image"),
        ({"bytes": None, "path": None}, "found nothing in place of an image"),
        ({"file": "../outside.png", "offset": 0, "size": 9}, "'../outside.png' leaves the data r"),
        ({"file": "/etc/passwd", "offset": 0, "size": 9}, "'/etc/passwd' leaves the data root"),
        ({"file": "insid.png", "offset": 0, "size": 9}, "did you mean 'inside.png'?"),
        ({"file": "inside.png", "offset": -1, "size": 9}, "found no place of an image; expected f"),
        ({"file": "inside.png", "offset": True, "size": 9}, "found no place of an image"),
        ({"file": "inside.png", "offset": 0}, "found no place of an image"),
        ({"file": 7, "offset": 0, "size": 9}, "found no place of an image"),
        (
            {"file": "inside.png", "offset": 1 << 40, "size": 9},
            "'inside.png' ends before the image of 9 bytes in 'inside.png' does",
        ),
        (
            {"file": "inside.png", "offset": 1 << 80, "size": 9},
            "'inside.png' cannot be read: ",
        ),
        (
            {"file": "inside.png", "offset": 0, "size": 1 << 40},
            "is too large; expected at most 256 MiB",
        ),
        ({"file": "inside.png", "offset": 3, "size": 9}, "of 9 bytes in 'inside.png' cannot be re"),
        (
            {"file": "inside.png", "offset": 0, "size": 9, "base64": True},
            "the image of 9 bytes in 'inside.png' is not base64: ",
        ),
    ],
)
def test_a_bad_path_is_refused(tmp_path: Path, value: object, message: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for path in (root / "inside.png", tmp_path / "outside.png"):
        path.write_bytes(GOOD)
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "loop").symlink_to(root / "loop")
    loader = ImageLoader(root, (4, 4))
    with pytest.raises(BadRow) as error:
        loader.load(value, "a.parquet:3")
    assert str(error.value).startswith("a.parquet:3: ")
    assert message in str(error.value)


def test_without_a_root_any_path_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(PILImage.new("RGB", (4, 4), RED)))
    assert pixel(ImageLoader(None, (4, 4)), str(tmp_path / "a.png")) == RED


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_damage_is_more_than_a_bad_row(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([GOOD, JPEG, TIFF, AVIF, JPEG2000]))
    damaged = bytearray(source[: data.draw(st.integers(0, len(source)))])
    for _ in range(data.draw(st.integers(0, 8))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        allowed = data.draw(st.booleans())
        loaded = ImageLoader(None, (4, 4)).load(bytes(damaged), "a:1", truncated=allowed)
    except BadRow as error:
        assert str(error).startswith("a:1: ")
    else:
        assert loaded.pixels_HWC.shape == (4, 4, 3)


def truncated(kind: str, lost: int, **options: Any) -> tuple[bytes, bytes]:
    """A gradient in a format, and what is left of the file."""
    ramp = np.indices((64, 64)).sum(0)[..., None] * np.array([1, 2, 1]) % 256
    file = io.BytesIO()
    PILImage.fromarray(ramp.astype(np.uint8)).save(file, kind, **options)
    return file.getvalue(), file.getvalue()[:-lost]


@pytest.mark.parametrize(
    ("kind", "lost", "options"),
    [
        ("JPEG", 1, {}),
        ("JPEG", 2, {}),
        ("JPEG", 4, {}),
        ("JPEG", 200, {}),
        ("JPEG", 2, {"progressive": True}),
        ("JPEG", 173, {"progressive": True}),
        ("JPEG", 300, {"progressive": True}),
        ("PNG", 44, {}),
        ("PNG", 5000, {"compress_level": 0}),
        ("BMP", 2, {}),
        ("BMP", 5000, {}),
        ("GIF", 4, {}),
        ("GIF", 700, {}),
    ],
)
def test_of_a_truncated_image_there_is_what_pillow_would_read(
    kind: str,
    lost: int,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, left = truncated(kind, lost, **options)
    (tmp_path / "a.bin").write_bytes(left)
    loader = ImageLoader(tmp_path, (64, 64))
    with pytest.raises(BadRow, match=r"'a.bin' is broken or truncated.*truncated_images: allow"):
        loader.load("a.bin", "rows:1")
    found = loader.load("a.bin", "rows:1", truncated=True)
    assert "is broken or truncated" in found.truncated
    with pytest.raises(BadRow, match=r"rows:2: the image 'a.bin' is broken"):
        loader.load("a.bin", "rows:2")  # which another task allowed
    with monkeypatch.context() as patch:  # Pillow's own way, a switch for the whole process
        patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        expected = np.asarray(PILImage.open(io.BytesIO(left)).convert("RGB"))
    assert np.array_equal(found.pixels_HWC, expected)


def test_a_jpeg_without_its_end_mark_is_all_there(tmp_path: Path) -> None:
    whole, left = truncated("JPEG", 2)
    loader = ImageLoader(tmp_path, (64, 64))
    found, expected = loader.load(left, "a:1", truncated=True), loader.load(whole, "a:2")
    assert np.array_equal(found.pixels_HWC, expected.pixels_HWC) and not expected.truncated


@pytest.mark.parametrize("broken", [b"", b"GIF89a", truncated("WEBP", 2)[1], b"\xff\xd8\xff"])
def test_what_is_no_image_is_none_either_way(tmp_path: Path, broken: bytes) -> None:
    with pytest.raises(BadRow):
        ImageLoader(tmp_path, (64, 64)).load(broken, "a:1", truncated=True)


@pytest.mark.parametrize("start", ["iVBORw0KGgo", "data:image/png;base64,", "UklGR", "/9j/"])
def test_base64_in_place_of_a_path_is_told(tmp_path: Path, start: str) -> None:
    name = start + "A" * 150 + "/" + "B" * 150
    with pytest.raises(BadRow) as found:
        ImageLoader(tmp_path, (8, 8)).load(name, "rows.csv:1")
    assert "`reader: ofa_tsv`" in str(found.value) and len(str(found.value)) < 200


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("size", "decoded"), [((60, 40), 1), ((64, 67), 2), ((200, 150), 4)])
@pytest.mark.parametrize("fit", ["stretch", "pad", Pack(4)])
def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(
    tmp_path: Path, size: tuple[int, int], decoded: int, fit: Fit, orientation: int
) -> None:
    across = np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None]
    down = np.linspace(0, 255, size[1], dtype=np.uint8)[:, None, None]
    pixels = np.concatenate(np.broadcast_arrays(across, down, 255 - across), axis=2)
    exif = PILImage.Exif()
    exif[0x0112] = orientation
    data = encoded(PILImage.fromarray(pixels), "JPEG", quality=95, exif=exif)
    loader = ImageLoader(tmp_path, (16, 16), fit=fit)
    image = PILImage.open(io.BytesIO(data))
    decode_smaller(image, 16)
    assert image.size == tuple(-(-side // decoded) for side in size)
    whole = PILImage.open(io.BytesIO(data))
    whole.load()  # so nothing of it can be left out
    smaller, full = loader.load(data, "a:1"), loader.load(whole, "a:1")
    assert smaller.size == full.size and smaller.content == full.content
    difference = smaller.pixels_HWC.astype(int) - full.pixels_HWC
    assert np.abs(difference).max() <= 4
