"""Rows that are measured without decoding their images are as long as those that are read."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from tests.painting import painter, task
from unified_vl.data.batching import encode_example, length_of
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.unread import UnreadImages
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.streams import TaskStream
from unified_vl.errors import BadRow
from unified_vl.kinds.hooks.fits import Fit, Pack

SIZES = [(10, 10), (30, 10), (9, 40), (64, 48), (300, 270)]
FORMS: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "PNG": {},
    "WEBP": {"lossless": True},
}
SOURCES = {
    "an image": '  source: "{image} {caption}"\n  target: "{answer}"',
    "places": '  source: "{image} {seen} {caption}"\n  target: "{answer}"\n'
    '  join: {seen: {each: "{answers} {places}"}}',
    "shots": '  source: "{shots} {image}"\n  target: "{caption}"\n'
    '  shots: {count: 2, each: "{image} {caption}", between: " "}',
    "another image": '  source: "{image} {caption}"\n  target: "{matches}"\n'
    '  mismatch: {field: image, rate: 0.5, right: "yes", wrong: "no"}',
    "noise": '  source: "{image} {caption}"\n  target: "{caption}"\n'
    "  noise: {caption: {kind: span_corruption}}",
}


def picture(form: str, size: tuple[int, int], orientation: int) -> bytes:
    exif = PILImage.Exif()
    if orientation > 1:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    PILImage.new("RGB", size, "red").save(buffer, form, exif=exif, **FORMS[form])
    return buffer.getvalue()


def turned_behind_its_pixels(data: bytes) -> bytes:
    """A PNG whose EXIF chunk stands before its end, as its format allows."""
    start = data.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(data[start : start + 4], "big")
    end = data.index(b"IEND") - 4
    return data[:start] + data[stop:end] + data[start:stop] + data[end:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("fit", ["stretch", "pad", Pack(4)])
def test_a_header_says_what_the_pixels_say(
    tmp_path: Path, form: str, orientation: int, fit: Fit
) -> None:
    loader = ImageLoader(tmp_path, (16, 24), fit=fit)
    unread = UnreadImages(loader, sized=True)
    for number, size in enumerate(SIZES):
        data = picture(form, size, orientation)
        name = f"{number}.{form}"
        (tmp_path / name).write_bytes(data)
        values: list[Any] = [name, data, {"path": name}, PILImage.open(io.BytesIO(data))]
        values.append({"file": name, "offset": 0, "size": len(data)})
        if form == "PNG" and orientation > 1:
            values.append(turned_behind_its_pixels(data))
        for value in values:
            image, expected = unread.load(value, "a:1"), loader.load(value, "a:1")
            assert image.size == expected.size and image.shape_HW == expected.shape_HW
            assert image.orientation == expected.orientation == orientation
            assert image.content == expected.content
            assert np.array_equal(image.pixels_HWC, expected.pixels_HWC)


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize(
    "value", ["none.png", "../x.png", "a\0b", None, 7, {"path": "no.png"}, "folder", ""]
)
def test_what_is_no_image_is_told_alike(tmp_path: Path, value: Any, sized: bool) -> None:
    (tmp_path / "folder").mkdir()
    told = []
    loader = ImageLoader(tmp_path, (8, 8))
    for images in (loader, UnreadImages(loader, sized=sized)):
        with pytest.raises(BadRow) as error:
            images.load(value, "a:1")
        told.append(str(error.value))
    assert told[0] == told[1]


@pytest.mark.parametrize("broken", ["half.png", "text.png"])
def test_what_shows_in_a_header_shows_early(tmp_path: Path, broken: str) -> None:
    (tmp_path / "half.png").write_bytes(picture("PNG", (64, 64), 1)[:60])
    (tmp_path / "text.png").write_bytes(b"no image at all")
    loader = ImageLoader(tmp_path, (8, 8))
    image = UnreadImages(loader, sized=False).load(broken, "a:1")
    assert image.size is None
    with pytest.raises(BadRow, match=broken):
        image.pixels_HWC  # noqa: B018
    sized = UnreadImages(loader, sized=True)
    if broken == "half.png":
        assert sized.load(broken, "a:1").size == (64, 64)
    else:
        with pytest.raises(BadRow, match=broken):
            sized.load(broken, "a:1")


@pytest.mark.parametrize("what", SOURCES)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_measured_row_is_as_long_as_a_read_one(quiz, what: str, seed: int | None) -> None:
    against = "matches" if what == "another image" else "answer"
    spec = quiz.spec(SOURCES[what], against=against)
    codec = quiz.codec(spec)
    builder = quiz.builder(spec, codec=codec)
    sketch = builder.unread()
    assert sketch is not None
    for row in TaskData(spec, "train", quiz.root).rows(range(3, 6)):
        read = encode_example(builder.build(row, seed=seed), codec)
        assert length_of(sketch.build(row, seed=seed), codec) == read.length


def test_codes_of_images_are_as_many_before_they_are_known(tmp_path: Path) -> None:
    for name in ("paint", "complete"):
        spec = task(tmp_path, name)
        codec = painter(tmp_path, [spec]).codec
        builder = ExampleBuilder(spec, ImageLoader(tmp_path, (16, 16)), codec=codec)
        sketch = builder.unread()
        assert sketch is not None
        for row in TaskData(spec, "train", tmp_path).rows(range(2)):
            read = encode_example(builder.build(row, seed=4), codec)
            assert length_of(sketch.build(row, seed=4), codec) == read.length


def test_a_stream_decodes_the_images_of_its_rank_alone(
    quiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = quiz.spec(SOURCES["an image"])
    codec = quiz.codec(spec)
    decoded: list[str] = []
    decode = ImageLoader._prepare

    def noting(self: ImageLoader, image: PILImage.Image, where: str, *more: Any) -> Any:
        decoded.append(where)
        return decode(self, image, where, *more)

    monkeypatch.setattr(ImageLoader, "_prepare", noting)
    data = TaskData(spec, "train", quiz.root)

    def stream(how: Callable[[ExampleBuilder], dict[str, Any]]) -> TaskStream:
        builder = quiz.builder(spec, codec=codec)
        return TaskStream(data, builder, codec, seed=3, batch_size=4, window=3, **how(builder))

    ranks = stream(lambda builder: {"sketch": builder.unread()})
    whole = stream(lambda builder: {})
    pixels = whole.batch(1).pixel_values_NCHW
    assert len(decoded) == 12 and pixels is not None
    decoded.clear()
    for rank in range(2):
        share = ranks.batch(1, rank, 2)
        assert decoded == [example.where for example in share.examples]
        assert share.pixel_values_NCHW is not None
        assert (share.pixel_values_NCHW == pixels[rank::2]).all()
        decoded.clear()
