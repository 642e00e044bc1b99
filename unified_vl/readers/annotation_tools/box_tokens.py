"""JSONL whose texts hold boxes as tokens, as models are tuned on them (`_annotations.train.jsonl`).

`{"image": ..., "prefix": ..., "suffix": ...}`, and in the suffix PaliGemma's
`<loc0120><loc0340><loc0560><loc0780> cat ; ...` (y before x), Florence-2's
`cat<loc_340><loc_120><loc_780><loc_560>...`, or OFA's `<bin_340>...`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from unified_vl.box_conventions import (
    OFA_SIDE,
    from_florence,
    from_ofa,
    from_paligemma,
)
from unified_vl.errors import UserError
from unified_vl.geometry import Box
from unified_vl.json_text import json_objects
from unified_vl.readers.detections import Annotations, Picture, Thing, detection_reader
from unified_vl.readers.json_files import member


@dataclass(frozen=True)
class _Kind:
    token: re.Pattern[str]
    box: Callable[[Sequence[int]], Box]


KINDS = {
    "paligemma": _Kind(re.compile(r"<loc(\d{4})>"), from_paligemma),
    "florence": _Kind(re.compile(r"<loc_(\d{1,3})>"), from_florence),
    # of an image that was brought to 512 x 512 pixels
    "ofa": _Kind(re.compile(r"<bin_(\d{1,3})>"), lambda bins: from_ofa(bins, OFA_SIDE, OFA_SIDE)),
}
_SEGMENTS = re.compile(r"(?:<seg\d{3}>)+")
_END = re.compile(r"</?(?:eos|s|pad|bos)>")


def kind_of(text: str) -> str | None:
    """Whose tokens a text holds: the name of a kind, or None."""
    return next((name for name, kind in KINDS.items() if kind.token.search(text)), None)


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The lines of a file; those whose text has no box are left out and counted."""
    path = opened.path
    for line, row in json_objects(path):
        name = member(row, "image", str, path, line=line)
        suffix = _END.sub("", member(row, "suffix", str, path, line=line))
        prompt = member(row, "prefix", str, path, line=line) if "prefix" in row else None
        if suffix.strip() and kind_of(suffix) is None:
            opened.left_out["hold a text without box tokens"] += 1
            continue
        try:
            things = read_boxes(suffix)
        except ValueError as error:
            raise _at(opened, line, str(error)) from error
        masks = _SEGMENTS.findall(suffix)
        if masks:
            opened.lost["outlines in <seg> tokens (their boxes are kept)"] += len(masks)
        yield Picture(name, things, place=line - 1, prompt=prompt)


def _at(opened: Annotations, line: int, message: str) -> UserError:
    return UserError(message, file=opened.path, line=line, field="suffix")


def read_boxes(text: str) -> tuple[Thing, ...]:
    """The boxes of a text with their labels, as fractions of the image.

    Labels stand before their boxes (Florence-2) or behind (PaliGemma), as the first one does.

    Raises:
        ValueError: for tokens that are no box, or a box without a label among such with one.
    """
    kind = KINDS.get(kind_of(text) or "")
    if kind is None:
        return ()
    plain = _SEGMENTS.sub("", text).strip()
    runs = re.compile(rf"(?:{kind.token.pattern}\s*)+".replace(r"(\d", r"(?:\d"))
    said = [part.strip(" ;\n\t") for part in runs.split(plain)]
    numbers = [[int(n) for n in kind.token.findall(run)] for run in runs.findall(plain)]
    behind = not said[0]
    labels = said[1:] if behind else said[:-1]
    left = "" if behind else said[-1]
    if left:
        raise ValueError(f"{left[:60]!r} stands behind the last box, and others before theirs")
    things = []
    for label, bins in zip(labels, numbers, strict=True):
        if len(bins) % 4:
            raise ValueError(f"found {len(bins)} tokens of places in a row, and a box has 4")
        boxes = [kind.box(bins[at : at + 4]) for at in range(0, len(bins), 4)]
        if any(box.x1 == box.x2 or box.y1 == box.y2 for box in boxes):
            raise ValueError(f"a box of the places {bins} is empty")
        if not label and any(labels):
            raise ValueError(f"the box {bins[:4]} has no label, and others do")
        for box in boxes:
            things.append(Thing(label, (box.x1, box.y1, box.x2, box.y2)))
    return tuple(things)


BOX_TOKENS = detection_reader(
    "box_tokens",
    "JSONL with `image`, `prefix` and `suffix`, as PaliGemma, Florence-2 and OFA are tuned on "
    "it (Roboflow's `_annotations.train.jsonl`): boxes in the tokens `<loc0123>`, `<loc_123>` "
    "or `<bin_123>` of the suffix, with their labels. Lines with other texts are left out and "
    "counted.",
    pictures,
    relative=True,
    outlines=False,
    sized=False,
    prompt=True,
)
