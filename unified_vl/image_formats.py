"""Which files are images: the formats that are read, and those that are known and are not."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePath
from typing import Any

# by the names that Pillow gives them; all are decoded within Pillow, and none runs a program
FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
WITH_EXTRA = {"HEIF": (".heic", ".heif")}  # pip install 'unified_vl[heic]'
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
NAMED = SUFFIXES | frozenset(WITH_EXTRA["HEIF"])  # images by their names, with the extra or without
HEIC_HINT = "pip install 'unified_vl[heic]' for HEIC"
_SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"RIFF",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP",
)
_BOX_OF_FORMATS = b"ftyp"  # in the fifth byte of AVIF and HEIC
_LONGEST_PATH = 1000
# formats that people keep beside others, and that nothing here reads
UNREAD = frozenset(
    [
        ".svg",
        ".jxl",
        ".psd",
        ".xcf",
        ".ico",
        ".icns",
        ".pcx",
        ".tga",
        ".dds",
        ".eps",
        ".exr",
        ".hdr",
        ".dcm",
        ".fits",
        ".raw",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
    ]
)


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats for `PIL.Image.open`; HEIF where `pillow-heif` is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return tuple(FORMATS)
    register_heif_opener()
    return (*FORMATS, *WITH_EXTRA)


def expected_formats() -> str:
    """`PNG, JPEG, ... or PPM`, for messages."""
    *most, last = FORMATS
    return f"{', '.join(most)} or {last}"


def is_image(path: PurePath) -> bool:
    """Whether a name is that of an image that is read, and not hidden."""
    suffix = path.suffix.lower()
    known = suffix in SUFFIXES or (suffix in WITH_EXTRA["HEIF"] and "HEIF" in readable_formats())
    return known and not path.name.startswith(".")


def holds_image(value: Any) -> bool:
    """Whether a value of a row is an image: its path or its bytes, or what has either of them, as
    the images of `datasets` have."""
    if isinstance(value, dict) and {"bytes", "path"} & set(value):
        return holds_image(value.get("bytes") or value.get("path"))
    if isinstance(value, bytes):
        return value.startswith(_SIGNATURES) or value[4:8] == _BOX_OF_FORMATS
    return (
        isinstance(value, str)
        and value.lower().endswith(tuple(NAMED))
        and "://" not in value
        and len(value) <= _LONGEST_PATH
    )


def is_unread_image(path: PurePath) -> bool:
    """Whether a name is that of an image in a format that is not read."""
    suffix = path.suffix.lower()
    known = suffix in UNREAD or suffix in WITH_EXTRA["HEIF"] or suffix in _of_pillow()
    return known and not is_image(path) and not path.name.startswith(".")


def named(paths: Iterable[Path], most: int = 5) -> str:
    """`a.svg, b.heic and 3 more`, with what would read them where something would."""
    found = list(paths)
    names = ", ".join(path.name for path in found[:most])
    more = f" and {len(found) - most} more" if len(found) > most else ""
    heic = any(path.suffix.lower() in WITH_EXTRA["HEIF"] for path in found)
    return f"{names}{more}" + (f" ({HEIC_HINT})" if heic else "")


@cache
def _of_pillow() -> frozenset[str]:
    """The endings that Pillow would read, save those of documents and films."""
    from PIL import Image as PILImage

    return frozenset(PILImage.registered_extensions()) - SUFFIXES - {".pdf", ".mpg", ".mpeg", ".ps"}
