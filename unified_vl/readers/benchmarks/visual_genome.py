"""Visual Genome's region descriptions and questions (Krishna et al., arXiv 1602.07332).

The files are those of homes.cs.washington.edu/~ranjay/visualgenome/api.html, versions 1.0 to
1.4. They have no splits; `densecap_splits.json` (Johnson et al., arXiv 1511.07571) has those
that region descriptions are scored on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import BOX, QUESTION, QUESTION_ID, STATED_SIZE, Column
from unified_vl.readers.json_files import member, read_items, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.regions import cut_box, size_of
from unified_vl.readers.source import Source


def _images(source: Source) -> dict[int, dict[str, Any]]:
    """Name, size and split of each image, by its id."""
    splits = _splits(source)
    path = source.files["images"]
    found: dict[int, dict[str, Any]] = {}
    for number, image in read_items(path, list):
        key = member(image, _either(image, "image_id", "id"), int, path, number)
        url = member(image, "url", str, path, number)
        found[key] = {
            "image": "/".join(url.split("/")[-2:]),
            "split": splits.get(key),
            "size": size_of(image, path, number),
        }
    return found


def _either(value: Any, name: str, old: str) -> str:
    """What version 1.0 calls otherwise, and an object has under the old name alone."""
    return old if isinstance(value, dict) and name not in value and old in value else name


def _splits(source: Source) -> dict[int, str]:
    if "splits" not in source.files:
        if "split" in source.needed:
            message = "is missing, and 'split' comes from it"
            raise source.error(("data", "files", "splits"), message)
        return {}
    path = source.files["splits"]
    content = read_json(path)
    found: dict[int, str] = {}
    for name in ("train", "val", "test"):
        for number, key in enumerate(member(content, name, list, path)):
            if not isinstance(key, int):
                where = f"{name}.{number}"
                raise UserError(f"found {key!r}", file=path, field=where, expected="an image's id")
            found[key] = name
    return found


def _each(
    source: Source, file: str, inside: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """What the file has of every image: its place there, itself, and the image."""
    images = _images(source)
    path = source.files[file]
    for number, entry in read_items(path, list):
        for place, value in enumerate(member(entry, inside, list, path, number)):
            where = f"{number}.{inside}.{place}"
            if isinstance(value, dict) and "image_id" not in value and "id" in entry:
                key = member(entry, "id", int, path, number)  # regions of version 1.0
            else:
                key = member(value, "image_id", int, path, where)
            if key not in images:
                message = f"{str(source.files['images'])!r} has no image {key}"
                raise UserError(message, file=path, field=f"{where}.image_id")
            yield where, value, images[key]


def _regions(source: Source) -> Iterator[dict[str, Any]]:
    """A row a region; none for those without words, or with no part inside the image."""
    path: Path = source.files["regions"]
    for where, region, image in _each(source, "regions", "regions"):
        sides = [float(member(region, k, float, path, where)) for k in _SIDES]
        box = cut_box(sides, *image["size"])
        phrase = member(region, "phrase", str, path, where).strip()
        if box is None or not phrase:
            continue
        yield {
            "key": str(member(region, _either(region, "region_id", "id"), int, path, where)),
            "image": image["image"],
            "phrase": phrase,
            "box": box,
            "width": image["size"][0],
            "height": image["size"][1],
            "split": image["split"],
        }


def _questions(source: Source) -> Iterator[dict[str, Any]]:
    path = source.files["questions"]
    for where, question, image in _each(source, "questions", "qas"):
        yield {
            "key": str(member(question, "qa_id", int, path, where)),
            "image": image["image"],
            "question": member(question, "question", str, path, where),
            "answer": member(question, "answer", str, path, where),
            "split": image["split"],
        }


_SIDES = ("x", "y", "width", "height")


VISUAL_GENOME_SPLIT = Column("text", "train, val or test of `splits`; empty for other images")
VISUAL_GENOME_IMAGE = Column("image", "the image with its folder: VG_100K_2/1.jpg")
ANSWER = Column("text", "the answer")
VG_REGIONS = Reader(
    "vg_regions",
    "Visual Genome's region descriptions: a row a region.",
    rows=_regions,
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
)
VG_QUESTIONS = Reader(
    "vg_questions",
    "Visual Genome's questions: a row a question.",
    rows=_questions,
    files=("questions", "images", "splits"),
    optional=("splits",),
    columns={
        "key": QUESTION_ID,
        "image": VISUAL_GENOME_IMAGE,
        "question": QUESTION,
        "answer": ANSWER,
        "split": VISUAL_GENOME_SPLIT,
    },
)
