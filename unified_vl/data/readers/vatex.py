"""VATEX: clips of ten seconds described in English and in Chinese (Wang et al., arXiv 1904.03493).

eric-xw.github.io/vatex-website has, for each split, a list of `{videoID, enCap, chCap}` with
ten captions in each language; the last five of both are translations of each other. A clip is
read as images: all files of a folder of its name, which `ffmpeg` can write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from unified_vl.data.images.image_formats import is_image
from unified_vl.data.readers.annotations import member, read_json, reader_of, texts
from unified_vl.data.readers.reader import Reader, Source
from unified_vl.data.readers.table import Table
from unified_vl.errors import UserError
from unified_vl.languages.tags import subtags

CAPTIONS = {"en": "enCap", "zh": "chCap"}
PARALLEL = 5  # of the captions, from the end

Rows = Callable[[Source, Any, str], Iterator[dict[str, Any]]]


def _reader(name: str, rows_of: Rows) -> Reader:
    """The reader of clips whose frames are there; says how many rows it left out.

    Args:
        name: the reader's name.
        rows_of: yields the rows of a clip, given what the file says of it and where.
    """

    def read(source: Source) -> Table:
        kept: list[int] = []
        count = 0

        def rows(source: Source) -> Iterator[Mapping[str, Any]]:
            nonlocal count
            frames_of = _frames_below(source)
            for number, clip in enumerate(_clips(source.path)):
                video = member(clip, "videoID", str, source.path, str(number))
                frames = frames_of(video)
                for row in rows_of(source, clip, str(number)):
                    count += 1
                    if frames:
                        kept.append(number)
                        yield {"video": video, "frames": frames, **row}

        table = reader_of(name, rows)(source)
        source.keep(kept, count, "lack their frames")
        return table

    return read


def _clips(path: Path) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError("is no list of clips", file=path)
    return content


def _frames_below(source: Source) -> Callable[[str], list[str]]:
    """The frames of a clip, sorted by their names, below the folder of all; none, an empty list."""
    folder = source.root / source.images
    if not folder.is_dir():
        raise source.spec.error(("data", "images"), f"there is no folder {str(folder)!r}")
    there = {each.name for each in folder.iterdir() if each.is_dir()}

    def frames(video: str) -> list[str]:
        files = (folder / video).iterdir() if video in there else ()
        return sorted(f"{video}/{each.name}" for each in files if is_image(each))

    return frames


def _captions(source: Source, clip: Any, where: str) -> Iterator[dict[str, Any]]:
    """A row each language that the spec lists."""
    data = source.spec.data
    for tag in data.languages:
        name = data.language_name(tag)
        language = subtags(name).language  # `zh` of `zh-CN`
        if language not in CAPTIONS:
            raise source.spec.error(
                ("data", "languages"),
                f"VATEX has no captions in {name!r}",
                expected=" or ".join(CAPTIONS),
            )
        yield {
            "key": f"{clip['videoID']}_{language}",
            "language": name,
            "captions": texts(clip, CAPTIONS[language], source.path, where),
        }


def _pairs(source: Source, clip: Any, where: str) -> Iterator[dict[str, Any]]:
    english, chinese = (texts(clip, CAPTIONS[tag], source.path, where) for tag in ("en", "zh"))
    pairs = zip(english[-PARALLEL:], chinese[-PARALLEL:], strict=False)
    for number, (one, other) in enumerate(pairs, 1):
        yield {"key": f"{clip['videoID']}_{number}", "english": one, "chinese": other}


vatex_captions = _reader("vatex_captions", _captions)
vatex_pairs = _reader("vatex_pairs", _pairs)
