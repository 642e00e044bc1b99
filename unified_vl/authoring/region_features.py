"""Features of regions by any `timm` backbone, on boxes that are given or lie in a grid.

Legend: N images, C channels, H height, W width, R regions, F numbers of a feature, 4 left, top,
right and bottom, 2 x and y, P points of a box's side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.regions.writing import ImageRegions
from unified_vl.errors import UserError, nearest, number_of
from unified_vl.image_formats import is_image
from unified_vl.json_text import parse_json
from unified_vl.kinds.hooks.cells import list_of_numbers
from unified_vl.model.image_encoders.timm_backbone import TimmBackbone, build, settle, start
from unified_vl.specs.runs.vision import VisionSpec

POINTS = 7  # of a side of a box, at which its feature is looked up, as detectors have it


@dataclass(frozen=True)
class GivenBoxes:
    """Boxes of an image.

    Attributes:
        boxes: (R, 4), in pixels of the user's image.
        classes: of each; None where the file does not say them, as for what follows.
        scores: of each.
        attributes: of each.
    """

    boxes: Sequence[Sequence[float]]
    classes: Sequence[int] | None = None
    scores: Sequence[float] | None = None
    attributes: Sequence[int] | None = None


TOLD = ("classes", "scores", "attributes")  # of each box, in all lines or none
KEYS = ("image", "boxes", *TOLD)  # of a line


def region_backbone(name: str, weights: str, side: int, level: int) -> TimmBackbone:
    """A backbone in evaluation mode.

    Args:
        name: of timm's.
        weights: `pretrained`, `random`, or a safetensors file.
        side: of images in pixels.
        level: of its feature maps.

    Raises:
        UserError: for a backbone or weights that are not there, or do not suit the images.
    """
    keys = VisionSpec(
        kind="timm",
        backbone=name,
        weights=weights,
        image_size=(side, side),
        feature_level=level,
    ).model_dump(mode="json")
    vision = {**keys, **settle(keys)}
    backbone = build(vision, 1)
    assert isinstance(backbone, TimmBackbone)
    start(backbone, vision)
    return backbone.eval()


def features_of_boxes(map_CHW: torch.Tensor, boxes_R4: torch.Tensor) -> torch.Tensor:
    """The mean of a feature map over each box (R, C), looked up bilinearly at 7 x 7 points.

    Args:
        map_CHW: of an image.
        boxes_R4: as fractions of it.
    """
    step_P = (torch.arange(POINTS, device=map_CHW.device) + 0.5) / POINTS
    start_R2, side_R2 = boxes_R4[:, :2], boxes_R4[:, 2:] - boxes_R4[:, :2]
    at_RP2 = start_R2[:, None] + step_P[:, None] * side_R2[:, None]
    x_RPP = at_RP2[:, None, :, 0].expand(-1, POINTS, -1)
    y_RPP = at_RP2[:, :, None, 1].expand(-1, -1, POINTS)
    points_1QP2 = torch.stack([x_RPP, y_RPP], -1).flatten(0, 1)[None] * 2 - 1
    found_1CQP = F.grid_sample(
        map_CHW[None], points_1QP2, padding_mode="border", align_corners=False
    )
    found_CRPP = found_1CQP[0].view(len(map_CHW), len(boxes_R4), POINTS, POINTS)
    return found_CRPP.mean((2, 3)).T


def make_regions(
    backbone: TimmBackbone,
    folder: Path,
    boxes: Mapping[str, GivenBoxes] | tuple[int, int],
    device: torch.device,
) -> Iterator[ImageRegions]:
    """The regions of the images in a folder, one image after the other.

    Args:
        backbone: makes the features.
        folder: with images, also in folders below.
        boxes: of images by their paths below the folder, which others are left out for; or the
            rows and columns of a grid.
        device: that computes.

    Raises:
        UserError: for an image that cannot be read, two of one name, or a box beyond its image.
    """
    images = ImageLoader(folder, backbone.image_size, 0)
    backbone = backbone.to(device)
    names: dict[str, str] = {}
    for path in _images_in(folder) if isinstance(boxes, tuple) else boxes:
        name = Path(path).stem
        if names.setdefault(name, path) != path:
            found = f"{names[name]!r} and {path!r} have one name"
            raise UserError(found, file=folder, expected="names that differ without their endings")
        image = images.load(path, str(folder))
        size = image.width, image.height
        given = _grid(boxes, size) if isinstance(boxes, tuple) else boxes[path]
        boxes_R4 = np.array(given.boxes, np.float32)
        beyond = boxes_R4 > np.array([*size, *size]) + 1
        turned_R = (boxes_R4[:, :2] > boxes_R4[:, 2:]).any(1)
        wrong_R = (boxes_R4 < -1).any(1) | beyond.any(1) | turned_R
        if wrong_R.any():
            raise UserError(
                f"has the box {list(given.boxes[int(wrong_R.argmax())])}",
                file=folder / path,
                expected=f"left, top, right and bottom within {size[0]} x {size[1]} pixels",
            )
        pixels_1CHW = torch.from_numpy(image.pixels_HWC.transpose(2, 0, 1).copy())[None]
        with torch.inference_mode():
            map_CHW = backbone.feature_map(pixels_1CHW.to(device).float() / 127.5 - 1.0)[0]
            relative_R4 = torch.from_numpy(boxes_R4 / np.array([*size, *size], np.float32))
            features_RF = features_of_boxes(map_CHW, relative_R4.to(device))
        yield ImageRegions(
            name,
            size,
            boxes_R4,
            features_RF.cpu().numpy(),
            None if given.classes is None else np.array(given.classes, np.int64),
            None if given.scores is None else np.array(given.scores, np.float32),
            None if given.attributes is None else np.array(given.attributes, np.int64),
        )


def read_boxes(path: Path) -> dict[str, GivenBoxes]:
    """A JSONL file of boxes: a line an image, with `image`, `boxes` and, in all lines or none,
    `classes`, `scores` and `attributes`.

    Raises:
        UserError: at the line, for what is none.
    """
    found: dict[str, GivenBoxes] = {}
    told: set[frozenset[str]] = set()
    for number, line in enumerate(_lines(path), 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise UserError(f"is not JSON: {error}", file=path, line=number) from error
        name = row.get("image") if isinstance(row, dict) else None
        if not isinstance(name, str) or name in found:
            said = "names no image" if name is None else f"names {name!r} again"
            raise UserError(said, file=path, line=number, field="image")
        for key in row.keys() - set(KEYS):
            raise UserError(
                "is not a known key",
                file=path,
                line=number,
                field=key,
                expected=", ".join(KEYS),
                nearest=nearest(key, KEYS),
            )
        found[name] = _given(row, path, number)
        told.add(frozenset(key for key in TOLD if row.get(key) is not None))
    if len(told) > 1:
        expected = "classes, scores and attributes in each line or none"
        raise UserError("says more of some images", file=path, expected=expected)
    if not found:
        raise UserError("holds no boxes", file=path)
    return found


def _given(row: Mapping[str, Any], path: Path, line: int) -> GivenBoxes:
    def bad(key: str, found: str, expected: str) -> UserError:
        return UserError(found, file=path, line=line, field=key, expected=expected)

    given = row.get("boxes")
    boxes: list[list[float]] = []
    for box in given if isinstance(given, list) else ():
        numbers = list_of_numbers(box)
        if numbers is None or len(numbers) != 4 or not np.isfinite(numbers).all():
            raise bad("boxes", f"found the box {box!r}", "[left, top, right, bottom] in pixels")
        boxes.append(numbers)
    if not boxes:
        raise bad("boxes", "has no boxes", "a list of [left, top, right, bottom] in pixels")
    told: dict[str, list[float] | None] = {}
    for key in TOLD:
        numbers = told[key] = None if row.get(key) is None else list_of_numbers(row[key])
        if row.get(key) is None:
            continue
        if len(numbers or ()) != len(boxes):
            raise bad(key, "is not of each box", f"{number_of(len(boxes), 'number')}, one a box")
        for number in numbers or ():
            if key == "scores" and not 0 <= number <= 1:
                raise bad(key, f"found {number!r}", "a number from 0 to 1")
            if key != "scores" and not (number >= 0 and number == int(number)):
                raise bad(key, f"found {number!r}", "a whole number from 0")

    def ids(key: str) -> list[int] | None:
        numbers = told[key]
        return None if numbers is None else list(map(int, numbers))

    return GivenBoxes(boxes, ids("classes"), told["scores"], ids("attributes"))


def _lines(path: Path) -> Iterable[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise UserError(f"cannot be read: {reason}", file=path) from error


def _images_in(folder: Path) -> list[str]:
    """The paths of images below a folder, sorted."""
    paths = (path for path in folder.rglob("*") if is_image(path))
    found = sorted(path.relative_to(folder).as_posix() for path in paths)
    if not found:
        raise UserError("holds no images", file=folder)
    return found


def _grid(grid: tuple[int, int], size: tuple[int, int]) -> GivenBoxes:
    """Boxes side by side, row by row."""
    rows, columns = grid
    width, height = size[0] / columns, size[1] / rows
    return GivenBoxes(
        [
            [c * width, r * height, (c + 1) * width, (r + 1) * height]
            for r in range(rows)
            for c in range(columns)
        ]
    )
