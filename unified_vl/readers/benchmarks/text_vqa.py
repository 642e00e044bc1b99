"""Questions about, and captions of, text in images: TextVQA, TextCaps, ST-VQA and DocVQA.

TextVQA: Singh et al., arXiv 1904.08920, textvqa.org/dataset; the words that Rosetta read are
files of their own there. TextCaps: Sidorov et al., arXiv 2003.12462, on the same images.
ST-VQA: Biten et al., arXiv 1905.13648. DocVQA: Mathew et al., arXiv 2007.00398; the last two
from rrc.cvc.uab.es.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import IMAGE, QUESTION, QUESTION_ID, Column
from unified_vl.readers.json_files import member, read_json, texts
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

NOTHING_READ = "(none)"
FOLDS = 10  # one of them validates

Words = Callable[[str, str], dict[str, Any]]


def _words(source: Source, path: Path) -> Words:
    """What Rosetta read in an image, given its id and the place in `path` that asks for it.

    Raises:
        UserError: when the spec needs it and names no such file, or an image is not in it.
    """
    if "ocr" not in source.files:
        for column in ("ocr", "tokens"):
            if column in source.needed:
                message = f"is missing, and {column!r} comes from it"
                raise source.error(("data", "files", "ocr"), message)
        return lambda image, where: {}
    file = source.files["ocr"]
    read: dict[str, list[str]] = {}
    for number, image in enumerate(member(read_json(file), "data", list, file)):
        where = f"data.{number}"
        tokens = texts(image, "ocr_tokens", file, where)
        read[member(image, "image_id", str, file, where)] = tokens

    def words(image: str, where: str) -> dict[str, Any]:
        if image not in read:
            message = f"{str(file)!r} has no image {image!r}"
            raise UserError(message, file=path, field=f"{where}.image_id")
        return {"tokens": read[image], "ocr": " ".join(read[image]) or NOTHING_READ}

    return words


def _textvqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.files["questions"]
    words = _words(source, path)
    for number, question in enumerate(member(read_json(path), "data", list, path)):
        where = f"data.{number}"
        image = member(question, "image_id", str, path, where)
        yield {
            "key": str(member(question, "question_id", int, path, where)),
            "image": f"{image}.jpg",
            "question": member(question, "question", str, path, where),
            "answers": texts(question, "answers", path, where),
            **words(image, where),
        }


def _textcaps(source: Source) -> Iterator[dict[str, Any]]:
    path = source.files["captions"]
    words = _words(source, path)
    rows: dict[str, dict[str, Any]] = {}
    for number, caption in enumerate(member(read_json(path), "data", list, path)):
        where = f"data.{number}"
        key = member(caption, "image_id", str, path, where)
        if key not in rows:
            rows[key] = {"key": key, "image": f"{key}.jpg", "captions": [], **words(key, where)}
        rows[key]["captions"].append(member(caption, "caption_str", str, path, where))
    yield from rows.values()


def _st_vqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for number, question in enumerate(member(read_json(path), "data", list, path)):
        where = f"data.{number}"
        image = member(question, "file_path", str, path, where)
        yield {
            "key": str(member(question, "question_id", int, path, where)),
            "image": image,
            "question": member(question, "question", str, path, where),
            "answers": texts(question, "answers", path, where),
            "collection": image.split("/", 1)[0],
            "fold": "train" if zlib.crc32(image.encode()) % FOLDS else "validation",
        }


def _docvqa(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for number, question in enumerate(member(read_json(path), "data", list, path)):
        where = f"data.{number}"
        key = str(member(question, "questionId", int, path, where))
        typed = "question_types" in question  # in later files
        kinds = texts(question, "question_types", path, where) if typed else []
        yield {
            "key": key,
            "image": member(question, "image", str, path, where),
            "question": member(question, "question", str, path, where),
            "answers": texts(question, "answers", path, where),
            "question_type": ", ".join(kinds) or None,
        }


OCR = {
    "ocr": Column("text", "the words that Rosetta read, between spaces; `(none)` for none"),
    "tokens": Column("texts", "the words that Rosetta read"),
}
TEXTVQA = Reader(
    "textvqa",
    "TextVQA's questions, with the words that Rosetta read: a row a question.",
    rows=_textvqa,
    files=("questions", "ocr"),
    optional=("ocr",),
    columns={
        "key": QUESTION_ID,
        "image": IMAGE,
        "question": QUESTION,
        "answers": Column("texts", "what each of ten people answered"),
        **OCR,
    },
)
TEXTCAPS = Reader(
    "textcaps",
    "TextCaps' captions, with the words that Rosetta read: a row an image.",
    rows=_textcaps,
    files=("captions", "ocr"),
    optional=("ocr",),
    columns={
        "key": Column("text", "the image's id"),
        "image": IMAGE,
        "captions": Column("texts", "its captions"),
        **OCR,
    },
)
ST_VQA = Reader(
    "st_vqa",
    "ST-VQA's questions: a row a question.",
    rows=_st_vqa,
    columns={
        "key": QUESTION_ID,
        "image": Column("image", "the image with its folder: coco-text/COCO_train2014_..."),
        "question": QUESTION,
        "answers": Column("texts", "the right answers"),
        "collection": Column("text", "the folder: where the image comes from"),
        "fold": Column("text", "validation for one image in ten, by its name; or else train"),
    },
)
DOCVQA = Reader(
    "docvqa",
    "DocVQA's questions: a row a question.",
    rows=_docvqa,
    columns={
        "key": QUESTION_ID,
        "image": Column("image", "the page with its folder: documents/xnbl0037_1.png"),
        "question": QUESTION,
        "answers": Column("texts", "the right answers"),
        "question_type": Column("text", "its types, such as `table/list`, between commas"),
    },
)
