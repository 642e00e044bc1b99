"""DiDeMo: sentences that describe moments of Flickr's videos (Hendricks et al., arXiv 1708.01641).

`train_data.json`, `val_data.json` and `test_data.json` are lists of `{annotation_id, video,
description, num_segments, times}`: each of `times` is what one person chose, the first and the last
of the video's segments of five seconds, both counted from 0 and both within.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.video_files import VIDEO, rows_with_videos


def _sentences(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    path = source.path
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError("is no list of sentences", file=path)
    for number, each in enumerate(content):
        where = str(number)
        count = member(each, "num_segments", int, path, where)
        times = member(each, "times", list, path, where)
        for place, pair in enumerate(times):
            whole = isinstance(pair, list) and [type(part) for part in pair] == [int, int]
            if not whole or not 0 <= pair[0] <= pair[1]:
                raise UserError(
                    f"found {str(pair)[:60]!r}",
                    file=path,
                    field=f"{where}.times.{place}",
                    expected="the first and the last segment, from 0",
                )
        yield (
            number,
            member(each, "video", str, path, where),
            {
                "key": str(member(each, "annotation_id", int, path, where)),
                "description": member(each, "description", str, path, where),
                "segments": count,
                "moments": [[first, last + 1] for first, last in times],
            },
        )


DIDEMO = Reader(
    "didemo",
    "DiDeMo's descriptions of moments: a row a sentence.",
    rows=lambda source: rows_with_videos(source, _sentences(source)),
    columns={
        "key": Column("text", "the id of the annotation"),
        "video": VIDEO,
        "description": Column("text", "the sentence"),
        "segments": Column("whole", "the length of the video, in segments of five seconds"),
        "moments": Column("boxes", "from when to when, in segments, as each person chose it"),
    },
    images="always",
)
