"""Boxes survive their tokens within half a bin, and never leave the image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.segments import Text
from unified_vl.codecs.shapes import ShapeCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.geometry import Box, Point, Polygon, coordinates
from unified_vl.kinds.box import with_labels

CODEC = ShapeCodec(Vocabulary(300, ("image",)))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, x2 = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    y1, y2 = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return Box(x1, y1, x2, y2)


def corners(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2


@given(boxes())
def test_round_trip_is_within_half_a_bin_and_inside(box):
    ids = CODEC.encode(box)
    assert len(ids) == 4
    assert all(i in CODEC.id_range for i in ids)
    found = CODEC.decode(ids, "box")
    for before, after in zip(corners(box), corners(found), strict=True):
        assert abs(before - after) <= 0.5 / 1000 + 1e-12
        assert 0 <= after <= 1


@given(boxes())
def test_encoding_what_was_decoded_changes_nothing(box):
    ids = CODEC.encode(box)
    assert CODEC.encode(CODEC.decode(ids, "box")) == ids


def test_ids_of_another_range_are_no_box():
    with pytest.raises(ValueError, match="is not the location ids"):
        CODEC.decode([5, 6, 7, 8], "box")


FRACTIONS = st.floats(0, 1)


@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=3, max_size=9))
def test_polygons_and_points_come_back_within_half_a_bin(corners):
    polygon = Polygon(tuple(v for corner in corners for v in corner))
    for kind, shape in (("polygon", polygon), ("point", Point(*corners[0]))):
        ids = CODEC.encode(shape)
        back = CODEC.decode(ids, kind)
        assert type(back) is type(shape)
        for before, after in zip(coordinates(shape), coordinates(back), strict=True):
            assert abs(before - after) <= 0.5 / 1000 + 1e-12
        assert CODEC.encode(back) == ids


def test_what_is_left_of_a_run_is_dropped():
    ids = list(CODEC.id_range)[:11]
    assert len(CODEC.decode_run(ids, "box")) == 2
    assert len(CODEC.decode_run(ids, "point")) == 5
    (polygon,) = CODEC.decode_run(ids, "polygon")
    assert len(coordinates(polygon)) == 10
    assert CODEC.decode_run(ids[:5], "polygon") == []


@given(boxes(), st.text(min_size=1))
def test_a_label_is_the_text_before_a_box(box, label):
    found = with_labels([Text("a"), Text(label), box, Text("b"), box, box])
    assert [s.label for s in found if isinstance(s, Box)] == [label.strip(), "b", None]
    assert found[0] == Text("a")
