"""The images of a folder."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def images_below(folder: Path) -> list[Path]:
    """Image files below a folder, by their endings and in the order of their names.

    Hidden files and folders are passed over.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    below = ((path, path.relative_to(folder)) for path in found)
    shown = [p for p, name in below if not any(part.startswith(".") for part in name.parts)]
    return sorted((p for p in shown if p.is_file()), key=lambda p: p.relative_to(folder).as_posix())
