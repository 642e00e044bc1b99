"""ActivityNet Captions: all events of a video, each with a sentence (Krishna et al., arXiv
1705.00754).

`train.json`, `val_1.json` and `val_2.json` hold, by the name of a video, `{duration, timestamps:
[[start, end], ...], sentences: [...]}`, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.errors import UserError
from unified_vl.kinds.hooks.cells import is_number
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member, read_items, texts
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.video_files import VIDEO, rows_with_videos


def _videos(source: Source) -> Iterator[tuple[str, float, list[list[float]], list[str]]]:
    """The name, the length, the moments and the sentences of each video."""
    path = source.path
    for name, video in read_items(path, dict):
        length = member(video, "duration", float, path, name)
        moments = member(video, "timestamps", list, path, name)
        sentences = [text.strip() for text in texts(video, "sentences", path, name)]
        for place, pair in enumerate(moments):
            if not isinstance(pair, list) or len(pair) != 2 or not all(map(is_number, pair)):
                raise UserError(
                    f"found {str(pair)[:60]!r}",
                    file=path,
                    field=f"{name}.timestamps.{place}",
                    expected="the start and the end in seconds",
                )
        if len(moments) != len(sentences):
            message = f"has {len(moments)} timestamps and {len(sentences)} sentences"
            raise UserError(message, file=path, field=name)
        yield name, length, moments, sentences


def _events(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    number = 0
    for name, length, moments, sentences in _videos(source):
        for place, (moment, sentence) in enumerate(zip(moments, sentences, strict=True)):
            row = {"sentence": sentence, "moment": moment, "duration": length}
            yield number, name, {"key": f"{name}_{place}", **row}
            number += 1


def _paragraphs(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for number, (name, _, moments, sentences) in enumerate(_videos(source)):
        order = sorted(range(len(moments)), key=lambda place: moments[place][0])
        paragraph = " ".join(sentences[place] for place in order)
        yield number, name, {"key": name, "paragraph": paragraph}


ACTIVITYNET_MOMENTS = Reader(
    "activitynet_moments",
    "ActivityNet Captions' events: a row a sentence with its time.",
    rows=lambda source: rows_with_videos(source, _events(source)),
    columns={
        "key": Column("text", "the video's name and the number of the sentence"),
        "video": VIDEO,
        "sentence": Column("text", "the sentence"),
        "moment": Column("numbers", "[start, end] in seconds"),
        "duration": Column("number", "the length of the video in seconds"),
    },
    images="always",
)
ACTIVITYNET_PARAGRAPHS = Reader(
    "activitynet_paragraphs",
    "ActivityNet Captions as paragraphs: a row a video.",
    rows=lambda source: rows_with_videos(source, _paragraphs(source)),
    columns={
        "key": Column("text", "the video's name"),
        "video": VIDEO,
        "paragraph": Column("text", "all sentences in the order of their starts"),
    },
    images="always",
)
