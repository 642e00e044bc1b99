"""The same rows in several formats, with their images beside them, and how they are read."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

COUNT = 5
EXPECTED = [(f"red {number}", 40 * number) for number in range(COUNT)]
FORMATS = {"jsonl": "jsonl", "csv": "csv", "json": "json", "parquet": "parquet"}


def write_photos(root: Path) -> None:
    """Red pictures, and the files that name them."""
    rows: list[dict[str, Any]] = []
    (root / "photos").mkdir()
    with tarfile.open(root / "train.tar", "w") as tar:
        for number in range(COUNT):
            name = f"a {number}#.png"  # what a URL has to quote
            path = root / "photos" / name
            Image.new("RGB", (4, 3), (40 * number, 0, 0)).save(path)
            rows.append({"image": f"photos/{name}", "caption": f"red {number}"})
            text = root / f"{number}.txt"
            text.write_text(f"red {number}")
            tar.add(path, f"{number}.image")
            tar.add(text, f"{number}.caption")
    text = "\n".join(map(json.dumps, rows))
    (root / "train.jsonl").write_text(text)
    (root / "train.csv").write_text(
        "image,caption\n" + "".join(f"{row['image']},{row['caption']}\n" for row in rows)
    )
    (root / "train.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet", row_group_size=2)


def spec_of(tmp_path: Path, data: str, path: str) -> TaskSpec:
    file = tmp_path / "task.yaml"
    file.write_text(
        f"""\
task: captions
version: 1
about: Say what is there.
data: {{{data}, path: "{path}", splits: {{train: train}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
  caption: {{kind: text, column: caption}}
example: {{source: "{{image}}", target: "{{caption}}"}}
score: [{{metric: bleu, against: caption, primary: true}}]
"""
    )
    return load_task(file)


def read(spec: TaskSpec, root: Path) -> list[tuple[str, int]]:
    """The caption and the colour of all rows."""
    loader, found = ImageLoader(root, None), []
    for row in TaskData(spec, "train", root):
        linked = row.linked
        image = loader.load(row.image(row.columns["image"]), row.where, linked)
        found.append((row.columns["caption"], int(np.asarray(image.pixels_HWC)[0, 0, 0])))
    return found
