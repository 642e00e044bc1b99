"""A small task of boxes on disk, whose rows a test may spoil."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags

SPEC = """\
task: ground
version: 1
about: Point to what a phrase says.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {train: train, test: test}
  languages: [en, ar]
  language_column: lang
  key_column: key
fields:
  image: {kind: image, column: image}
  phrase: {kind: text, column: phrase}
  region: {kind: box, column: box, layout: xyxy, units: pixels}
example:
  source: "{task} {language} {image} {phrase}"
  target: "{region}"
generate: {allow: box, max_tokens: 5}
score:
  - {metric: box_accuracy, against: region, primary: true}
"""


def rows(split: str = "train") -> list[dict[str, Any]]:
    first = 4 if split == "test" else 0
    return [
        {
            "key": str(i),
            "image": f"{first + i % 4}.png",
            "lang": "ar" if i % 2 else "en",
            "phrase": f"قطة <حمراء> {i}" if i % 2 else f"a cat & a dog {i}",
            "box": [2, 1, 12, 9],
        }
        for i in range(20)
    ]


@pytest.fixture
def box_spec() -> str:
    """A task of boxes, as YAML."""
    return SPEC


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The data root, with the spec `task.yaml` in it."""
    for i in range(8):
        colour = (60 * (i % 4), 40 * (i // 4), 0)
        picture = PILImage.new("RGB", (20, 10), colour)
        picture.paste("white", (0, 0, 5, 5))  # not all of one colour
        picture.save(tmp_path / f"{i}.png")
    (tmp_path / "task.yaml").write_text(SPEC)
    for split in ("train", "test"):
        write_rows(tmp_path, split, rows(split))
    return tmp_path


def write_rows(root: Path, split: str, values: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in values)
    (root / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def spoil(root: Path) -> Callable[..., None]:
    """Change columns of some rows of the training split."""

    def change(indices: list[int], **columns: Any) -> None:
        values = rows()
        for index in indices:
            values[index].update(columns)
        write_rows(root, "train", values)

    return change


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tokenizer that knows the task."""
    directory = tmp_path_factory.mktemp("tokenizer")
    texts = [row["phrase"] for row in rows()] * 5
    text = train_text_tokenizer(texts, directory / "text.model", 320)
    vocabulary = Vocabulary(len(text), standard_tags(["en", "ar"], ["ground", "words"]))
    SequenceCodec(vocabulary, text, image_tokens=4, image_size=(8, 8)).save(directory)
    return directory
