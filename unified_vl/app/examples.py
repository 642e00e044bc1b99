"""Examples for the page: rows of the tasks' own data, or the images of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from unified_vl.app.inputs import Input, inputs_of, read_image
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.paths import existing, languages_apart
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.inference.folders import images_below
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

A_TASK = 8
SPLITS: tuple[SplitName, ...] = ("test", "validation", "train")  # the first that is there


@dataclass(frozen=True)
class PageExample:
    """What one click fills in.

    Attributes:
        language: of the answer.
        values: text, or the path of a picture below the page's own folder, or several.
    """

    language: str
    values: dict[Input, str | list[str]]


def find_examples(
    specs: Iterable[TaskSpec], folder: Path, pictures: Path
) -> dict[str, list[PageExample]]:
    """Up to eight examples of each task.

    Where the data of a task are below `folder` (a data root), its rows; where they are
    not, the images of the folder, for tasks that need no more than an image.

    Args:
        specs: the tasks.
        folder: what a person calls examples.
        pictures: the page's own folder: images are written into it as PNG, so that what is
            shown is neither the person's file nor more than its pixels.

    Raises:
        UserError: when the folder is missing, or holds no example of any task.
    """
    if not folder.is_dir():
        raise UserError("there is no folder of examples here", file=folder)
    found: dict[str, list[PageExample]] = {}
    for spec in specs:
        examples: list[PageExample] = []
        for language, values in _candidates(spec, folder):
            place = pictures / spec.task / str(len(examples))
            if (example := _kept(language, values, place)) is not None:
                examples.append(example)
            if len(examples) == A_TASK:
                break
        if examples:
            found[spec.task] = examples
    if not found:
        raise UserError(
            "holds no example of the model's tasks", file=folder, expected="a data root, or images"
        )
    return found


def _candidates(spec: TaskSpec, folder: Path) -> Iterator[tuple[str, dict[Input, Any]]]:
    if any(one.is_video for one in inputs_of(spec)) or spec.regions_field is not None:
        return  # what is shown here is written as pictures
    for split in SPLITS:
        if split in spec.data.splits and _has_data(spec, split, folder):
            yield from _rows(spec, split, folder)
            return
    inputs = inputs_of(spec)
    if len(inputs) == 1 and inputs[0].is_input_image:
        (one,), languages = inputs, spec.data.languages
        for number, path in enumerate(images_below(folder)):
            yield languages[number % len(languages)], {one: [path] if one.many else path}


def _has_data(spec: TaskSpec, split: SplitName, root: Path) -> bool:
    """Whether a split is there; nothing is downloaded to show how a task is asked."""
    try:
        found = [existing(spec, split, root, tag) for tag in languages_apart(spec, split)]
    except UserError:
        return False
    return all(p.exists() for several in found for files in several for p in files.values())


def _rows(spec: TaskSpec, split: SplitName, root: Path) -> Iterator[tuple[str, dict[Input, Any]]]:
    """Rows in up to eight languages that take turns, from all over the split."""
    data = TaskData(spec, split, root)
    images = ImageLoader(root, (1, 1))
    languages = list(data.by_language().values())
    number = min(A_TASK, len(languages))
    places = [languages[i * len(languages) // number] for i in range(number)]
    inputs = inputs_of(spec)
    for turn in range(len(data)):
        of_language = places[turn % len(places)]
        part = turn * len(of_language) // (2 * A_TASK)  # some rows may be unusable
        if part >= len(of_language):
            return
        row = data[of_language[part]]
        language = row.language or spec.data.languages[0]
        try:
            values = {one: _value(spec, one, row, language, images) for one in inputs}
        except UserError:
            continue
        yield language, values


def _value(spec: TaskSpec, one: Input, row: Row, language: str, images: ImageLoader) -> Any:
    value = row.columns.get(spec.fields[one.name].column_in(language))
    items = value if one.many and isinstance(value, list | tuple) else [value]
    if one.is_image:
        found = [_image(item, row, images) for item in items]
        return found if one.many else found[0]
    if value is None:
        raise UserError("is missing", field=one.name)
    return "\n".join(_written(item) for item in items)


def _image(value: Any, row: Row, images: ImageLoader) -> Any:
    """The path of an image, or its bytes."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if not isinstance(value, str):
        return value
    return images.resolve(row.image(value), row.where, row.linked)


def _written(value: Any) -> str:
    """A value as a person types it: numbers of a shape with commas between them."""
    return str(value).replace("[", "").replace("]", "") if isinstance(value, list) else str(value)


def _kept(language: str, values: dict[Input, Any], place: Path) -> PageExample | None:
    """The example with its images in the page's folder; None when one cannot be read."""
    kept: dict[Input, str | list[str]] = {}
    for one, value in values.items():
        if not one.is_image:
            kept[one] = value
            continue
        place.mkdir(parents=True, exist_ok=True)
        several = value if one.many else [value]
        targets = [place / f"{one.name}{n or ''}.png" for n in range(len(several))]
        try:
            for picture, target in zip(several, targets, strict=True):
                _picture(picture, target, one.label).save(target)
        except UserError:
            return None
        kept[one] = [str(target) for target in targets] if one.many else str(targets[0])
    return PageExample(language, kept)


def _picture(value: Any, target: Path, field: str) -> PILImage.Image:
    if isinstance(value, bytes):
        target.write_bytes(value)
        value = target
    if not isinstance(value, Path):
        raise UserError("is no image", field=field)
    return read_image(value, field)
