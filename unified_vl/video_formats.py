"""Which files hold a video, by their endings."""

from __future__ import annotations

from pathlib import PurePath

SUFFIXES = frozenset(
    (
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".flv",
        ".wmv",
        ".ogv",
    )
)


def is_video(path: PurePath) -> bool:
    """Whether a path has the ending of a video file."""
    return path.suffix.lower() in SUFFIXES
