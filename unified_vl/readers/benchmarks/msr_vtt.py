"""MSR-VTT: clips of 10 to 30 seconds with twenty captions each (Xu et al., CVPR 2016).

`train_val_videodatainfo.json` and `test_videodatainfo.json` hold `{videos: [{video_id, category,
split, ...}], sentences: [{video_id, caption, sen_id}]}`; `split` is train, validate or test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from unified_vl.readers.columns import CAPTIONS, Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.video_files import VIDEO, rows_with_videos


def _clips(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    path = source.path
    content = read_json(path)
    captions: dict[str, list[str]] = defaultdict(list)
    for number, sentence in enumerate(member(content, "sentences", list, path)):
        where = f"sentences.{number}"
        name = member(sentence, "video_id", str, path, where)
        captions[name].append(member(sentence, "caption", str, path, where))
    for number, clip in enumerate(member(content, "videos", list, path)):
        where = f"videos.{number}"
        name = member(clip, "video_id", str, path, where)
        if member(clip, "split", str, path, where) != source.split:
            continue
        row: dict[str, Any] = {"key": name, "captions": captions[name]}
        if "category" in clip:
            row["category"] = member(clip, "category", int, path, where)
        yield number, name, row


MSR_VTT = Reader(
    "msr_vtt",
    "MSR-VTT's captions: a row a clip of the split.",
    rows=lambda source: rows_with_videos(source, _clips(source)),
    columns={
        "key": Column("text", "the clip's id"),
        "video": VIDEO,
        "captions": CAPTIONS,
        "category": Column("whole", "the number of its category, 0 to 19"),
    },
    images="always",
    own_splits=True,
)
