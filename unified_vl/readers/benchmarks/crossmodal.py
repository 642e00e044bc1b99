"""Crossmodal-3600, COCO-35L and CC3M-35L (Thapliyal et al., arXiv 2205.12522).

google.github.io/crossmodal-3600 has `captions.jsonl`, with an image's captions in 36 languages
on a line, and machine translations of COCO's and CC3M's English captions into 34, a line each.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.json_text import json_objects
from unified_vl.languages.tags import find
from unified_vl.readers.benchmarks.image_lists import Downloaded, listed, numbered
from unified_vl.readers.benchmarks.karpathy import images_by_id
from unified_vl.readers.columns import CAPTIONS, IMAGE, LANGUAGE, Column
from unified_vl.readers.json_files import (
    member,
    texts,
)
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

ENGLISH = "en"


def _xm3600(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for line, row in json_objects(path):
        key = member(row, "image/key", str, path, line=line)
        for name in _wanted(source):
            language = find(name, row) or name
            said = member(row, language, dict, path, line=line)
            yield {
                "key": f"{key}_{language}",
                "image": f"{key}.jpg",
                "language": language,
                "captions": texts(said, "caption", path, language, line=line),
                "locale": row.get("image/locale"),
            }


def _wanted(source: Source) -> list[str]:
    """The languages that are asked for, as the files call them."""
    tags = source.languages if source.language is None else (source.language,)
    return [source.language_name(tag) for tag in tags]


def _translations(
    source: Source, path: Path, english: str
) -> Iterator[tuple[int, dict[str, Any], str, str]]:
    """Lines of the file, each with a language that is asked for and the caption in it.

    The English captions, which stand beside every translation, come from the lines of the
    first language.
    """
    tags = source.tag_of
    wanted = {tags(name) for name in _wanted(source)}
    first: str | None = None
    for line, row in json_objects(path):
        language = member(row, "trg_lang", str, path, line=line)
        first = first or language
        if tags(english) in wanted and language == first:
            yield line, row, english, member(row, "caption_tokenized", str, path, line=line)
        if tags(language) in wanted and tags(language) is not None:
            yield line, row, language, member(row, "translation_tokenized", str, path, line=line)


def _coco_35l(source: Source) -> Iterator[dict[str, Any]]:
    """A row an image and language, in the order in which the file comes to them."""
    path = source.files["translations"]
    images = images_by_id(source.files["images"])
    found: dict[tuple[str, str], list[str]] = {}
    english = source.language_name(ENGLISH)
    for line, row, language, caption in _translations(source, path, english):
        key = member(row, "image_id", str, path, line=line).partition("_")[0]
        if key not in images:
            message = f"{str(source.files['images'])!r} has no image {key!r}"
            raise UserError(message, file=path, line=line, field="image_id")
        found.setdefault((key, language), []).append(caption)
    for (key, language), captions in found.items():
        yield {
            "key": f"{key}_{language}",
            "image": images[key],
            "language": language,
            "captions": captions,
        }


def _cc3m_35l(source: Source) -> Iterator[dict[str, Any]]:
    """A row a caption whose image was downloaded; says how many lines it left out."""
    kept: list[int] = []
    count = 0
    path = source.files["translations"]
    image_of = _images_of_lines(source)
    english = source.language_name(ENGLISH)
    for line, row, language, caption in _translations(source, path, english):
        count += 1
        image = image_of(row, line)
        if image is not None:
            kept.append(line - 1)
            yield {
                "key": f"{line}_{language}",
                "image": image,
                "language": language,
                "caption": caption,
            }
    source.keep(kept, count, "lack their image")


def _images_of_lines(source: Source) -> Callable[[dict[str, Any], int], str | None]:
    """The downloaded image of a translation of CC3M.

    `rec_num` is its line in the published list, from 1. Where another caption stands there, as
    in a list from which lines were taken, it is the first downloaded image of its caption; what
    is no letter is left out of account, since translations have # for each digit.
    """
    images = Downloaded(source.image_folder)
    of_line: dict[int, str] = {}
    of_caption: dict[int, str] = {}
    captions = array("q")  # of each line; millions of hashes take less than their texts
    for each in listed(source.files["captions"], "caption", "url"):
        captions.append(_letters(each[1]))
        image = numbered(images, each)
        if image is not None:
            of_line[each[0]] = image
            of_caption.setdefault(captions[-1], image)

    def image_of(row: dict[str, Any], line: int) -> str | None:
        path = source.files["translations"]
        caption = _letters(member(row, "caption_tokenized", str, path, line=line))
        said = row.get("rec_num")
        if said is not None:
            written = isinstance(said, str) and said.isdecimal()
            place = (int(said) if written else member(row, "rec_num", int, path, line=line)) - 1
            if 0 <= place < len(captions) and captions[place] == caption:
                return of_line.get(place)
        return of_caption.get(caption)

    return image_of


def _letters(caption: str) -> int:
    """A hash of the letters of a caption."""
    return hash("".join(filter(str.isalpha, caption.casefold())))


IMAGE_AND_LANGUAGE = Column("text", "the image's id and the language")
XM3600 = Reader(
    "xm3600",
    "Crossmodal-3600: a row an image and language.",
    rows=_xm3600,
    columns={
        "key": IMAGE_AND_LANGUAGE,
        "image": IMAGE,
        "language": LANGUAGE,
        "captions": CAPTIONS,
        "locale": Column("text", "the language of the place where the image was taken"),
    },
)
COCO_35L = Reader(
    "coco_35l",
    "COCO-35L, COCO's captions and their translations into 34 languages, with Karpathy's "
    "`dataset_coco.json`, which says where the images are: a row an image and language.",
    rows=_coco_35l,
    files=("translations", "images"),
    columns={
        "key": IMAGE_AND_LANGUAGE,
        "image": Column("image", "its file name with its folder: val2014/COCO_val2014_..."),
        "language": LANGUAGE,
        "captions": CAPTIONS,
    },
)
CC3M_35L = Reader(
    "cc3m_35l",
    "CC3M-35L, CC3M's captions and their translations into 34 languages, with CC3M's list: a "
    "row a caption. Its image is that of the list's line that `rec_num` counts from 1, or, "
    "where another caption stands there, of the line with the letters of its English caption; "
    "images are named as for `cc3m`, and lines without one are left out and counted.",
    rows=_cc3m_35l,
    files=("translations", "captions"),
    columns={
        "key": Column("text", "the line, from 1, and the language"),
        "image": IMAGE,
        "language": LANGUAGE,
        "caption": Column("text", "its caption"),
    },
    images="always",
)
