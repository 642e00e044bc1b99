"""The same three small pictures, annotated in the form of each tool.

`a.png` shows a cat and a dog, `b.png` nothing, `c.png` a cat; each is 40 x 20 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 40, 20
Things = list[tuple[str, tuple[float, float, float, float]]]
SCENES: dict[str, Things] = {
    "a.png": [("cat", (4, 2, 20, 12)), ("dog", (10, 5, 30, 20))],
    "b.png": [],
    "c.png": [("cat", (0, 0, 10, 10))],
}
CLASSES = ["cat", "dog"]


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(SCENES):
        shades = Image.linear_gradient("L").resize((WIDTH, HEIGHT)).rotate(120 * number)
        shades.convert("RGB").save(folder / name)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def voc_xml(name: str, things: Things) -> str:
    objects = "".join(
        f"<object>\n<name>{label}</name><difficult>0</difficult>\n<bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>\n</object>\n"
        for label, (x1, y1, x2, y2) in things
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation>\n<filename>{name}</filename>\n{size}\n{objects}</annotation>\n"


def pascal_voc(root: Path) -> Path:
    pictures(root / "voc/JPEGImages")
    for name, things in SCENES.items():
        write(root / f"voc/Annotations/{Path(name).stem}.xml", voc_xml(name, things))
    write(root / "voc/ImageSets/Main/train.txt", "a\nb\nc\n")
    write(root / "voc/ImageSets/Main/cat_train.txt", "a  1\nb -1\nc  1\n")
    return root / "voc"


def voc_beside(root: Path) -> Path:
    """As Roboflow writes it: XML beside the images of a split."""
    pictures(root / "set/train")
    for name, things in SCENES.items():
        write(root / f"set/train/{Path(name).stem}.xml", voc_xml(name, things))
    return root / "set"


def centred(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def yolo(root: Path) -> Path:
    pictures(root / "yolo/images/train")
    for name, things in SCENES.items():
        lines = ""
        for label, box in things:
            x, y, w, h = centred(box)
            numbers = (x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT)
            lines += f"{CLASSES.index(label)} {' '.join(f'{v:g}' for v in numbers)}\n"
        if lines:  # without, as many tools leave it
            write(root / f"yolo/labels/train/{Path(name).stem}.txt", lines)
    names = "names:\n  0: cat\n  1: dog\n"
    return write(root / "yolo/data.yaml", f"path: ../yolo\ntrain: images/train\n{names}")


def roboflow_yolo(root: Path) -> Path:
    yolo(root)
    (root / "yolo/train").mkdir()
    (root / "yolo/images/train").rename(root / "yolo/train/images")
    (root / "yolo/labels/train").rename(root / "yolo/train/labels")
    text = "train: ../train/images\nnc: 2\nnames: ['cat', 'dog']\nroboflow:\n  version: 1\n"
    return write(root / "yolo/data.yaml", text)


def cvat(root: Path) -> Path:
    pictures(root / "cvat/images")
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    images = ""
    for number, (name, things) in enumerate(SCENES.items()):
        boxes = "".join(
            f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0"/>\n'
            for label, (x1, y1, x2, y2) in things
        )
        start = f'<image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">\n'
        images += f"{start}{boxes}</image>\n"
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    text = f"{head}<annotations>\n<version>1.1</version>\n{meta}\n{images}</annotations>"
    return write(root / "cvat/annotations.xml", text)


def labelme(root: Path) -> Path:
    pictures(root / "labelme/train")
    for name, things in SCENES.items():
        shapes = [
            {"label": label, "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}
            for label, (x1, y1, x2, y2) in things
        ]
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name}
        content |= {"imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
        write(root / f"labelme/train/{Path(name).stem}.json", content)
    return root / "labelme"


def label_studio(root: Path) -> Path:
    pictures(root / "studio/images")
    tasks = []
    for number, (name, things) in enumerate(SCENES.items(), 1):
        result = [
            {
                "type": "rectanglelabels",
                "original_width": WIDTH,
                "original_height": HEIGHT,
                "image_rotation": 0,
                "value": {
                    "x": 100 * x1 / WIDTH,
                    "y": 100 * y1 / HEIGHT,
                    "width": 100 * (x2 - x1) / WIDTH,
                    "height": 100 * (y2 - y1) / HEIGHT,
                    "rotation": 0,
                    "rectanglelabels": [label],
                },
            }
            for label, (x1, y1, x2, y2) in things
        ]
        annotations = [{"id": number, "was_cancelled": False, "result": result}]
        data = {"image": f"/data/upload/1/{name}"}
        tasks.append({"id": number, "data": data, "annotations": annotations, "predictions": []})
    return write(root / "studio/project.json", tasks)


def createml(root: Path) -> Path:
    pictures(root / "createml/train")
    content = []
    for name, things in SCENES.items():
        each = []
        for label, box in things:
            x, y, w, h = centred(box)
            coordinates = {"x": x, "y": y, "width": w, "height": h}
            each.append({"label": label, "coordinates": coordinates})
        content.append({"image": name, "annotations": each})
    return write(root / "createml/train/_annotations.createml.json", content)


def vott(root: Path) -> Path:
    pictures(root / "vott")
    assets = {}
    for name, things in SCENES.items():
        regions = []
        for label, (x1, y1, x2, y2) in things:
            box = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1}
            regions.append({"type": "RECTANGLE", "tags": [label], "boundingBox": box})
        asset = {"name": name, "path": f"file:{name}", "size": {"width": WIDTH, "height": HEIGHT}}
        assets[f"id-{name}"] = {"asset": asset, "regions": regions, "version": "2.2.0"}
    tags = [{"name": name, "color": "#fff"} for name in CLASSES]
    content = {"name": "things", "version": "2.2.0", "tags": tags, "assets": assets}
    return write(root / "vott/things-export.json", content)


def vott_csv(root: Path) -> Path:
    pictures(root / "vott")
    text = '"image","xmin","ymin","xmax","ymax","label"\n'
    for name, things in SCENES.items():
        for label, (x1, y1, x2, y2) in things:
            text += f'"{name}",{x1},{y1},{x2},{y2},"{label}"\n'
    return write(root / "vott/things-export.csv", text)


def roboflow_csv(root: Path) -> Path:
    pictures(root / "rf/train")
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    for name, things in SCENES.items():
        for label, (x1, y1, x2, y2) in things:
            text += f"{name},{WIDTH},{HEIGHT},{label},{x1},{y1},{x2},{y2}\n"
    return write(root / "rf/train/_annotations.csv", text)


def roboflow_coco(root: Path) -> Path:
    pictures(root / "rf/train")
    images = [
        {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT}
        for n, name in enumerate(SCENES)
    ]
    annotations = [
        {
            "id": 10 * n + m,
            "image_id": n,
            "category_id": 1 + CLASSES.index(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "segmentation": [],
            "iscrowd": 0,
        }
        for n, things in enumerate(SCENES.values())
        for m, (label, (x1, y1, x2, y2)) in enumerate(things)
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(["things", *CLASSES])]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write(root / "rf/train/_annotations.coco.json", content)


def tokens(root: Path, kind: str) -> Path:
    pictures(root / "rf/dataset")
    lines = []
    for name, things in SCENES.items():
        said = []
        for label, (x1, y1, x2, y2) in things:
            xs, ys = [x1 / WIDTH, x2 / WIDTH], [y1 / HEIGHT, y2 / HEIGHT]
            if kind == "paligemma":
                bins = [round(v * 1023) for v in (ys[0], xs[0], ys[1], xs[1])]
                said.append("".join(f"<loc{n:04d}>" for n in bins) + f" {label}")
            else:
                bins = [min(int(v * 1000), 999) for v in (xs[0], ys[0], xs[1], ys[1])]
                said.append(label + "".join(f"<loc_{n}>" for n in bins))
        suffix = (" ; " if kind == "paligemma" else "").join(said)
        prefix = "detect cat ; dog" if kind == "paligemma" else "<OD>"
        lines.append(json.dumps({"image": name, "prefix": prefix, "suffix": suffix}) + "\n")
    return write(root / "rf/dataset/_annotations.train.jsonl", "".join(lines))


def paligemma(root: Path) -> Path:
    return tokens(root, "paligemma")


def florence(root: Path) -> Path:
    return tokens(root, "florence")


# by name: what writes it, its reader, whether its boxes are fractions, and whether it also says
# that `b.png` shows nothing
FORMATS: dict[str, tuple[Callable[[Path], Path], str, bool, bool]] = {
    "pascal_voc": (pascal_voc, "pascal_voc", False, True),
    "voc_beside": (voc_beside, "pascal_voc", False, True),
    "yolo": (yolo, "yolo", True, True),
    "roboflow_yolo": (roboflow_yolo, "yolo", True, True),
    "cvat": (cvat, "cvat", False, True),
    "labelme": (labelme, "labelme", False, True),
    "label_studio": (label_studio, "label_studio", True, True),
    "createml": (createml, "createml", False, True),
    "vott": (vott, "vott", False, True),
    "vott_csv": (vott_csv, "vott_csv", False, False),
    "roboflow_csv": (roboflow_csv, "roboflow_csv", False, False),
    "paligemma": (paligemma, "box_tokens", True, True),
    "florence": (florence, "box_tokens", True, True),
}
