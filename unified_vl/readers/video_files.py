"""Videos below a folder, by what benchmarks call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unified_vl.readers.columns import Column
from unified_vl.readers.source import Source

LACKING = "lack their video"  # of rows that are left out
VIDEO = Column(
    "text",
    "the file below `data.images` of that name, whatever its ending, or the folder of its frames; "
    "rows whose video is in neither form are left out and counted",
)


def videos_below(source: Source) -> Callable[[str], str | None]:
    """The path, below the folder of all videos, of one by its name, with an ending or without;
    None where there is none. Many videos of benchmarks are no longer online.

    Raises:
        UserError: when the folder is not there.
    """
    files = sorted(source.image_folder.iterdir(), reverse=True)
    by_name = {each.stem if each.is_file() else each.name: each.name for each in files}
    whole = {each.name for each in files}

    def video(name: str) -> str | None:
        return name if name in whole else by_name.get(name)

    return video


def rows_with_videos(
    source: Source, rows: Iterator[tuple[int, str, Mapping[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """The rows whose video is there, with its path as `video`.

    Args:
        source: of the rows.
        rows: each with its place in the file and the name of its video.
    """
    video_of = videos_below(source)
    kept: list[int] = []
    count = 0
    for place, name, row in rows:
        count += 1
        video = video_of(name)
        if video is not None:
            kept.append(place)
            yield {"video": video, **row}
    source.keep(kept, count, LACKING)
