"""The rows that a saved model shows as examples: one JSON file a task, images as PNG.

    specs/NAME.shots.json   {LANGUAGE: [{"where", "language", "matches", "values"}, ...]}
    specs/NAME.shots/0.png  ..., at the size that the network reads

A text stands for itself, any other value is `{"kind": "Box", "x1": ...}` with what its segment
holds; of an image `{"kind": "Image", "file": 0, "width", "height"}`, the user's size.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image, ImageCodes, Tag
from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.data.rows.other_rows import Shot, Shots
from unified_vl.data.rows.values import Value
from unified_vl.errors import UserError
from unified_vl.files import read_json_object, write_atomically
from unified_vl.kinds.hooks.fits import Fit, content_of, fitted_size
from unified_vl.kinds.places import PlaceKind
from unified_vl.kinds.registry import KINDS
from unified_vl.png import png
from unified_vl.specs.task import TaskSpec


def write_shots(folder: Path, spec: TaskSpec, shots: Shots) -> None:
    """Write `NAME.shots.json` and its images below `folder`."""
    images = _Images(folder / f"{spec.task}.shots")
    content = {
        language: [
            {
                "where": shot.where,
                "language": shot.language,
                "matches": shot.matches,
                "values": {
                    name: [images.written(item) for item in value]
                    for name, value in shot.values.items()
                    if name in spec.fields_of(spec.shot or ())
                },
            }
            for shot in several
        ]
        for language, several in shots.items()
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    write_atomically(folder / f"{spec.task}.shots.json", text)


def read_shots(
    folder: Path, spec: TaskSpec, image_size: tuple[int, int], fit: Fit = "stretch"
) -> Shots:
    """What `write_shots` wrote.

    Args:
        folder: of the model's specs.
        spec: the task.
        image_size: (height, width) that its images have.
        fit: how they were brought to it.

    Raises:
        UserError: when a file is missing, is not what it should be, or an image has
            another size.
    """
    path = folder / f"{spec.task}.shots.json"
    if not path.is_file():
        raise UserError("the rows that the task shows as examples are missing", file=path)
    images = folder / f"{spec.task}.shots"
    fields = spec.fields_of(spec.shot or ())
    shots = {}
    frame = (image_size, fit)
    for language, several in read_json_object(path).items():
        try:
            shots[language] = [
                Shot(
                    str(shot["where"]),
                    _one_of(spec.data.languages, shot["language"]),
                    {name: _values(shot["values"][name], images, frame) for name in fields},
                    bool(shot["matches"]),
                )
                for shot in several
            ]
        except (KeyError, TypeError, ValueError) as error:
            message = f"these are no rows of the task: {error!r}"
            raise UserError(message, file=path, field=language) from error
    return shots


Frame = tuple[tuple[int, int], Fit]
"""(height, width) of images, and how they were brought to it."""


class _Images:
    """Writes images, each different one once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[bytes, int] = {}

    def written(self, item: Any) -> Any:
        """A value as JSON has it."""
        if isinstance(item, str):
            return item
        if isinstance(item, ImageCodes):
            return {"kind": "ImageCodes", "codes": item.codes, "columns": item.columns}
        if isinstance(item, Clip):
            frames = [self.written(frame) for frame in item.frames]
            return {"kind": "Clip", "frames": frames, "seconds": item.seconds}
        if not isinstance(item, Image):
            return {"kind": type(item).__name__, **asdict(item)}
        content = png(PILImage.fromarray(item.image.pixels_HWC))
        number = self._numbers.setdefault(content, len(self._numbers))
        write_atomically(self._folder / f"{number}.png", content)
        size = {"width": item.image.width, "height": item.image.height}
        return {"kind": "Image", "file": number, **size}


def _one_of(known: Sequence[str], name: Any) -> str:
    if name not in known:
        raise ValueError(f"{name!r} is not a language of the task")
    return str(name)


def _values(items: Any, folder: Path, frame: Frame) -> Value:
    if not isinstance(items, list):
        raise TypeError(f"found {items!r}")
    return tuple(_value(item, folder, frame) for item in items)


def _value(item: Any, folder: Path, frame: Frame) -> Any:
    if isinstance(item, str):
        return item
    kind, rest = item["kind"], {name: held for name, held in item.items() if name != "kind"}
    if kind == "Clip":
        images = _values(rest["frames"], folder, frame)
        return Clip(tuple(replace(each, frame=n) for n, each in enumerate(images)), rest["seconds"])
    if kind != "Image":
        lists = {name: tuple(v) if isinstance(v, list) else v for name, v in rest.items()}
        return _class_of(kind)(**lists)
    path = folder / f"{int(rest['file'])}.png"
    if not path.is_file():
        raise UserError("the image is missing", file=path)
    image = to_rgb(open_image(io.BytesIO(path.read_bytes()), str(path), "of a shot"), str(path), "")
    own, (frame_size, fit) = (int(rest["width"]), int(rest["height"])), frame
    size = fitted_size(fit, own, frame_size)
    if (image.height, image.width) != size:
        found = f"{image.width} x {image.height} pixels"
        raise UserError(f"found {found}", file=path, expected=f"{size[1]} x {size[0]}")
    pixels_HWC = np.asarray(image, dtype=np.uint8)
    return Image(LoadedImage(pixels_HWC, *own, content=content_of(fit, own, frame_size)))


def _class_of(name: str) -> Callable[..., Any]:
    """The class of a value that is no text."""
    places = [kind.value for kind in KINDS.values() if isinstance(kind, PlaceKind)]
    return {value.__name__: value for value in (Tag, ImageCodes, *places)}[name]
