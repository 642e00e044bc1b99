"""Every kind of value by the name that a spec uses."""

from __future__ import annotations

import re
from collections.abc import Callable

from unified_vl.geometry import Shape
from unified_vl.kinds.box import BoxKeys, BoxKind
from unified_vl.kinds.choice import ChoiceKeys, ChoiceKind
from unified_vl.kinds.detected.region import RegionKeys, RegionKind
from unified_vl.kinds.detected.region_tags import RegionTagsKind
from unified_vl.kinds.detected.regions import RegionsKeys, RegionsKind
from unified_vl.kinds.image import ImageKeys, ImageKind
from unified_vl.kinds.image_codes import ImageCodesKind
from unified_vl.kinds.kind import Kind, Writing
from unified_vl.kinds.label import LabelKeys, LabelKind
from unified_vl.kinds.language import LanguageKind
from unified_vl.kinds.moment import MomentKeys, MomentKind
from unified_vl.kinds.number import NumberKeys, NumberKind
from unified_vl.kinds.places import PlaceKeys, PlaceKind
from unified_vl.kinds.point import PointKind
from unified_vl.kinds.polygon import PolygonKind
from unified_vl.kinds.text import TextKind
from unified_vl.kinds.video import VideoKeys, VideoKind
from unified_vl.parts import NAME_PATTERN, Part, key_of, keys_changed

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        TextKind(),
        NumberKind(),
        LabelKind(),
        ChoiceKind(),
        ImageKind(),
        ImageCodesKind(),
        VideoKind(),
        RegionsKind(),
        RegionKind(),
        RegionTagsKind(),
        BoxKind(),
        PointKind(),
        PolygonKind(),
        MomentKind(),
        LanguageKind(),
    )
}


class SharedKeys(
    ChoiceKeys,
    LabelKeys,
    NumberKeys,
    BoxKeys,
    PlaceKeys,
    MomentKeys,
    RegionKeys,
    RegionsKeys,
    VideoKeys,
    ImageKeys,
):
    """The keys of a field that say something about these kinds; of two the last comes first."""


def register(kind: Kind) -> None:
    """Add a kind of value; from then on, in this process, specs may have fields of it.

    An installed package has its kinds known in every process, also on the command line, by an
    entry point of the group `unified_vl.plugins`.

    Raises:
        ValueError: for a name that is taken, or is none, or a key of its own that fields have
            already or that is not None unless given.
        TypeError: for what is no kind.
    """
    if not isinstance(kind, Kind):
        raise TypeError(f"{kind!r} is no unified_vl.Kind")
    if kind.name in KINDS:
        raise ValueError(f"there is a kind {kind.name!r} already")
    if not re.fullmatch(NAME_PATTERN, kind.name):
        raise ValueError(f"{kind.name!r} is no name of lower-case letters, digits and underscores")
    others = [SharedKeys, *(each.keys for each in KINDS.values())]
    taken = {key for keys in others if keys is not None for key in keys.model_fields}
    own = Part if kind.keys is None else kind.keys
    for key, field in own.model_fields.items():
        if key in taken:
            raise ValueError(f"{key_of(own, key)} is one of fields already; see Kind.reads")
        if field.get_default() is not None or field.is_required():
            raise ValueError(f"{key_of(own, key)} is not None unless given; see Kind.mandatory")
    KINDS[kind.name] = kind
    keys_changed()


def unregister(name: str) -> None:
    """Take a kind away that was added, as tests do."""
    del KINDS[name]
    keys_changed()


def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises:
        KeyError: where there is none; names in specs that were read have one.
    """
    return KINDS[name]


def place_kind(name: str) -> PlaceKind:
    """The kind of places in an image of a name.

    Raises:
        KeyError: where there is none.
        TypeError: for a kind of other values.
    """
    kind = KINDS[name]
    if not isinstance(kind, PlaceKind):
        raise TypeError(f"{name!r} is no place in an image")
    return kind


def kind_of_place(place: Shape) -> PlaceKind:
    """The kind that a place in an image is a value of.

    Raises:
        KeyError: for a value of no registered kind.
    """
    for kind in KINDS.values():
        if isinstance(kind, PlaceKind) and kind.value is type(place):
            return kind
    raise KeyError(type(place).__name__)


def usual_place() -> str:
    """The name of the kind that location tokens are where a task writes none."""
    return next(name for name, kind in KINDS.items() if isinstance(kind, PlaceKind))


def names_where(holds: Callable[[Kind], bool]) -> tuple[str, ...]:
    """The names of the kinds of which something holds."""
    return tuple(name for name, kind in KINDS.items() if holds(kind))


def written_in(*writings: Writing) -> tuple[str, ...]:
    """The names of the kinds that are written so."""
    return names_where(lambda kind: kind.writing in writings)
