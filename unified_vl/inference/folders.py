"""The images and the videos of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unified_vl.image_formats import is_image, is_unread_image
from unified_vl.video_formats import is_video


def images_below(folder: Path) -> list[Path]:
    """Image files below a folder, by their endings and in the order of their names.

    Hidden files and folders are passed over.
    """
    return _shown(folder, is_image)


def videos_below(folder: Path) -> list[Path]:
    """The same of video files."""
    return _shown(folder, is_video)


def unread_below(folder: Path) -> list[Path]:
    """As `images_below`, of images in formats that are not read."""
    return _shown(folder, is_unread_image)


def _shown(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    found = (path for path in folder.rglob("*") if wanted(path))
    below = ((path, path.relative_to(folder)) for path in found)
    shown = [p for p, name in below if not any(part.startswith(".") for part in name.parts)]
    return sorted((p for p in shown if p.is_file()), key=lambda p: p.relative_to(folder).as_posix())
