"""Tables with a line an object, and the four sides of its box: VoTT's CSV and Roboflow's."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unified_vl.errors import UserError, nearest
from unified_vl.readers.detections import (
    Annotations,
    Picture,
    Pictures,
    Thing,
    detection_reader,
)

SIDES = ("xmin", "ymin", "xmax", "ymax")


def lines_of(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV with their numbers, by the names in its first; these without space.

    Raises:
        UserError: for a column that is missing, or a line with more or fewer values.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = [name.strip() for name in next(reader, [])]
            for name in needed:
                if name not in names:
                    close = nearest(name, names)
                    message = f"has no column {name!r}"
                    raise UserError(message, file=path, line=1, nearest=close)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise UserError(
                        f"found {len(cells)} values",
                        file=path,
                        line=reader.line_num,
                        expected=f"{len(names)}: {', '.join(names)}",
                    )
                yield reader.line_num, dict(zip(names, cells, strict=True))
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    except csv.Error as error:
        raise UserError(f"is not CSV: {error}", file=path, line=reader.line_num) from error


def _number(row: dict[str, str], name: str, path: Path, line: int) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        message = f"found {row[name][:60]!r}"
        raise UserError(message, file=path, line=line, field=name, expected="a number")
    return value


@dataclass
class _Image:
    place: int
    size: tuple[float, float] | None
    things: list[Thing]


def _of(image: str, label: str, *, sized: bool) -> Pictures:
    """The pictures of a table with these columns: the lines of an image make one."""
    needed = (image, label, *SIDES, *(("width", "height") if sized else ()))

    def pictures(opened: Annotations) -> Iterator[Picture]:
        path = opened.path
        found: dict[str, _Image] = {}
        for place, (line, row) in enumerate(lines_of(path, needed)):
            size = None
            if sized:
                size = _number(row, "width", path, line), _number(row, "height", path, line)
            entry = found.setdefault(row[image], _Image(place, size, []))
            if entry.size != size:
                message = f"{row[image]!r} has another size above"
                raise UserError(message, file=path, line=line)
            if not any(row[side].strip() for side in SIDES):
                continue  # an image without objects
            if not row[label].strip():
                raise UserError("is empty", file=path, line=line, field=label, expected="a class")
            x1, y1, x2, y2 = (_number(row, side, path, line) for side in SIDES)
            entry.things.append(Thing(row[label].strip(), (x1, y1, x2, y2)))
        for name, entry in found.items():
            yield Picture(name, tuple(entry.things), entry.size, place=entry.place)

    return pictures


vott_pictures = _of("image", "label", sized=False)
roboflow_pictures = _of("filename", "class", sized=True)


VOTT_CSV = detection_reader(
    "vott_csv",
    "VoTT's export as CSV: `image`, `xmin`, `ymin`, `xmax`, `ymax` and `label` of an object a "
    "line.",
    vott_pictures,
    outlines=False,
    sized=False,
)
ROBOFLOW_CSV = detection_reader(
    "roboflow_csv",
    "Roboflow's `_annotations.csv` (and TensorFlow's): `filename`, `width`, `height`, `class`, "
    "`xmin`, `ymin`, `xmax` and `ymax` of an object a line.",
    roboflow_pictures,
    outlines=False,
)
