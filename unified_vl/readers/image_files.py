"""The files below a folder of images, also through links that lie in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from unified_vl.image_formats import is_image, is_unread_image, named
from unified_vl.readers.source import Source


def files_below(source: Source) -> list[Path]:
    """All files below the folder of a source, sorted.

    Links are followed, where they lead outside the data root too: whoever put them there meant
    it. (A path that the data write is another matter.) Images whose link leads nowhere are
    counted as left out.
    """
    found = sorted(_walk(source.path, frozenset()))
    there = [path for path, leads in found if leads]
    lost = [path for path, leads in found if not leads and is_image(path)]
    source.leave_out(len(lost), "are links that lead nowhere")
    unread = [path for path in there if is_unread_image(path)]
    source.leave_out(len(unread), f"are images in other formats: {named(unread)}")
    return there


def note_links(source: Source, files: list[Path]) -> None:
    """Take down where the folders of these files are, and the files themselves where they are
    links, unless it is in the data root."""
    root, links = source.root.resolve(), source.kept.links
    for folder in dict.fromkeys(path.parent for path in files):
        target = folder.resolve()
        if not target.is_relative_to(root):
            links.setdefault(target, source.name(folder))
    for path in files:
        if path.is_symlink() and not (target := path.resolve()).is_relative_to(root):
            links.setdefault(target, source.name(path))


def _walk(folder: Path, above: frozenset[str]) -> Iterator[tuple[Path, bool]]:
    """Files, and whether they are there: a link may lead nowhere."""
    real = os.path.realpath(folder)
    if real in above:
        return  # a link to a folder that it is in
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir():
                yield from _walk(path, above | {real})
            else:
                yield path, entry.is_file()
