"""A model small enough to draw at random, its three tasks, and their data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, standard_tags
from unified_vl.inference.saved_models.model_directory import SavedModel, save_model
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

LANGUAGES = ("en", "de", "fa")
CAPTION = """
task: tiny_caption
version: 1
about: Say what is there.
data:
  reader: jsonl
  path: "caption/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa]
  language_column: language
  key_column: key
  on_bad_row: skip
fields:
  image: {kind: image, column: picture}
  caption: {kind: text, column: caption}
example: {source: "{task} {language} {image}", target: "{caption}"}
generate: {method: greedy, max_tokens: 12}
score:
  - {metric: exact_match, against: caption, primary: true}
  - {metric: chrf, against: caption}
report_by: [language]
"""
GROUND = """
task: tiny_ground
version: 1
about: Point to it.
data:
  reader: jsonl
  path: "ground/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa]
  language_column: language
fields:
  image: {kind: image, column: image}
  phrase: {kind: text, column: phrase}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
example: {source: "{image} {phrase}", target: "{box}"}
generate: {method: greedy, allow: box, max_tokens: 6}
score:
  - {metric: box_accuracy, against: box, primary: true}
"""
COPY = """
task: tiny_copy
version: 1
about: Say it again.
data:
  reader: jsonl
  path: "copy/{split}.jsonl"
  splits: {test: test}
  languages: [en]
fields:
  text: {kind: text, column: text}
example: {source: "{text}", target: "{text}"}
generate: {method: beam, beams: 3, max_tokens: 8}
score:
  - {metric: accuracy, against: text, primary: true}
"""
COMPARE = """
task: tiny_compare
version: 1
about: Say what the pictures have in common.
data: {reader: jsonl, path: "compare/{split}.jsonl", splits: {test: test}, languages: [en]}
fields:
  pictures: {kind: image, column: images, many: true}
  answer: {kind: text, column: answer}
example: {source: "{pictures}", target: "{answer}"}
generate: {method: greedy, max_tokens: 8}
score: [{metric: exact_match, against: answer, primary: true}]
"""


@dataclass(frozen=True)
class Tiny:
    """The model and where its data lie."""

    saved: SavedModel
    data: Path

    @property
    def specs(self) -> dict[str, TaskSpec]:
        return self.saved.specs


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")
    specs = {}
    for text in (CAPTION, GROUND, COPY):
        path = root / f"{text.split()[1]}.yaml"
        path.write_text(text, encoding="utf-8")
        specs[path.stem] = load_task(path)
    saved = tiny_model(list(specs.values()), LANGUAGES, root)
    _write_data(root / "data")
    return Tiny(saved, root / "data")


def tiny_model(
    specs: Sequence[TaskSpec],
    languages: Sequence[str],
    folder: Path,
    more: Sequence[str] = (),
) -> SavedModel:
    """A model of any tasks, with random weights; its tokenizer is trained in `folder`."""
    sentences = [
        "a red cat and a dog",
        "eine rote Katze und ein Hund",
        "گربه قرمز",
        "yes no",
        *more,
    ]
    text_codec = train_text_tokenizer(sentences * 4, folder / "text.model", 320)
    noise = [tag for spec in specs for tag in spec.example.tags]
    tags = standard_tags(languages, [spec.task for spec in specs], (), noise)
    vocabulary = Vocabulary(len(text_codec), tags, location_bins=50)
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        vocab_size=vocabulary.size,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        vision={"kind": "patches", "image_size": [16, 16], "patch_size": 8},
    )
    model = UnifiedVLForConditionalGeneration(config).eval()
    codec = SequenceCodec(
        vocabulary,
        text_codec,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        max_source=40,
        max_target=20,
    )
    return SavedModel(model, codec, {spec.task: spec for spec in specs}, {"steps": 3})


@pytest.fixture
def model_directory(tiny: Tiny, tmp_path: Path) -> Path:
    """The model, saved."""
    saved = tiny.saved
    save_model(tmp_path / "model", saved.model, saved.codec, saved.specs.values(), saved.facts)
    return tmp_path / "model"


@pytest.fixture(scope="session")
def picture() -> Callable[[int], Image.Image]:
    """Makes a picture of 40 x 20 pixels; the number decides its colour."""
    return _picture


def _picture(number: int) -> Image.Image:
    return Image.new("RGB", (40, 20), (number * 37 % 256, number * 91 % 256, 128))


def _write_data(root: Path) -> None:
    for number in range(3):
        path = root / f"images/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _picture(number).save(path)
    captions, phrases = [], []
    for number in range(9):
        image, language = f"images/{number % 3}.png", LANGUAGES[number // 3]
        row = {"key": f"k{number}", "picture": image, "language": language, "caption": "a cat"}
        captions.append(row)
        box = [number, 2, number + 8, 12]
        phrases.append({"image": image, "language": language, "phrase": "a dog", "box": box})
    captions.append({**captions[0], "key": "bad", "picture": "images/none.png"})
    for name, rows in (("caption", captions), ("ground", phrases), ("copy", [{"text": "yes"}])):
        path = root / name / "test.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
