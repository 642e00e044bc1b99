"""The published easy-VQA set (5,000 images of one coloured shape) as rows and files.

Source: the package `easy_vqa` (Victor Zhou, MIT licence). Its test split stays its test
split; validation is a share of the published training images.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np

from unified_vl.extras import require
from unified_vl.worlds.emoji_scenes import Split

VALIDATION_SHARE = 0.05


def write_images(directory: Path, advance: Callable[[int], None]) -> None:
    """Copy the images to DIRECTORY/easy_vqa/{train,test}/N.png."""
    for part in ("train", "test"):
        target = directory / "easy_vqa" / part
        target.mkdir(parents=True)
        for image in sorted((_data() / part / "images").glob("*.png")):
            shutil.copyfile(image, target / image.name)
            advance(1)


def question_rows(random: np.random.Generator) -> dict[Split, list[dict[str, object]]]:
    """Rows with key, image, question, answer and cell, in the published order."""
    published = {part: _questions(part) for part in ("train", "test")}
    images = sorted({image for _, _, image in published["train"]})
    kept_back = random.permutation(len(images))[: round(VALIDATION_SHARE * len(images))]
    validation = {images[at] for at in kept_back.tolist()}
    rows: dict[Split, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for part, questions in published.items():
        for number, (question, answer, image) in enumerate(questions):
            split: Split = "test"
            if part == "train":
                split = "validation" if image in validation else "train"
            rows[split].append(
                {
                    "key": f"{part}-{number:05d}",
                    "image": f"easy_vqa/{part}/{image}.png",
                    "question": question,
                    "answer": answer,
                    "cell": "seen",  # nothing of it is held out: the published split decides
                }
            )
    return rows


def _questions(part: str) -> list[tuple[str, str, int]]:
    text = (_data() / part / "questions.json").read_text(encoding="utf-8")
    return [(question, answer, int(image)) for question, answer, image in json.loads(text)]


def _data() -> Path:
    require("easy_vqa")
    return Path(str(resources.files("easy_vqa"))) / "data"
