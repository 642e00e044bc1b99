"""The readers of benchmarks of reasoning, of dialogue and of classes, and their columns.

As in `benchmarks`: an image is named as the annotations name it, and `data.images` says the
folder.
"""

from __future__ import annotations

from unified_vl.specs.reader_info import STATED_SIZE, Column, ReaderInfo

KEY = Column("text", "the id of the row")
IMAGE = Column("image", "the image's file name")
TRUTH = {
    "key": KEY,
    "images": Column("images", "both images, the left one first"),
    "statement": Column("text", "what is said of them"),
    "answer": Column("text", "true or false"),
    "group": Column("text", "the same for rows with the same statement"),
}
STATEMENTS = {
    "nlvr2": ReaderInfo("NLVR2: a row a statement about two images.", columns=TRUTH),
    "marvl": ReaderInfo(
        "MaRVL: a row a statement about two images, which lie in a folder for each concept.",
        columns={
            **TRUTH,
            "concept": Column("text", "what the images show: 80-Tükenmez_kalem"),
            "chapter": Column("text", "the field that the concept is of"),
        },
    ),
    "snli_ve": ReaderInfo(
        "SNLI-VE and XVNLI: a row a statement about an image. Those without agreement (`-`) are "
        "left out.",
        columns={
            "key": KEY,
            "image": Column("image", "Flickr30k's file name"),
            "premise": Column("text", "the caption that the statement was written for"),
            "statement": Column("text", "what is said of the image"),
            "answer": Column("text", "entailment, neutral or contradiction"),
        },
    ),
}
OPTIONS = {
    "options": Column("texts", "the four options"),
    "correct": Column("whole", "the number of the right one, from 0"),
    "objects": Column(
        "texts", "the objects that the texts name, as they name them: person1; all for none"
    ),
    "boxes": Column("boxes", "[x1, y1, x2, y2] of each, in pixels"),
    **STATED_SIZE,
}
VCR = {
    "vcr_answers": ReaderInfo(
        "VCR's questions with four answers: a row a question. The boxes are read from the files "
        "beside the images.",
        columns={
            "key": KEY,
            "image": Column("image", "the image with its folder"),
            "question": Column("text", "the question"),
            **OPTIONS,
        },
        images="always",
    ),
    "vcr_rationales": ReaderInfo(
        "VCR's questions, each with its answer and four reasons for it: a row a question. The "
        "boxes are read from the files beside the images.",
        columns={
            "key": KEY,
            "image": Column("image", "the image with its folder"),
            "question": Column("text", "the question"),
            "answer": Column("text", "its right answer"),
            **OPTIONS,
        },
        images="always",
    ),
}
DIALOGUE = {
    "visdial": ReaderInfo(
        "Visual Dialog 1.0: a row a round. Below `data.images` are COCO's folders train2014 and "
        "val2014, and VisualDialog_val2018.",
        columns={
            "key": Column("text", "the image's id and the round"),
            "image": Column("image", "its file name with its folder"),
            "caption": Column("text", "the image's caption, which starts the dialogue"),
            "question": Column("text", "the question of the round"),
            "questions": Column("texts", "all questions up to this round's"),
            "before": Column(
                "texts", "what was said before each of `questions`: the caption, then answers"
            ),
            "answer": Column("text", "the answer of the round"),
            "options": Column("texts", "a hundred answers, the right one among them"),
            "correct": Column("whole", "its number among them, from 0"),
            "round": Column("text", "the number of the round, from 1"),
            "relevance": Column(
                "numbers",
                "how fitting people find each option, 0 to 1, of rounds in the file beside it "
                "whose name ends in _dense_annotations.json; else nothing",
            ),
        },
        images="always",
    ),
}
CLASSES = {
    "imagenet": ReaderInfo(
        "ImageNet's images of 2012 as Kaggle packs them, `LOC_synset_mapping.txt` and the list of "
        "a split's images with their classes: a row an image.",
        files=("images", "classes"),
        columns={
            "key": Column("text", "the image's name"),
            "image": Column("image", "its file, in training with its folder"),
            "synset": Column("text", "the WordNet id of its class: n01440764"),
            "number": Column("whole", "the number of its class, from 0"),
            "name": Column("text", "the first name of its class"),
            "names": Column("text", "all names of its class, between commas"),
        },
    ),
}
REASONING: dict[str, ReaderInfo] = {**STATEMENTS, **VCR, **DIALOGUE, **CLASSES}
