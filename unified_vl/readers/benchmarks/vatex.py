"""VATEX: clips of ten seconds described in English and in Chinese (Wang et al., arXiv 1904.03493).

eric-xw.github.io/vatex-website has, for each split, a list of `{videoID, enCap, chCap}` with
ten captions in each language; the last five of both are translations of each other. A clip is
read as images: all files of a folder of its name, which `ffmpeg` can write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.image_formats import is_image
from unified_vl.languages.tags import subtags
from unified_vl.readers.columns import CAPTIONS, LANGUAGE, Column
from unified_vl.readers.json_files import member, read_json, texts
from unified_vl.readers.reader import Reader, Rows
from unified_vl.readers.source import Source

KEYS = {"en": "enCap", "zh": "chCap"}  # of a clip
PARALLEL = 5  # of the captions, from the end

RowsOfClip = Callable[[Source, Any, str], Iterator[dict[str, Any]]]


def _rows(rows_of: RowsOfClip) -> Rows:
    """The rows of clips whose frames are there; says how many rows it left out.

    Args:
        rows_of: yields the rows of a clip, given what the file says of it and where.
    """

    def rows(source: Source) -> Iterator[dict[str, Any]]:
        kept: list[int] = []
        count = 0
        frames_of = _frames_below(source)
        for number, clip in enumerate(_clips(source.path)):
            video = member(clip, "videoID", str, source.path, str(number))
            frames = frames_of(video)
            for row in rows_of(source, clip, str(number)):
                count += 1
                if frames:
                    kept.append(number)
                    yield {"video": video, "frames": frames, **row}
        source.keep(kept, count, "lack their frames")

    return rows


def _clips(path: Path) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError("is no list of clips", file=path)
    return content


def _frames_below(source: Source) -> Callable[[str], list[str]]:
    """The frames of a clip, sorted by their names, below the folder of all; none, an empty list."""
    folder = source.image_folder
    there = {each.name for each in folder.iterdir() if each.is_dir()}

    def frames(video: str) -> list[str]:
        files = (folder / video).iterdir() if video in there else ()
        return sorted(f"{video}/{each.name}" for each in files if is_image(each))

    return frames


def _captions(source: Source, clip: Any, where: str) -> Iterator[dict[str, Any]]:
    """A row each language that the spec lists."""
    for tag in source.languages:
        name = source.language_name(tag)
        language = subtags(name).language  # `zh` of `zh-CN`
        if language not in KEYS:
            raise source.error(
                ("data", "languages"),
                f"VATEX has no captions in {name!r}",
                expected=" or ".join(KEYS),
            )
        yield {
            "key": f"{clip['videoID']}_{language}",
            "language": name,
            "captions": texts(clip, KEYS[language], source.path, where),
        }


def _pairs(source: Source, clip: Any, where: str) -> Iterator[dict[str, Any]]:
    english, chinese = (texts(clip, KEYS[tag], source.path, where) for tag in ("en", "zh"))
    pairs = zip(english[-PARALLEL:], chinese[-PARALLEL:], strict=False)
    for number, (one, other) in enumerate(pairs, 1):
        yield {"key": f"{clip['videoID']}_{number}", "english": one, "chinese": other}


VIDEO = Column("text", "the clip's id")
FRAMES = Column(
    "images", "the files of `data.images`/CLIP, sorted by name; clips without any are left out"
)
VATEX_CAPTIONS = Reader(
    "vatex_captions",
    "VATEX's captions: a row a clip and language, English (`en`) or Chinese (`zh`).",
    rows=_rows(_captions),
    columns={
        "key": Column("text", "the clip's id and the language"),
        "video": VIDEO,
        "frames": FRAMES,
        "language": LANGUAGE,
        "captions": CAPTIONS,
    },
    images="always",
)
VATEX_PAIRS = Reader(
    "vatex_pairs",
    "VATEX's captions that translate each other: a row a pair.",
    rows=_rows(_pairs),
    columns={
        "key": Column("text", "the clip's id and the number of the pair"),
        "video": VIDEO,
        "frames": FRAMES,
        "english": Column("text", "a sentence in English"),
        "chinese": Column("text", "the same in Chinese"),
    },
    images="always",
)
