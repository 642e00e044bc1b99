"""Numbers of data files mean the same places, whatever their layout, units and turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, ImageOps
from PIL import Image as PILImage

from unified_vl.geometry import Box, Layout, coordinates, to_pixels
from unified_vl.kinds.hooks.frames import Frame, upright
from unified_vl.kinds.registry import place_kind

SIDES = st.integers(1, 5000)
TEN = Frame(10, 10)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, x2 = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    y1, y2 = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return Box(x1, y1, x2, y2)


@given(boxes(), SIDES, SIDES)
def test_pixels_fractions_and_layouts_mean_the_same_box(box: Box, width: int, height: int) -> None:
    for relative, (x1, y1, x2, y2) in (
        (False, to_pixels(box, width, height)),
        (True, coordinates(box)),
    ):
        if x2 - x1 < 1e-6 or y2 - y1 < 1e-6:
            continue
        w, h = x2 - x1, y2 - y1
        layouts: dict[Layout, list[float]] = {
            "xyxy": [x1, y1, x2, y2],
            "xywh": [x1, y1, w, h],
            "cxcywh": [x1 + w / 2, y1 + h / 2, w, h],
        }
        for layout, values in layouts.items():
            found, _ = Frame(width, height, relative).box(values, layout)
            assert coordinates(found) == pytest.approx(coordinates(box), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0, 11, 5], "outside its image"),
        ([-1, 0, 5, 5], "outside its image"),
        ([10.2, 0, 10.8, 5], "outside its image"),
        ([3, 3, 3, 5], "empty"),
        ([5, 5, 2, 8], "empty"),
        ([1, 2, 3], "four finite numbers"),
        ([1, 2, float("nan"), 4], "four finite numbers"),
    ],
)
def test_boxes_that_are_none_are_refused(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TEN.box(values, "xyxy")


def test_what_is_less_than_a_pixel_beyond_the_edge_is_cut_off_and_said() -> None:
    box, beyond = TEN.box([-0.25, 0, 10.75, 5], "xyxy")
    assert coordinates(box) == (0, 0, 1, 0.5)
    assert beyond == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("frame", "values", "beyond"),
    [
        (Frame(10, 10, clip=True), [-5, 0, 12, 5], 5),
        (Frame(100, 50, relative=True), [0.5, 0.5, 1.005, 1.01], 0.5),
        (Frame(100, 50, relative=True), [0.5, 0.5, 1.0000005, 1], 0),  # a rounding
        (Frame(None, None, relative=True), [0.5, 0.5, 1.0000005, 1], 0),
    ],
)
def test_what_is_allowed_beyond_the_edge(frame: Frame, values: list[float], beyond: float) -> None:
    box, found = frame.box(values, "xyxy")
    assert found == pytest.approx(beyond)
    assert 0 <= min(coordinates(box)) <= max(coordinates(box)) <= 1


@pytest.mark.parametrize("frame", [TEN, Frame(None, None, True), Frame(9, 9, True)])
def test_what_is_not_allowed_beyond_the_edge(frame: Frame) -> None:
    with pytest.raises(ValueError, match="outside its image"):
        frame.box([0, 0, 1.2, 1] if frame.relative else [0, 0, 12, 10], "xyxy")
    with pytest.raises(ValueError, match="outside its image"):
        place_kind("point").placed([1.2, 0] if frame.relative else [12, 10], frame, None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_pixels_are_turned_as_pillow_turns_them(orientation: int) -> None:
    width, height, x, y = 6, 4, 1, 3
    pixels = np.zeros((height, width), np.uint8)
    pixels[y, x] = 255
    image = PILImage.fromarray(pixels)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    turned = ImageOps.exif_transpose(image)
    down, across = np.argwhere(np.asarray(turned) == 255)[0]
    stored = Frame(width, height, orientation=orientation)
    box, _ = stored.box([x, y, x + 1, y + 1], "xyxy")
    assert to_pixels(box, *turned.size) == pytest.approx([across, down, across + 1, down + 1])
    point, _ = place_kind("point").placed([x + 0.5, y + 0.5], stored, None)
    assert to_pixels(point, *turned.size) == pytest.approx([across + 0.5, down + 0.5])
    assert len(upright((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), orientation)) == 6
