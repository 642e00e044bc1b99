"""Multi30k: Flickr30k's sentences in German, French and Czech (Elliott et al., W16-3210).

github.com/multi30k/dataset has, in `data/task1`, a sentence of each image and its translations,
and in `data/task2` five sentences that people wrote in each language, independently; line n of
all files, and of a list in `image_splits`, is about the same image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.readers.benchmarks.flickr_tokens import SUFFIX, images_of_list
from unified_vl.readers.columns import CAPTIONS, IMAGE, IMAGE_ID, Column
from unified_vl.readers.formats.moses import text_lines, together
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source


def _lines(source: Source) -> Iterator[tuple[str, dict[str, str]]]:
    """Each image, and what the other files say on its line."""
    files = source.files
    lists = {path: text_lines(path) for name, path in files.items() if name != "images"}
    lists[files["images"]] = (name for _, name in images_of_list(files["images"]))
    names = [*(name for name in files if name != "images"), "images"]
    for row in together(lists, "lines"):
        said = dict(zip(names, row, strict=True))
        yield said.pop("images"), said


def _pairs(source: Source) -> Iterator[dict[str, Any]]:
    for image, said in _lines(source):
        yield {"key": image.removesuffix(SUFFIX), "image": image, **said}


def _captions(source: Source) -> Iterator[dict[str, Any]]:
    for image, said in _lines(source):
        captions = [text.strip() for text in said.values()]
        yield {"key": image.removesuffix(SUFFIX), "image": image, "captions": captions}


MULTI30K_PAIRS = Reader(
    "multi30k_pairs",
    "Multi30k's task 1, two text files (or `target` alone) and a list of images: line n of all "
    "is about the same image.",
    rows=_pairs,
    files=("source", "target", "images"),
    optional=("source",),
    columns={
        "key": IMAGE_ID,
        "image": IMAGE,
        "source": Column("text", "a sentence of the image"),
        "target": Column("text", "its translation"),
    },
)
MULTI30K_CAPTIONS = Reader(
    "multi30k_captions",
    "Multi30k's task 2, five text files and a list of images: line n of all is about the same "
    "image.",
    rows=_captions,
    files=("first", "second", "third", "fourth", "fifth", "images"),
    columns={"key": IMAGE_ID, "image": IMAGE, "captions": CAPTIONS},
)
