"""What a person gives a task on the page, and how it becomes a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from unified_vl.data.videos.video_loader import by_numbers
from unified_vl.errors import UserError
from unified_vl.inference.inputs import source_fields
from unified_vl.kinds.registry import kind_of
from unified_vl.serving.limits import Limits
from unified_vl.serving.wire import images
from unified_vl.specs.task import TaskSpec

LIMITS = Limits()
MOST_BYTES = LIMITS.file
MOST_CHARACTERS = 10_000  # of a text


@dataclass(frozen=True, slots=True)
class Input:
    """A thing to fill in: tasks whose fields are alike in these share it."""

    name: str
    kind: str
    many: bool = False

    @property
    def is_image(self) -> bool:
        return kind_of(self.kind).is_image

    @property
    def is_video(self) -> bool:
        return kind_of(self.kind).is_video

    @property
    def has_pixels(self) -> bool:
        return kind_of(self.kind).has_pixels

    @property
    def is_input_image(self) -> bool:
        return kind_of(self.kind).is_input_image

    @property
    def names_language(self) -> bool:
        return kind_of(self.kind).names_language

    @property
    def label(self) -> str:
        return self.name.replace("_", " ")


def inputs_of(spec: TaskSpec) -> tuple[Input, ...]:
    """What a task needs, images and videos first."""
    fields = ((name, spec.fields[name]) for name in source_fields(spec))
    found = [Input(name, field.kind, field.many) for name, field in fields]
    return tuple(sorted(found, key=lambda one: not one.has_pixels))


def all_inputs(specs: Iterable[TaskSpec]) -> tuple[Input, ...]:
    """What any of the tasks needs, each once, images and videos first."""
    found = dict.fromkeys(one for spec in specs for one in inputs_of(spec))
    return tuple(sorted(found, key=lambda one: not one.has_pixels))


def read_values(spec: TaskSpec, given: Mapping[Input, Any]) -> dict[str, Any]:
    """The fields of a task out of what was filled in; images are decoded.

    Args:
        spec: the task.
        given: an image as the path of its file (of a field with many values a list of
            paths), a video as the paths of its
            frames or that of one file, anything else as text, of a field with many values a line
            each.

    Raises:
        UserError: for an image or a text that is missing or too large, or a shape that is
            no numbers.
    """
    values: dict[str, Any] = {}
    for one in inputs_of(spec):
        value = given.get(one)
        if value is None or value == "" or value == []:
            if spec.fields[one.name].missing == "allow":
                continue
            raise UserError("is empty", field=one.label)
        if one.is_image:
            holes = kind_of(one.kind).reads_holes
            paths = value if one.many else [value]
            pictures = [read_image(Path(str(path)), one.label, holes=holes) for path in paths]
            values[one.name] = pictures if one.many else pictures[0]
            continue
        if one.is_video:
            paths = value if isinstance(value, list) else [value]
            values[one.name] = read_video([Path(str(path)) for path in paths], one.label)
            continue
        if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
            expected = f"a text of at most {MOST_CHARACTERS:,} characters"
            raise UserError("is no such text", field=one.label, expected=expected)
        lines = value.splitlines() if one.many else [value]
        said = [_parsed(line, one) for line in lines if line.strip()]
        values[one.name] = said if one.many else said[0] if said else ""
    return values


def _parsed(text: str, one: Input) -> Any:
    """A value as its kind has it typed: a text as it is, a box as its numbers."""
    try:
        return kind_of(one.kind).typed(text)
    except ValueError as error:
        raise UserError(f"found {text[:60]!r}", field=one.label, expected=str(error)) from error


def read_image(path: Path, field: str, *, holes: bool = False) -> PILImage.Image:
    """An uploaded image, upright and in RGB; with `holes` as it is, transparency and all.

    Raises:
        UserError: before anything is decoded when the file or the picture is too large;
            when it is no picture.
    """
    with path.open("rb") as file:
        return images.read_image(file, path.stat().st_size, field, LIMITS, holes=holes)


def read_video(paths: list[Path], field: str) -> list[PILImage.Image] | bytes:
    """An uploaded video: its frames in the order of their names, or the bytes of its file.

    Raises:
        UserError: when a file is too large, or one of several is no picture.
    """
    if len(paths) > 1:
        paths.sort(key=lambda path: by_numbers(path.name))
        return [read_image(path, field) for path in paths]
    size = paths[0].stat().st_size
    if size > LIMITS.file:
        expected = f"at most {LIMITS.file:,}"
        raise UserError(f"the file has {size:,} bytes", field=field, expected=expected)
    return paths[0].read_bytes()
