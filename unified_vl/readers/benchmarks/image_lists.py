"""Lists of images on the web with their captions: SBU, CC3M, CC12M.

A data set is its list; the images are what a download found. Its rows are those whose image
lies on disk, under the name that each reader says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from unified_vl.errors import UserError
from unified_vl.files import path_below
from unified_vl.readers.columns import Column
from unified_vl.readers.formats.moses import text_lines, together
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

SHARD = 10_000  # images in a folder of img2dataset's
Line = tuple[int, str, str]
"""A number from 0, a caption and a URL."""


class Downloaded:
    """The images that are there; each folder is listed once.

    Args:
        folder: that of all images.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[str, dict[str, str]] = {}

    def find(self, folder: str, stem: str) -> str | None:
        """The path of `stem` with whatever suffix, relative to the folder of all images."""
        if folder not in self._names:
            path = self.folder / folder
            files = (each.name for each in path.iterdir()) if path.is_dir() else ()
            self._names[folder] = {
                PurePosixPath(name).stem: name
                for name in sorted(files, reverse=True)
                if PurePosixPath(name).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
            }
        name = self._names[folder].get(stem)
        return None if name is None else path_below(folder, name)


def numbered(images: Downloaded, line: Line) -> str | None:
    """The image of a line as img2dataset names it, if it is there."""
    return images.find(f"{line[0] // SHARD:05d}", f"{line[0]:09d}")


def _by_url(images: Downloaded, line: Line) -> str | None:
    name = PurePosixPath(unquote(urlsplit(line[2]).path)).name
    return images.find("", PurePosixPath(name).stem)


def _list_reader(
    name: str,
    about: str,
    lines: Callable[[Source], Iterator[Line]],
    image_of: Callable[[Downloaded, Line], str | None],
    files: tuple[str, ...] = (),
) -> Reader:
    """The reader of a list; says which lines it left out."""

    def rows(source: Source) -> Iterator[dict[str, Any]]:
        kept: list[int] = []
        count = 0
        images = Downloaded(source.image_folder)
        for line in lines(source):
            count += 1
            image = image_of(images, line)
            if image is not None:
                number, caption, url = line
                kept.append(number)
                yield {"key": str(number), "image": image, "caption": caption, "url": url}
        source.keep(kept, count, "lack their image")

    columns = {
        "key": Column("text", "the line, counted from 0"),
        "image": Column("image", "the file of the image, below `data.images`"),
        "caption": Column("text", "its caption"),
        "url": Column("text", "where the image was"),
    }
    return Reader(name, about, rows=rows, columns=columns, files=files, images="always")


def _of_two(first: str, second: str) -> Callable[[Source], Iterator[Line]]:
    """Two values between tabs; img2dataset asks for a line of names, so one may be there."""
    return lambda source: listed(source.path, first, second)


def listed(path: Path, first: str, second: str) -> Iterator[Line]:
    """The lines of a list, each a caption and a URL in either order."""
    skipped = 0
    for number, line in enumerate(text_lines(path)):
        values = line.split("\t")
        if len(values) != 2:
            raise UserError(
                f"found {len(values)} values between tabs",
                file=path,
                line=number + 1,
                expected=f"{first} and {second}",
            )
        if number == 0 and values == [first, second]:
            skipped = 1
            continue
        said = dict(zip((first, second), values, strict=True))
        yield number - skipped, said["caption"], said["url"]


def _of_sbu(source: Source) -> Iterator[Line]:
    files = source.files
    pairs = together(
        {files[name]: text_lines(files[name]) for name in ("captions", "urls")}, "lines"
    )
    for number, (caption, url) in enumerate(pairs):
        yield number, caption, url.strip()


NUMBERED = (
    "The image of line n, counted from 0, is `data.images`/SSSSS/NNNNNNNNN.jpg (or .png, .webp): n "
    "with nine digits, in the folder of n // 10,000 with five, as img2dataset writes files. "
    "Lines whose image is not there are left out and counted: dead links are normal here."
)
CC3M = _list_reader(
    "cc3m",
    f"Conceptual Captions' lists, a caption and a URL between tabs. {NUMBERED}",
    _of_two("caption", "url"),
    numbered,
)
CC12M = _list_reader(
    "cc12m",
    f"Conceptual 12M's list, a URL and a caption between tabs. {NUMBERED}",
    _of_two("url", "caption"),
    numbered,
)
SBU = _list_reader(
    "sbu",
    "SBU's two lists, line n of one being the URL of line n of the other. The image is "
    "`data.images`/NAME, the last part of its URL. Lines whose image is not there are left "
    "out and counted: dead links are normal here.",
    _of_sbu,
    _by_url,
    files=("captions", "urls"),
)
