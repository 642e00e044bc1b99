"""How other models write places in an image, one entry a convention: to fractions of the image.

Sources: Qwen2-VL and Qwen3-VL (their model cards: whole numbers of 0 to 1000), Qwen2.5-VL (pixels
of the image as its processor resized it), InternVL (`<box>[[x1, y1, x2, y2]]</box>` of 0 to 1000),
Gemini (`box_2d`, 0 to 1000, y before x), LLaVA (fractions), PaliGemma (arXiv 2407.07726),
Florence-2 (arXiv 2311.06242), Kosmos-2 (arXiv 2306.14824: 32 x 32 patches, the first and the last
of a box), Molmo (arXiv 2409.17146: per cent, in attributes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unified_vl.geometry import Shape
from unified_vl.json_text import parse_json
from unified_vl.kinds.hooks.cells import Size
from unified_vl.kinds.places import PlaceKind

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_BETWEEN = re.compile(r"[\s,;()\[\]<>{}]*(?:</?(?:box|point|quad)>)?[\s,;()\[\]<>{}]*")
_JSON = re.compile(r"```(?:json)?\s*(.*?)```|(\[.*\]|\{.*\})", re.S)
_MARKUP = re.compile(r"</?[\w|]+/?>|<\|[\w]+\|>")
_LABELS = ("label", "name", "category", "class", "text", "phrase")
_AROUND = " \t\r\n:;,.-–—=[](){}\"'`*"
_FLORENCE = re.compile(r"<loc_(\d{1,3})>")
_PALIGEMMA = re.compile(r"<loc(\d{4})>")
_KOSMOS = re.compile(r"<patch_index_(\d{4})>")
_MOLMO = re.compile(r"<points?\s([^>]*)>")
_MOLMO_PAIR = re.compile(r'\bx\d*\s*=\s*"\s*([\d.]+)\s*"\s+y\d*\s*=\s*"\s*([\d.]+)\s*"')
_ALT = re.compile(r'\balt\s*=\s*"([^"]*)"')
KOSMOS_SIDE = 32


@dataclass(frozen=True, slots=True)
class Found:
    """A place in an answer: its numbers x y x y ... as written, and the text beside it."""

    xy: tuple[float, ...]
    label: str = ""


Finder = Callable[[str, PlaceKind], list[Found]]


@dataclass(frozen=True, slots=True)
class PlaceConvention:
    """A way to write places.

    Attributes:
        name: what `--places` calls it.
        about: what it is, in a line.
        scale: what a number is divided by: (of x, of y) in an image of a size.
        ask: what the model is told of the numbers, with {width} and {height}; nothing where a
            model writes them in tokens of its own.
        find: the places in an answer.
        of_seen: whether the size is that of the image as the model's processor made it.
        y_first: whether y comes before x.
    """

    name: str
    about: str
    scale: Callable[[Size], tuple[float, float]]
    ask: str
    find: Finder
    of_seen: bool = False
    y_first: bool = False

    def shapes(self, text: str, kind: PlaceKind, size: Size) -> list[tuple[str, Shape]]:
        """The places in an answer, each with its label (or nothing), as fractions of the image.

        Args:
            text: the answer.
            kind: of place.
            size: (width, height) of the image, in pixels.
        """
        across, down = self.scale(size)
        found = []
        for each in self.find(text, kind):
            shape = shape_at(kind, [v / (down if i % 2 else across) for i, v in enumerate(each.xy)])
            if shape is not None:
                found.append((each.label, shape))
        return found


def shape_at(kind: PlaceKind, xy: Sequence[float]) -> Shape | None:
    """The place at these fractions of an image, cut off at its edge; None where nothing is left."""
    if not kind.is_whole(len(xy)):
        return None
    within = [min(max(v, 0.0), 1.0) for v in xy]
    half = len(within) // 2
    if kind.rising and any(within[i] == within[i + half] for i in range(half)):
        return None
    return kind.made(within)


def _numbers(text: str, kind: PlaceKind) -> list[Found]:
    """Places in JSON, or in runs of numbers with their labels before them."""
    for match in _JSON.finditer(text):
        label = "" if match[1] else _clean(text[: match.start()])
        try:
            found = list(_in_json(parse_json(match[1] or match[2]), kind, label))
        except ValueError:
            continue
        if found:
            return found
    places: list[Found] = []
    label_from = end = 0
    run: list[float] = []

    def close(label: str, upto: int) -> None:
        nonlocal label_from
        places.extend(Found(xy, label if not n else "") for n, xy in enumerate(_cut(run, kind)))
        label_from = upto
        run.clear()

    label = ""
    for match in _NUMBER.finditer(text):
        if run and not _BETWEEN.fullmatch(text, end, match.start()):
            close(label, end)
        if not run:
            label = _clean(text[label_from : match.start()])
        run.append(float(match[0]))
        end = match.end()
    close(label, end)
    return places


def _cut(numbers: Sequence[float], kind: PlaceKind) -> Iterator[tuple[float, ...]]:
    """A run of numbers as places; what is left of it is dropped."""
    if kind.is_open:
        if kind.is_whole(len(numbers)):
            yield tuple(numbers)
        return
    for start in range(0, len(numbers) - kind.count + 1, kind.count):
        yield tuple(numbers[start : start + kind.count])


def _in_json(value: Any, kind: PlaceKind, label: str) -> Iterator[Found]:
    if isinstance(value, Mapping):
        named = next((value[key] for key in _LABELS if isinstance(value.get(key), str)), label)
        if kind.count == len(value.keys() & {"x", "y"}) == 2:
            value = {"": [value["x"], value["y"]]}
        elif {"x1", "y1", "x2", "y2"} <= value.keys():
            value = {"": [value[key] for key in ("x1", "y1", "x2", "y2")]}
        for each in value.values():
            yield from _in_json(each, kind, named)
    elif isinstance(value, list):
        flat = list(_flat(value))
        if flat and all(isinstance(v, int | float) and not isinstance(v, bool) for v in flat):
            of_points = all(isinstance(v, list) and len(v) == 2 for v in value)
            if kind.is_open or of_points or not isinstance(value[0], list):
                yield from (Found(xy, label) for xy in _cut(flat, kind))
                return
        for each in value:
            yield from _in_json(each, kind, label)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _clean(text: str) -> str:
    """A label without marks around it: the last line of what stands there."""
    lines = [line.strip(_AROUND) for line in _MARKUP.sub(" ", text).split("\n")]
    return next((line for line in reversed(lines) if line), "")


def _tokens(pattern: re.Pattern[str], y_first: bool, label_behind: bool) -> Finder:
    """Places in location tokens, with the label before them or behind."""

    def find(text: str, kind: PlaceKind) -> list[Found]:
        runs: list[tuple[int, int, list[float]]] = []
        for match in pattern.finditer(text):
            if runs and not text[runs[-1][1] : match.start()].strip():
                start, _, numbers = runs.pop()
                runs.append((start, match.end(), [*numbers, float(match[1])]))
            else:
                runs.append((match.start(), match.end(), [float(match[1])]))
        found: list[Found] = []
        for place, (start, end, numbers) in enumerate(runs):
            before = runs[place - 1][1] if place else 0
            behind = runs[place + 1][0] if place + 1 < len(runs) else len(text)
            label = _clean(text[end:behind] if label_behind else text[before:start])
            for xy in _cut(numbers, kind):
                swapped = [v for pair in zip(xy[1::2], xy[::2], strict=False) for v in pair]
                found.append(Found(tuple(swapped) if y_first else xy, label))
        return found

    return find


def _florence(text: str, kind: PlaceKind) -> list[Found]:
    """Bins of which the centre is meant (its processor's `BoxQuantizer`, floor)."""
    found = _tokens(_FLORENCE, False, False)(text, kind)
    return [Found(tuple(v + 0.5 for v in each.xy), each.label) for each in found]


def _kosmos(text: str, kind: PlaceKind) -> list[Found]:
    """Pairs of patches: of a box the upper left and the lower right one, whose outer corners count
    where they differ in both directions, and else their centres."""
    found: list[Found] = []
    for run in re.finditer(r"(?:<patch_index_\d{4}>)+", text):
        patches = [int(n) for n in _KOSMOS.findall(run[0])]
        if kind.count != 4:
            continue
        label = _clean(re.split(r"</object>|</phrase>\s*$", text[: run.start()])[-1])
        phrase = re.findall(r"<phrase>(.*?)</phrase>", text[: run.start()], re.S)
        label = _clean(phrase[-1]) if phrase else label
        for first, last in zip(patches[::2], patches[1::2], strict=False):
            (y1, x1), (y2, x2) = divmod(first, KOSMOS_SIDE), divmod(last, KOSMOS_SIDE)
            if x1 == x2 or y1 == y2:
                found.append(Found((x1, y1, x2 + 1, y2 + 1), label))
            else:
                found.append(Found((x1 + 0.5, y1 + 0.5, x2 + 0.5, y2 + 0.5), label))
    return found


def _molmo(text: str, kind: PlaceKind) -> list[Found]:
    found: list[Found] = []
    for attributes in _MOLMO.findall(text):
        said = _ALT.search(attributes)
        pairs = [(float(x), float(y)) for x, y in _MOLMO_PAIR.findall(attributes)]
        flat = [v for pair in pairs for v in pair]
        found += [Found(xy, said[1] if said else "") for xy in _cut(flat, kind)]
    return found


def _y_first(text: str, kind: PlaceKind) -> list[Found]:
    return [
        Found(tuple(v for y, x in zip(f.xy[::2], f.xy[1::2], strict=True) for v in (x, y)), f.label)
        for f in _numbers(text, kind)
    ]


def _all(value: float) -> Callable[[Size], tuple[float, float]]:
    return lambda size: (value, value)


_OF_A_THOUSAND = "in thousandths of the image's width and height, 0 to 1000"
CONVENTIONS: dict[str, PlaceConvention] = {
    each.name: each
    for each in (
        PlaceConvention(
            "pixels",
            "pixels of the image, as JSON or any run of numbers",
            lambda size: size,
            "in pixels of the image, which is {width} wide and {height} high",
            _numbers,
        ),
        PlaceConvention(
            "seen_pixels",
            "pixels of the image as the model's processor resized it (Qwen2.5-VL)",
            lambda size: size,
            "in pixels of the image",
            _numbers,
            of_seen=True,
        ),
        PlaceConvention(
            "thousand",
            "0 to 1000 of each side (Qwen2-VL, Qwen3-VL, InternVL)",
            _all(1000),
            _OF_A_THOUSAND,
            _numbers,
        ),
        PlaceConvention(
            "thousand_yx",
            "0 to 1000, y before x (Gemini)",
            _all(1000),
            _OF_A_THOUSAND,
            _y_first,
            y_first=True,
        ),
        PlaceConvention(
            "fractions",
            "0 to 1 of each side (LLaVA)",
            _all(1),
            "as fractions of the image's width and height, 0 to 1",
            _numbers,
        ),
        PlaceConvention(
            "paligemma",
            "<loc0000> to <loc1023>, y before x, the label behind",
            _all(1023),
            "",
            _tokens(_PALIGEMMA, True, True),
        ),
        PlaceConvention(
            "florence", "<loc_0> to <loc_999>, the label before", _all(1000), "", _florence
        ),
        PlaceConvention(
            "kosmos",
            "two <patch_index_0000> of 32 x 32 a box, the phrase before",
            _all(KOSMOS_SIDE),
            "",
            _kosmos,
        ),
        PlaceConvention(
            "molmo", '<point x="50.0" y="50.0" alt="...">, per cent', _all(100), "", _molmo
        ),
    )
}

OF_MODEL_TYPES: Mapping[str, str] = {
    "florence2": "florence",
    "internvl": "thousand",
    "kosmos-2": "kosmos",
    "paligemma": "paligemma",
    "qwen2_vl": "thousand",
    "qwen2_5_vl": "seen_pixels",
    "qwen3_vl": "thousand",
    "qwen3_vl_moe": "thousand",
}
"""What a family of transformers writes, by the `model_type` of its config."""
