"""The readers of files of benchmarks in many languages, and the columns that each gives.

As in `benchmarks`; where a file has several languages, a row is in one of those that the spec
lists, and the column `language` says in which, as the files call it.
"""

from __future__ import annotations

from unified_vl.specs.reader_info import Column, ReaderInfo

IMAGE = Column("image", "the image's file name")
CAPTIONS = Column("texts", "its captions")
LANGUAGE = Column("text", "the language of the row, as the files call it")
IMAGE_ID = Column("text", "the image's id")
IMAGE_AND_LANGUAGE = Column("text", "the image's id and the language")
FLICKR = {
    "flickr_tokens": ReaderInfo(
        "The captions of Flickr30k and Flickr8k as a text file (`results_20130124.token`), and a "
        "list of the images of the split, a name a line: a row an image, in the list's order.",
        files=("captions", "images"),
        optional=("images",),
        columns={"key": IMAGE_ID, "image": IMAGE, "captions": CAPTIONS},
    ),
    "multi30k_pairs": ReaderInfo(
        "Multi30k's task 1, two text files (or `target` alone) and a list of images: line n of all "
        "is about the same image.",
        files=("source", "target", "images"),
        optional=("source",),
        columns={
            "key": IMAGE_ID,
            "image": IMAGE,
            "source": Column("text", "a sentence of the image"),
            "target": Column("text", "its translation"),
        },
    ),
    "multi30k_captions": ReaderInfo(
        "Multi30k's task 2, five text files and a list of images: line n of all is about the same "
        "image.",
        files=("first", "second", "third", "fourth", "fifth", "images"),
        columns={"key": IMAGE_ID, "image": IMAGE, "captions": CAPTIONS},
    ),
}
CROSSMODAL = {
    "xm3600": ReaderInfo(
        "Crossmodal-3600: a row an image and language.",
        columns={
            "key": IMAGE_AND_LANGUAGE,
            "image": IMAGE,
            "language": LANGUAGE,
            "captions": CAPTIONS,
            "locale": Column("text", "the language of the place where the image was taken"),
        },
    ),
    "coco_35l": ReaderInfo(
        "COCO-35L, COCO's captions and their translations into 34 languages, with Karpathy's "
        "`dataset_coco.json`, which says where the images are: a row an image and language.",
        files=("translations", "images"),
        columns={
            "key": IMAGE_AND_LANGUAGE,
            "image": Column("image", "its file name with its folder: val2014/COCO_val2014_..."),
            "language": LANGUAGE,
            "captions": CAPTIONS,
        },
    ),
    "cc3m_35l": ReaderInfo(
        "CC3M-35L, CC3M's captions and their translations into 34 languages, with CC3M's list: a "
        "row a caption. Its image is that of the list's line that `rec_num` counts from 1, or, "
        "where another caption stands there, of the line with the letters of its English caption; "
        "images are named as for `cc3m`, and lines without one are left out and counted.",
        files=("translations", "captions"),
        columns={
            "key": Column("text", "the line, from 1, and the language"),
            "image": IMAGE,
            "language": LANGUAGE,
            "caption": Column("text", "its caption"),
        },
        images="always",
    ),
    "wit": ReaderInfo(
        "Wikipedia's image texts, between tabs, in quotes as in CSV where a text has line ends: a "
        "row for each in a language of the spec with a caption. The image of row n, counted from "
        "0, is named as for `cc3m`; rows without one are left out and counted.",
        columns={
            "key": Column("text", "the row, counted from 0"),
            "image": IMAGE,
            "language": LANGUAGE,
            "caption": Column("text", "the caption below the image"),
            "title": Column("text", "the title of the page"),
            "url": Column("text", "where the image was"),
        },
        images="always",
    ),
}
VIDEO = Column("text", "the clip's id")
FRAMES = Column(
    "images", "the files of `data.images`/CLIP, sorted by name; clips without any are left out"
)
VATEX = {
    "vatex_captions": ReaderInfo(
        "VATEX's captions: a row a clip and language, English (`en`) or Chinese (`zh`).",
        columns={
            "key": Column("text", "the clip's id and the language"),
            "video": VIDEO,
            "frames": FRAMES,
            "language": LANGUAGE,
            "captions": CAPTIONS,
        },
        images="always",
    ),
    "vatex_pairs": ReaderInfo(
        "VATEX's captions that translate each other: a row a pair.",
        columns={
            "key": Column("text", "the clip's id and the number of the pair"),
            "video": VIDEO,
            "frames": FRAMES,
            "english": Column("text", "a sentence in English"),
            "chinese": Column("text", "the same in Chinese"),
        },
        images="always",
    ),
}
NARRATIVES = {
    "localized_narratives": ReaderInfo(
        "Localized Narratives: a row what a person said of an image, with the trace of the mouse.",
        columns={
            "key": Column("text", "the image's id, the annotator and the line"),
            "image": Column("image", "its file name: the id, as COCO writes it for COCO, and .jpg"),
            "caption": Column("text", "what was said"),
            "collection": Column("text", "where the image is from: mscoco_val2017"),
            "words": Column("texts", "stretches of a word or a few, as they were said"),
            "points": Column("boxes", "[x, y], the mean place of the mouse in each, relative"),
            "boxes": Column("boxes", "[x1, y1, x2, y2] around the mouse in each, relative"),
        },
    ),
}
MULTILINGUAL: dict[str, ReaderInfo] = {**FLICKR, **CROSSMODAL, **VATEX, **NARRATIVES}
