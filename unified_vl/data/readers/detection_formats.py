"""The formats of objects in images by the names of their readers."""

from __future__ import annotations

from unified_vl.data.readers import (
    box_tokens,
    createml,
    csv_boxes,
    cvat,
    label_studio,
    labelme,
    pascal_voc,
    vott,
    yolo,
)
from unified_vl.data.readers.detections import Pictures

DETECTIONS: dict[str, Pictures] = {
    "pascal_voc": pascal_voc.pictures,
    "yolo": yolo.pictures,
    "cvat": cvat.pictures,
    "labelme": labelme.pictures,
    "label_studio": label_studio.pictures,
    "createml": createml.pictures,
    "vott": vott.pictures,
    "vott_csv": csv_boxes.vott_pictures,
    "roboflow_csv": csv_boxes.roboflow_pictures,
    "box_tokens": box_tokens.pictures,
}
FRACTIONS = ("yolo", "label_studio", "box_tokens")  # their boxes; those of others are pixels
