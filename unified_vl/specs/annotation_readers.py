"""The readers of the files that annotation tools write: a row an image."""

from __future__ import annotations

from typing import Literal

from unified_vl.specs.reader_info import STATED_SIZE, Column, Frequency, ReaderInfo

PIXELS = "[x1, y1, x2, y2] in pixels"
FRACTIONS = "[x1, y1, x2, y2] between 0 and 1"
OF_OBJECTS = (
    " Images without objects are rows where the field of the boxes has `empty: true`, and else "
    "left out and counted."
)


def _objects(
    about: str,
    *,
    path: Literal["file", "folder", "either"] = "file",
    relative: bool = False,
    outlines: bool = True,
    sized: bool = True,
    images: Frequency = "sometimes",
    prompt: bool = False,
    own_splits: bool = False,
) -> ReaderInfo:
    columns = {
        "key": Column("text", "the image's path, as in `image`"),
        "image": Column("image", "the image"),
        "boxes": Column("boxes", FRACTIONS if relative else PIXELS),
        "labels": Column("texts", "what is in each box"),
    }
    if outlines:
        each = "x, y, x, y, ... between 0 and 1" if relative else "x, y, x, y, ... in pixels"
        columns["outlines"] = Column("polygons", f"of the objects that have one: {each}")
        columns["outlined"] = Column("texts", "what each outline is of")
    if sized:
        columns |= STATED_SIZE
    if prompt:
        columns["prompt"] = Column("text", "what is asked of the image: its `prefix`")
    return ReaderInfo(
        about + OF_OBJECTS, columns=columns, path=path, images=images, own_splits=own_splits
    )


_LOOKED_FOR = " Without `data.images` images are looked for beside the files"
ANNOTATIONS = {
    "pascal_voc": _objects(
        "Pascal VOC's tree: a folder of XML files, or of `Annotations` and `ImageSets/Main`, whose "
        "lists `train.txt`, `val.txt` and so on then are the splits. Pixels are those of the "
        f"files: PASCAL's own count from 1.{_LOOKED_FOR}, in `JPEGImages` and in `images`.",
        path="folder",
        own_splits=True,
    ),
    "yolo": _objects(
        "YOLO's `data.yaml`, which names the folders of the images of `train`, `val` and `test` "
        "and the classes, with a text file an image below `labels`: boxes or outlines, not "
        "keypoints.",
        relative=True,
        sized=False,
        images="never",
        own_splits=True,
    ),
    "cvat": _objects(
        "`CVAT for images 1.1`: XML with boxes, also turned ones (as the box around them), "
        "polygons, and the boxes of masks."
    ),
    "labelme": _objects(
        "LabelMe's JSON files, one an image, below a folder: polygons, rectangles, circles and the "
        f"boxes of masks.{_LOOKED_FOR}, as these name them.",
        path="folder",
    ),
    "label_studio": _objects(
        "Label Studio's export as JSON: rectangles, polygons and ellipses of the first annotation "
        "of each task. An image is named by the last part of its address, or by what stands "
        "behind `?d=` of a local file.",
        relative=True,
    ),
    "createml": _objects(
        "Create ML's JSON: a list of images with boxes.", outlines=False, sized=False
    ),
    "vott": _objects("VoTT's export as JSON: the regions of its assets, one for each of its tags."),
    "vott_csv": _objects(
        "VoTT's export as CSV: `image`, `xmin`, `ymin`, `xmax`, `ymax` and `label` of an object a "
        "line.",
        outlines=False,
        sized=False,
    ),
    "roboflow_csv": _objects(
        "Roboflow's `_annotations.csv` (and TensorFlow's): `filename`, `width`, `height`, `class`, "
        "`xmin`, `ymin`, `xmax` and `ymax` of an object a line.",
        outlines=False,
    ),
    "box_tokens": _objects(
        "JSONL with `image`, `prefix` and `suffix`, as PaliGemma, Florence-2 and OFA are tuned on "
        "it (Roboflow's `_annotations.train.jsonl`): boxes in the tokens `<loc0123>`, `<loc_123>` "
        "or `<bin_123>` of the suffix, with their labels. Lines with other texts are left out and "
        "counted.",
        relative=True,
        outlines=False,
        sized=False,
        prompt=True,
    ),
    "roboflow_classes": ReaderInfo(
        "Roboflow's `_classes.csv`: a line an image, and 1 for each of its classes.",
        columns={
            "key": Column("text", "the image's name"),
            "image": Column("image", "the image"),
            "labels": Column("texts", "its classes"),
            "said": Column("text", "these between commas; `none` for none"),
        },
    ),
}
