"""What the report shows of single rows: scenes, plain text pairs, the worst mistakes.

A prediction is a row of `predictions.jsonl`, as `evaluate` writes it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.errors import BadRow
from unified_vl.evaluation.drawn_shapes import (
    DrawnShape,
    points_somewhere,
    shapes_of,
    true_shapes_of,
)
from unified_vl.evaluation.languages import Language, language_of
from unified_vl.png import data_url

SCENES = 12
LINES_A_SCENE = 5
TEXT_PAIRS = 12
MISTAKES_A_TASK = 3
IMAGES_A_MISTAKE = 4
LARGEST_SIDE = 320  # pixels of a picture within the page
HUES = ("#ffb000", "#4fb3ff", "#ff6fb5", "#9be15d")

Prediction = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image within the page; `width` and `height` are those of the user's image."""

    data: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One answer of the model.

    Attributes:
        language: of the answer.
        asked: the texts that it was given, in `asked_in`.
        hue: of its shapes, where its task writes any.
        shapes: the shapes that the model wrote, with their labels.
        true_shapes: the right ones.
        confidence: 0 to 100, the geometric mean of its tokens' probabilities.
    """

    task: str
    language: Language
    asked: tuple[str, ...]
    asked_in: Language
    prediction: str
    expected: str
    correct: bool
    confidence: float
    cell: str
    shapes: tuple[DrawnShape, ...] = ()
    true_shapes: tuple[DrawnShape, ...] = ()
    hue: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, what the model wrote about it, and where it pointed."""

    picture: Picture | None
    texts: tuple[Line, ...]
    pointed: tuple[Line, ...]


def scenes(predictions: Iterable[Prediction], data_root: Path) -> list[Scene]:
    """Up to `SCENES` images of the split, chosen by their order, never by success.

    Images that more tasks have seen come first, but every kind has its place. The
    lines of a scene are in the languages that the scenes before it showed least.
    """
    by_image: dict[str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        if row["image"]:
            by_image[row["image"]].append(row)
    shown: Counter[tuple[str, str | None]] = Counter()
    found = []
    for image in _choose_images(by_image):
        rows = by_image[image]
        pointing = _vary([r for r in rows if points_somewhere(r)], shown, 3)
        texts = _vary([r for r in rows if not points_somewhere(r)], shown, LINES_A_SCENE)
        found.append(
            Scene(
                load_picture(data_root, image),
                tuple(line_of(row) for row in texts),
                tuple(line_of(row, hue) for row, hue in zip(pointing, HUES, strict=False)),
            )
        )
    return found


def text_pairs(predictions: Iterable[Prediction]) -> list[Line]:
    """Rows without an image, spread evenly over the split."""
    rows = [row for row in predictions if row["image_size"] is None]
    return [line_of(row) for row in _spread(rows, TEXT_PAIRS)]


def worst_mistakes(
    predictions: Iterable[Prediction], data_root: Path
) -> list[tuple[tuple[Picture, ...], Line]]:
    """Of every task the `MISTAKES_A_TASK` wrong rows that the model was surest of, no image
    twice; each with all images that it read."""
    by_task: dict[str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        if not row["correct"] and row["score"] is not None:
            by_task[row["task"]].append(row)
    worst = []
    for rows in by_task.values():
        shown: set[str] = set()
        taken = 0
        for row in sorted(rows, key=lambda r: -r["score"]):
            images = _images_of(row)
            if not shown.isdisjoint(images):
                continue
            shown.update(images)
            pictures = (load_picture(data_root, image) for image in images[:IMAGES_A_MISTAKE])
            worst.append((tuple(filter(None, pictures)), line_of(row, HUES[0])))
            taken += 1
            if taken == MISTAKES_A_TASK:
                break
    return worst


def _images_of(row: Prediction) -> list[str]:
    return row.get("several_images") or ([row["image"]] if row["image"] else [])


def line_of(row: Prediction, hue: str | None = None) -> Line:
    """A row of `predictions.jsonl` for the page."""
    pointed = points_somewhere(row)
    shapes, true_shapes = shapes_of(row), true_shapes_of(row)
    texts = [str(each) for each in row["references"] if not isinstance(each, list | None)]
    said, expected = row["prediction"] or "", " / ".join(texts)
    if row.get("labels") is not None:  # the text is that of the labels, one after the other
        said, expected = _labels(shapes), _labels(true_shapes)
    return Line(
        task=row["task"],
        language=language_of(row["language"]),
        asked=tuple(row["inputs"].values()),
        asked_in=language_of(next(iter(row["input_languages"].values()), row["language"])),
        prediction=said,
        expected=expected,
        correct=row["correct"],
        confidence=100 * math.exp(row["score"] or 0.0),
        cell=row.get("cell", ""),
        shapes=shapes,
        true_shapes=true_shapes,
        hue=hue if pointed else None,
    )


def _labels(shapes: Iterable[DrawnShape]) -> str:
    return ", ".join(each.label or "–" for each in shapes)


def load_picture(data_root: Path, image: str | None) -> Picture | None:
    """The image as a PNG in a data URI, no side over `LARGEST_SIDE`; None if unreadable."""
    if image is None:
        return None
    try:
        path = ImageLoader(data_root, (1, 1)).resolve(image, "")
        with path.open("rb") as file:
            upright = to_rgb(open_image(file, "", image), "", image).copy()
    except (BadRow, OSError):
        return None
    width, height = upright.size
    upright.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    url = data_url(upright, smallest=True)
    return Picture(url, width, height, max(width, height) < 160)


def _choose_images(by_image: Mapping[str, Sequence[Prediction]]) -> list[str]:
    """Images of the kind that most tasks share take three quarters, the others the rest."""
    kinds: dict[frozenset[str], list[str]] = defaultdict(list)
    for image, rows in by_image.items():
        kinds[frozenset(row["task"] for row in rows)].append(image)
    if not kinds:
        return []
    rich, *others = sorted(
        kinds.values(), key=lambda images: _variety(by_image[images[0]]), reverse=True
    )
    shares = [_spread(images, max(SCENES // 4 // len(others), 1)) for images in others]
    rest = [image for share in shares for image in share][: SCENES // 4]
    return [*_spread(rich, SCENES - len(rest)), *rest]


def _variety(rows: Sequence[Prediction]) -> tuple[int, int]:
    return len({row["task"] for row in rows}), len({row["language"] for row in rows})


def _vary(
    rows: Sequence[Prediction], shown: Counter[tuple[str, str | None]], most: int
) -> list[Prediction]:
    """`most` rows whose tasks and languages were shown least; `shown` is brought up to date.

    Descriptions come before answers to questions, of which each task gives one first;
    and no thing is pointed at twice.
    """
    chosen: list[Prediction] = []
    left = list(rows)
    asked: set[str] = set()
    while left and len(chosen) < most:
        best = min(left, key=lambda r: (r["task"] in asked, shown[r["task"], r["language"]]))
        shown[best["task"], best["language"]] += 1
        if best["inputs"]:
            asked.add(best["task"])
        chosen.append(best)
        left = [r for r in left if _subject(r) != _subject(best)]
    return sorted(chosen, key=lambda r: r["task"])


def _subject(row: Prediction) -> tuple[Any, ...]:
    if points_somewhere(row):
        return row["task"], row["references"]
    return row["task"], row["language"], tuple(row["inputs"].values())


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` items at equal distances."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
