"""Annotations of objects in images, whatever tool wrote them: a row an image.

A format is a function from a file or folder to pictures; here is what all have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import STATED_SIZE, Column
from unified_vl.readers.reader import Frequency, PathKind, Reader, Rows
from unified_vl.readers.source import Source

PIXELS = "[x1, y1, x2, y2] in pixels"
FRACTIONS = "[x1, y1, x2, y2] between 0 and 1"
OF_OBJECTS = (
    " Images without objects are rows where the field of the boxes has `empty: true`, and else "
    "left out and counted."
)
LOOKED_FOR = " Without `data.images` images are looked for beside the files"
Corners = tuple[float, float, float, float]  # x1, y1, x2, y2


@dataclass(frozen=True, slots=True)
class Thing:
    """An object: what it is, its box, and its outline `x, y, x, y, ...` where it has one."""

    label: str
    box: Corners
    outline: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An image and its objects, in pixels or in fractions, as the format has them.

    Attributes:
        image: its path, as rows name it.
        things: the objects, in their order.
        size: width and height of the image, where the annotations state them.
        file: the file that says so; None for that which was opened.
        place: where in it, from 0.
        prompt: what the annotations ask of the image.
    """

    image: str
    things: tuple[Thing, ...]
    size: tuple[float, float] | None = None
    file: Path | None = None
    place: int = 0
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is to be read.

    Attributes:
        path: the file or folder.
        root: the folder that rows name images relative to, where they find them on disk.
        split: what the data call the split; None for all there is.
        named: whether images are named as the annotations name them, since the spec says in
            which folder they are; otherwise formats of a folder look for them there.
        alone: whether the path is of this split alone.
        lost: what is left out of pictures, by what it is: "points".
        left_out: what is no picture of the task, by what it lacks: "are not annotated".
    """

    path: Path
    root: Path
    split: str | None = None
    named: bool = False
    alone: bool = True
    lost: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def image(self, name: str, *folders: Path) -> str:
        """A path that annotations name, as rows do: of a file in the first folder that has it.

        Where none has it, it is named as in the first.
        """
        name = name.replace("\\", "/")
        if self.named:
            return name
        places = [folder / name for folder in folders]
        found = next((place for place in places if place.is_file()), places[0])
        try:
            return found.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return name  # outside the data root, and said so when it is opened


Pictures = Callable[[Annotations], Iterator[Picture]]


@dataclass(frozen=True, slots=True)
class DetectionReader(Reader):
    """A reader of objects in images.

    Attributes:
        pictures: the images of a file or folder, whatever a spec asks of them.
        relative: whether their numbers are fractions of the image, and not pixels.
    """

    _: KW_ONLY
    pictures: Pictures
    relative: bool = False


def detection_reader(
    name: str,
    about: str,
    pictures: Pictures,
    *,
    path: PathKind = "file",
    relative: bool = False,
    outlines: bool = True,
    sized: bool = True,
    images: Frequency = "sometimes",
    prompt: bool = False,
    own_splits: bool = False,
) -> DetectionReader:
    """The reader of a format of objects, a row an image.

    Images without objects are rows where the field of their boxes or outlines has `empty: true`
    or the spec has no such field; otherwise they are left out and counted.

    Args:
        name: what a spec calls it.
        about: the format.
        pictures: reads it.
        path: what `data.path` names.
        relative: whether its numbers are fractions of the image, and not pixels.
        outlines: whether its objects may have outlines.
        sized: whether it states the sizes of images.
        images: whether `data.images` says where the images are.
        prompt: whether it says what is asked of an image.
        own_splits: whether it tells splits apart.
    """
    columns = {
        "key": Column("text", "the image's path, as in `image`"),
        "image": Column("image", "the image"),
        "boxes": Column("boxes", FRACTIONS if relative else PIXELS),
        "labels": Column("texts", "what is in each box"),
    }
    if outlines:
        each = "x, y, x, y, ... between 0 and 1" if relative else "x, y, x, y, ... in pixels"
        columns["outlines"] = Column("polygons", f"of the objects that have one: {each}")
        columns["outlined"] = Column("texts", "what each outline is of")
    if sized:
        columns |= STATED_SIZE
    if prompt:
        columns["prompt"] = Column("text", "what is asked of the image: its `prefix`")
    return DetectionReader(
        name,
        about + OF_OBJECTS,
        rows=_rows_of(pictures),
        columns=columns,
        path=path,
        images=images,
        own_splits=own_splits,
        pictures=pictures,
        relative=relative,
    )


def _rows_of(pictures: Pictures) -> Rows:
    """The rows of a format, each of which is an image with its objects."""

    def rows(source: Source) -> Iterator[dict[str, Any]]:
        opened = Annotations(
            source.path,
            source.root,
            source.split,
            named=bool(source.images),
            alone=source.alone,
            lost=source.kept.lost,
        )
        needs = _needed_of(source)
        places: list[int] = []
        files: list[str] = []
        count = 0
        for picture in pictures(opened):
            count += 1
            row = _row(picture)
            if not all(row[column] for column in needs):
                continue
            places.append(picture.place)
            files.append(source.name(picture.file or source.path))
            yield row
        what = "outline" if "outlines" in needs else "object"
        source.leave_out(count - len(places), f"have no {what}, and no field has empty: true")
        for why, number in opened.left_out.items():
            source.leave_out(number, why)
        source.kept.numbers = places
        if any(file != source.name(source.path) for file in files):
            source.kept.files = files

    return rows


def _needed_of(source: Source) -> list[str]:
    """The columns of objects that may not be empty."""
    needed = []
    for column in ("boxes", "outlines"):
        if column in source.needed:
            by = source.field_of(column)
            if by is not None and not by.empty:
                needed.append(column)
    return needed


def _row(picture: Picture) -> dict[str, Any]:
    outlined = [thing for thing in picture.things if thing.outline]
    width, height = picture.size or (None, None)
    return {
        "key": picture.image,
        "image": picture.image,
        "boxes": [thing.box for thing in picture.things],
        "labels": [thing.label for thing in picture.things],
        "outlines": [thing.outline for thing in outlined],
        "outlined": [thing.label for thing in outlined],
        "width": width,
        "height": height,
        "prompt": picture.prompt,
    }


def around(xy: tuple[float, ...]) -> Corners:
    """The box around an outline."""
    return min(xy[::2]), min(xy[1::2]), max(xy[::2]), max(xy[1::2])


def outlined(label: str, xy: tuple[float, ...]) -> Thing:
    """A thing by its outline."""
    return Thing(label, around(xy), xy)


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files below a folder that end so, sorted.

    Raises:
        UserError: when there is none.
    """
    found = sorted(
        path
        for path in folder.rglob(f"*{suffix}")
        if path.is_file() and not path.name.startswith((".", "_"))
    )
    if not found:
        raise UserError(f"holds no {suffix} file", file=folder, expected="one an image")
    return found
