"""unified_vl/kinds: what holds of every kind that is registered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.shapes import ShapeCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.geometry import to_pixels
from unified_vl.kinds.hooks.frames import Frame
from unified_vl.kinds.places import PlaceKind
from unified_vl.kinds.registry import KINDS, kind_of_place
from unified_vl.metrics.registry import METRICS
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.specs.tasks.generate import GenerateSpec, grammar_names

CODEC = ShapeCodec(Vocabulary(300, ("image",)))
PLACES = [kind for kind in KINDS.values() if isinstance(kind, PlaceKind)]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_speaks_of_what_there_is(name: str) -> None:
    kind = KINDS[name]
    own = set() if kind.keys is None else set(kind.keys.model_fields)
    assert {*kind.reads, *kind.mandatory, *kind.beside} <= set(FieldSpec.model_fields)
    assert {*kind.mandatory, *kind.beside} <= {*kind.reads, *own}
    assert set(kind.allows) <= set(grammar_names())
    for allow in kind.allows:
        GenerateSpec(allow=allow)
    draft = kind.draft("field", True, True)
    if draft is not None:
        assert set(draft.metrics) <= set(METRICS) and draft.allow in kind.allows


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.name)
@given(st.lists(st.floats(0.01, 0.98), min_size=6, max_size=6, unique=True))
def test_a_place_goes_through_tokens_rows_and_pictures(
    kind: PlaceKind, numbers: list[float]
) -> None:
    xy = sorted(numbers)[: kind.count]
    place = kind.made(xy)
    assert kind_of_place(place) is kind and place.coordinates == tuple(xy)
    (back,) = CODEC.decode_run(CODEC.encode(place), kind.name)
    assert all(abs(a - b) <= 0.0006 for a, b in zip(back.coordinates, xy, strict=True))
    row = kind.row("", [place], (40, 20), ())
    assert set(row) <= set(kind.row_types())
    ((label, said),) = kind.said(row)
    assert label is None and said == to_pixels(place, 40, 20)
    element, attributes = kind.outline(said)
    assert element in ("rect", "path", "polygon") and attributes


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.name)
def test_numbers_of_another_count_are_refused(kind: PlaceKind) -> None:
    field = FieldSpec.model_construct(kind=kind.name, layout=None)
    with pytest.raises(ValueError, match=f"a {kind.name} is .* finite numbers"):
        kind.placed([0.1] * (kind.count + 1), Frame(10, 10), field)
    with pytest.raises(ValueError, match="the numbers of a"):
        kind.typed("one, two")
