"""Lists of images on the web with their captions: SBU, CC3M, CC12M.

A data set is its list; the images are what a download found. Its rows are those whose image
lies on disk, under the name that `specs.readers` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from unified_vl.data.readers.annotations import reader_of
from unified_vl.data.readers.moses import text_lines, together
from unified_vl.data.readers.reader import Reader, Source
from unified_vl.data.readers.table import Table
from unified_vl.errors import UserError

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
        return None if name is None else f"{folder}/{name}".lstrip("/")


def numbered(images: Downloaded, line: Line) -> str | None:
    """The image of a line as img2dataset names it, if it is there."""
    return images.find(f"{line[0] // SHARD:05d}", f"{line[0]:09d}")


def _by_url(images: Downloaded, line: Line) -> str | None:
    name = PurePosixPath(unquote(urlsplit(line[2]).path)).name
    return images.find("", PurePosixPath(name).stem)


def _list_reader(
    name: str,
    lines: Callable[[Source], Iterator[Line]],
    image_of: Callable[[Downloaded, Line], str | None],
) -> Reader:
    """The reader of a list; says which lines it left out."""

    def read(source: Source) -> Table:
        kept: list[int] = []
        count = 0

        def rows(source: Source) -> Iterator[dict[str, Any]]:
            nonlocal count
            images = Downloaded(source.root / source.images)
            if not images.folder.is_dir():
                place, said = ("data", "images"), str(images.folder)
                raise source.spec.error(place, f"there is no folder {said!r}")
            for line in lines(source):
                count += 1
                image = image_of(images, line)
                if image is not None:
                    number, caption, url = line
                    kept.append(number)
                    yield {"key": str(number), "image": image, "caption": caption, "url": url}

        table = reader_of(name, rows)(source)
        source.keep(kept, count, "lack their image")
        return table

    return read


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


read_cc3m = _list_reader("cc3m", _of_two("caption", "url"), numbered)
read_cc12m = _list_reader("cc12m", _of_two("url", "caption"), numbered)
read_sbu = _list_reader("sbu", _of_sbu, _by_url)
