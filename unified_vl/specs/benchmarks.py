"""The readers of published benchmarks' own annotation files, and the columns that each gives.

An image is named as the annotations name it; `data.images` says the folder. Boxes are in
pixels of the image. What annotators drew beyond its edge is cut off there.
"""

from __future__ import annotations

from unified_vl.specs.reader_info import STATED_SIZE, Column, ReaderInfo

KEY = Column("text", "the id of the question")
IMAGE = Column("image", "the image's file name")
QUESTION = Column("text", "the question")
ANSWER = Column("text", "the answer")
BOX = Column("box", "[x, y, width, height] in pixels")
SPLIT = Column("text", "train, val or test")
OCR = {
    "ocr": Column("text", "the words that Rosetta read, between spaces; `(none)` for none"),
    "tokens": Column("texts", "the words that Rosetta read"),
}

COCO = {
    "coco_captions": ReaderInfo(
        "COCO's caption annotations, and those of NoCaps: a row an image.",
        columns={
            "key": Column("text", "the image's id"),
            "image": IMAGE,
            "captions": Column("texts", "its captions"),
            "domain": Column("text", "in-domain, near-domain or out-domain (NoCaps alone)"),
        },
    ),
    "coco_instances": ReaderInfo(
        "COCO's object annotations: a row an image with an object, or any image where the field of "
        "the boxes has `empty: true`. Crowds are left out, and images that show crowds alone. An "
        "object without `bbox` has the box around its segmentation.",
        columns={
            "key": Column("text", "the image's id"),
            "image": IMAGE,
            "boxes": Column("boxes", "[x, y, width, height] in pixels, the largest first"),
            "labels": Column("texts", "the category of each box"),
            **STATED_SIZE,
        },
    ),
    "coco_objects": ReaderInfo(
        "COCO's object annotations: a row an object. Crowds are left out. Objects drawn as runs "
        "of pixels have a box, and no outlines: tasks of outlines leave them out and count them.",
        columns={
            "key": Column("text", "the annotation's id"),
            "image": IMAGE,
            "category": Column("text", "its category"),
            "box": BOX,
            "polygons": Column("polygons", "its outlines, [x, y, x, y, ...] each, in pixels"),
            "size": Column(
                "text", "small, medium or large: COCO's limits, 32 and 96 pixels squared"
            ),
            **STATED_SIZE,
        },
    ),
    "coco_keypoints": ReaderInfo(
        "COCO's keypoint annotations: a row a labelled point of a person.",
        columns={
            "key": Column("text", "the annotation's id and the point's name"),
            "image": IMAGE,
            "box": Column("box", "the person: [x, y, width, height] in pixels"),
            "person": Column("text", "the annotation's id, the same for all points of a person"),
            "area": Column("number", "of the person's outline, in pixels"),
            "name": Column("text", "what the point is: left shoulder"),
            "point": Column("numbers", "[x, y] in pixels"),
            "visible": Column("text", "visible or hidden"),
            **STATED_SIZE,
        },
    ),
    "karpathy": ReaderInfo(
        "Karpathy's splits of COCO, Flickr30k and Flickr8k (`dataset_coco.json`): a row an image.",
        columns={
            "key": Column("text", "COCO's id of the image, or else its number"),
            "image": Column("image", "its file name, with its folder where the file says it"),
            "captions": Column("texts", "its captions"),
            "split": Column("text", "train, val or test; `restval` is train too"),
            "published_split": Column("text", "train, restval, val or test"),
        },
    ),
}
VQA = {
    "vqa_v2": ReaderInfo(
        "The questions and answers of VQA v1 and v2 and of OK-VQA: a row a question.",
        files=("questions", "annotations"),
        columns={
            "key": KEY,
            "image": Column("image", "COCO's file name: COCO_train2014_000000000009.jpg"),
            "question": QUESTION,
            "answers": Column("texts", "what each of ten people answered"),
            "answer": Column("text", "the answer that most gave"),
            "answer_type": Column("text", "yes/no, number or other"),
            "question_type": Column(
                "text", "its first words, or OK-VQA's kind of knowledge, by its name"
            ),
        },
    ),
    "gqa": ReaderInfo(
        "GQA's questions: a row a question.",
        columns={
            "key": KEY,
            "image": IMAGE,
            "question": QUESTION,
            "answer": Column("text", "the answer: a word or two"),
            "full_answer": Column("text", "the answer: a sentence"),
            "structural": Column("text", "verify, query, choose, logical or compare"),
            "semantic": Column("text", "object, attribute, category, relation or global"),
            "detailed": Column("text", "one of about a hundred types"),
            "group": Column("text", "its group of like questions, such as `color`"),
            "entailed": Column("texts", "ids of questions whose answers follow from this one's"),
        },
    ),
    "aokvqa": ReaderInfo(
        "A-OKVQA's questions with options: a row a question.",
        columns={
            "key": KEY,
            "image": Column("image", "COCO's file name: 000000000009.jpg"),
            "question": QUESTION,
            "options": Column("texts", "the four options"),
            "correct": Column("whole", "the number of the right option, from 0"),
            "answers": Column("texts", "what each of ten people answered without options"),
            "rationales": Column("texts", "why the answer is right, three times"),
        },
    ),
    "textvqa": ReaderInfo(
        "TextVQA's questions, with the words that Rosetta read: a row a question.",
        files=("questions", "ocr"),
        optional=("ocr",),
        columns={
            "key": KEY,
            "image": IMAGE,
            "question": QUESTION,
            "answers": Column("texts", "what each of ten people answered"),
            **OCR,
        },
    ),
    "st_vqa": ReaderInfo(
        "ST-VQA's questions: a row a question.",
        columns={
            "key": KEY,
            "image": Column("image", "the image with its folder: coco-text/COCO_train2014_..."),
            "question": QUESTION,
            "answers": Column("texts", "the right answers"),
            "collection": Column("text", "the folder: where the image comes from"),
            "fold": Column("text", "validation for one image in ten, by its name; or else train"),
        },
    ),
    "docvqa": ReaderInfo(
        "DocVQA's questions: a row a question.",
        columns={
            "key": KEY,
            "image": Column("image", "the page with its folder: documents/xnbl0037_1.png"),
            "question": QUESTION,
            "answers": Column("texts", "the right answers"),
            "question_type": Column("text", "its types, such as `table/list`, between commas"),
        },
    ),
}
VQA["aokvqa_direct"] = ReaderInfo(
    "A-OKVQA's questions without those marked as difficult to answer without options.",
    columns=VQA["aokvqa"].columns,
)
TEXTCAPS = {
    "textcaps": ReaderInfo(
        "TextCaps' captions, with the words that Rosetta read: a row an image.",
        files=("captions", "ocr"),
        optional=("ocr",),
        columns={
            "key": Column("text", "the image's id"),
            "image": IMAGE,
            "captions": Column("texts", "its captions"),
            **OCR,
        },
    ),
}
VISUAL_GENOME_IMAGE = Column("image", "the image with its folder: VG_100K_2/1.jpg")
VISUAL_GENOME_SPLIT = Column("text", "train, val or test of `splits`; empty for other images")
VISUAL_GENOME = {
    "vg_regions": ReaderInfo(
        "Visual Genome's region descriptions: a row a region.",
        files=("regions", "images", "splits"),
        optional=("splits",),
        columns={
            "key": Column("text", "the region's id"),
            "image": VISUAL_GENOME_IMAGE,
            "phrase": Column("text", "what the region shows"),
            "box": BOX,
            **STATED_SIZE,
            "split": VISUAL_GENOME_SPLIT,
        },
    ),
    "vg_questions": ReaderInfo(
        "Visual Genome's questions: a row a question.",
        files=("questions", "images", "splits"),
        optional=("splits",),
        columns={
            "key": KEY,
            "image": VISUAL_GENOME_IMAGE,
            "question": QUESTION,
            "answer": ANSWER,
            "split": VISUAL_GENOME_SPLIT,
        },
    ),
}
PHRASES = {
    "refcoco": ReaderInfo(
        "RefCOCO, RefCOCO+ and RefCOCOg, their references as `unified-vl convert refcoco` writes "
        "them: a row an expression.",
        files=("refs", "instances"),
        columns={
            "key": Column("text", "the expression's id"),
            "image": Column("image", "COCO's file name: COCO_train2014_000000000009.jpg"),
            "expression": Column("text", "what is said of the object"),
            "box": BOX,
            "polygons": Column("polygons", "its outlines, [x, y, x, y, ...] each, in pixels"),
            "category": Column("text", "its category"),
            **STATED_SIZE,
            "split": Column("text", "train, val or test; `testA` and `testB` are test"),
            "published_split": Column("text", "train, val, test, testA or testB"),
        },
    ),
    "flickr30k_phrases": ReaderInfo(
        "Flickr30k Entities, its list of images beside `Sentences` and `Annotations`: a row a "
        "phrase with a box.",
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
    ),
    "flickr30k_sentences": ReaderInfo(
        "Flickr30k Entities, its list of images beside `Sentences` and `Annotations`: a row a "
        "sentence with a box, cut behind each phrase that has one.",
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
    ),
}
BENCHMARKS: dict[str, ReaderInfo] = {**COCO, **VQA, **TEXTCAPS, **VISUAL_GENOME, **PHRASES}
