"""Flickr30k Entities (Plummer et al., arXiv 1505.04870).

github.com/BryanPlummer/flickr30k_entities has the lists `train.txt`, `val.txt` and `test.txt`
of images, and `annotations.zip` with `Sentences/ID.txt` and `Annotations/ID.xml`. A line of the
first is `[/EN#283585/people Two young guys] with ...`: the chain that the phrase is of, its
types, and its words. The second has boxes by chain; some chains have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from unified_vl.errors import UserError
from unified_vl.readers.columns import IMAGE, STATED_SIZE, Column
from unified_vl.readers.reader import Reader
from unified_vl.readers.regions import cut_corners
from unified_vl.readers.source import Source

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^\s/]+)+) ([^\[\]]+)\]")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")

Corners = list[float]
_Size = dict[str, float]  # width and height, as the annotations state them


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A phrase of a sentence.

    Attributes:
        text: its words.
        types: its types, between slashes.
        boxes: where it is, `[x1, y1, x2, y2]` in pixels; none for what cannot be seen.
        start: the place of its first character in the sentence without markup.
    """

    text: str
    types: str
    boxes: list[Corners]
    start: int


def _images(source: Source) -> Iterator[tuple[str, _Size, list[tuple[str, list[_Phrase]]]]]:
    """Every image of a list, its size, and the text and the phrases of each of its sentences."""
    folder = source.path.parent
    for line, name in enumerate(_text(source.path).split("\n"), 1):
        if not (image := name.strip()):
            continue
        if "/" in image or "\\" in image:
            message = f"found {image[:60]!r}"
            raise UserError(message, file=source.path, line=line, expected="the id of an image")
        boxes, size = _boxes(folder / "Annotations" / f"{image}.xml")
        path = folder / "Sentences" / f"{image}.txt"
        lines = enumerate(_text(path).strip().split("\n"), 1)
        yield (
            image,
            size,
            [_unmarked(marked.strip(), boxes, path, number) for number, marked in lines],
        )


def _unmarked(
    marked: str, boxes: dict[str, list[Corners]], path: Path, line: int
) -> tuple[str, list[_Phrase]]:
    """A sentence without its markup, and its phrases."""
    text, end = "", 0
    phrases = []
    for match in _PHRASE.finditer(marked):
        chain, types, words = match.groups()
        text += marked[end : match.start()]
        phrases.append(_Phrase(words, types[1:], boxes.get(chain, []), len(text)))
        text += words
        end = match.end()
    text += marked[end:]
    if "[/EN#" in text:
        raise UserError(
            f"found {text[text.index('[/EN#') :][:40]!r}",
            file=path,
            line=line,
            expected="[/EN#NUMBER/TYPE WORDS]",
        )
    return text, phrases


def _boxes(path: Path) -> tuple[dict[str, list[Corners]], _Size]:
    """The boxes of each chain of an image, `[x1, y1, x2, y2]` in pixels from 0, and its size."""
    content = _text(path)
    if "<!DOCTYPE" in content:  # which could define texts that grow without end
        raise UserError("has a document type", file=path, expected="plain elements")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UserError(f"is not XML: {error}", file=path) from error
    width, height = (_number(root, f"size/{side}", path) for side in ("width", "height"))
    found: dict[str, list[Corners]] = {}
    for item in root.iter("object"):
        for box in item.iter("bndbox"):
            x1, y1, x2, y2 = (_number(box, side, path) - 1 for side in _CORNERS)  # from 1 there
            corners = cut_corners((x1, y1, x2, y2), width, height)
            for name in item.iter("name") if corners else ():
                found.setdefault((name.text or "").strip(), []).append(corners or [])
    return found, {"width": width, "height": height}


def _number(element: ElementTree.Element, name: str, path: Path) -> float:
    text = element.findtext(name)
    if text is None or not text.strip().isdecimal():
        raise UserError(f"found {text!r}", file=path, field=name, expected="a whole number")
    return float(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error


def _around(boxes: list[Corners]) -> Corners:
    """The box around several, as which a phrase of several is scored."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return [min(left), min(top), max(right), max(bottom)]


def _phrases(source: Source) -> Iterator[dict[str, Any]]:
    for image, size, sentences in _images(source):
        for number, (sentence, phrases) in enumerate(sentences):
            for place, phrase in enumerate(phrases):
                if phrase.boxes:
                    yield {
                        "key": f"{image}_{number}_{place}",
                        "image": f"{image}.jpg",
                        "sentence": sentence,
                        "phrase": phrase.text,
                        "type": phrase.types.split("/")[0],
                        "box": _around(phrase.boxes),
                        "boxes": phrase.boxes,
                        **size,
                    }


def _grounded(source: Source) -> Iterator[dict[str, Any]]:
    for image, size, sentences in _images(source):
        for number, (sentence, phrases) in enumerate(sentences):
            seen = [phrase for phrase in phrases if phrase.boxes]
            ends = [phrase.start + len(phrase.text) for phrase in seen]
            spans = zip([0, *ends], ends, strict=False)
            if seen:
                yield {
                    "key": f"{image}_{number}",
                    "image": f"{image}.jpg",
                    "sentence": sentence,
                    "captions": [text for text, _ in sentences],
                    "pieces": [sentence[start:end].strip() for start, end in spans],
                    "boxes": [_around(phrase.boxes) for phrase in seen],
                    **size,
                    "rest": sentence[ends[-1] :].strip() or ".",
                }


FLICKR30K_PHRASES = Reader(
    "flickr30k_phrases",
    "Flickr30k Entities, its list of images beside `Sentences` and `Annotations`: a row a "
    "phrase with a box.",
    rows=_phrases,
    columns={
        "key": Column("text", "the image, and the numbers of the sentence and of the phrase"),
        "image": IMAGE,
        "sentence": Column("text", "the sentence that the phrase is of"),
        "phrase": Column("text", "the phrase"),
        "type": Column("text", "people, clothing, bodyparts, animals, vehicles, scene, ..."),
        "box": Column("box", "[x1, y1, x2, y2] in pixels, around all boxes of the phrase"),
        "boxes": Column("boxes", "[x1, y1, x2, y2] of each, in pixels"),
        **STATED_SIZE,
    },
)
FLICKR30K_SENTENCES = Reader(
    "flickr30k_sentences",
    "Flickr30k Entities, its list of images beside `Sentences` and `Annotations`: a row a "
    "sentence with a box, cut behind each phrase that has one.",
    rows=_grounded,
    columns={
        "key": Column("text", "the image, and the number of the sentence"),
        "image": IMAGE,
        "sentence": Column("text", "the sentence"),
        "captions": Column("texts", "all sentences of the image"),
        "pieces": Column("texts", "its pieces, each of which ends with a phrase"),
        "boxes": Column("boxes", "[x1, y1, x2, y2] in pixels, around all boxes of each phrase"),
        **STATED_SIZE,
        "rest": Column("text", "what follows the last piece; a full stop for nothing"),
    },
)
