"""A task that can be perturbed in every way, and its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageDraw

from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.inputs import Perturber
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

SPEC = """
task: choose
version: 1
about: Choose what is seen.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {train: train, test: test}
  languages: [en, ja]
  language_column: language
fields:
  image: {kind: image, column: image}
  questions: {kind: text, column: questions, many: true}
  hint: {kind: text, column: hint}
  options: {kind: text, column: options, many: true}
  answer: {kind: choice, column: right, of: options}
example:
  source: "{task} {image} {ask} {questions} {hint} {listed}"
  target: "{answer}"
  pick: {questions: random}
  join: {listed: {each: "({letter}) {options}"}}
wording:
  ask:
    en: ["Choose one.", "Which is right?", "Take your pick."]
    default: ["選んで", "どれ"]
generate: {method: constrained, choices: {values: [A, B, C]}, max_tokens: 3}
score: [{metric: accuracy, against: answer, primary: true}]
report_by: [language]
"""
QUESTIONS = {
    "en": ("What stands on the Wooden table {}?", "Which thing is on table {}?"),
    "ja": ("テーブル{}の上に何がありますか", "机{}の上の物は何でしょうか"),
}
HINTS = {"en": "Number {} of a long List of hints", "ja": "長い名簿の{}番目の手がかり"}
OPTIONS = {"en": ["a cat", "a dog", "a bird"], "ja": ["猫", "犬", "鳥"]}
ROWS = 6  # in each language
SIZE = (96, 64)


@dataclass(frozen=True)
class Rows:
    """The rows of a split, and what builds their examples."""

    spec: TaskSpec
    data: TaskData
    builder: ExampleBuilder
    root: Path

    def examples(self, perturber: Perturber | None = None) -> list[Example]:
        """Examples as evaluation has them."""
        builder = self.builder if perturber is None else self.builder.perturbed(perturber)
        return [builder.build(row, seed=None) for row in self.data]


def a_picture(seed: int) -> PILImage.Image:
    """A scene of edges, flat parts and shades."""
    random = np.random.default_rng(seed)
    shade = np.linspace(40, 200, SIZE[0], dtype=np.uint8)
    image = PILImage.fromarray(np.dstack([np.tile(shade, (SIZE[1], 1))] * 3))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = (int(random.integers(0, side - 16)) for side in SIZE)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        pen.ellipse((x, y, x + 15, y + 15), fill=colour)
    return image


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    root = tmp_path_factory.mktemp("rows")
    (root / "choose.yaml").write_text(SPEC, encoding="utf-8")
    lines = []
    for number in range(ROWS):
        a_picture(number).save(root / f"{number}.png")
        for language, questions in QUESTIONS.items():
            row = {
                "image": f"{number}.png",
                "language": language,
                "questions": [question.format(number) for question in questions],
                "hint": HINTS[language].format(number),
                "options": OPTIONS[language],
                "right": 0 if number < 4 else 1 + number % 2,
            }
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    for split in ("train", "test"):
        (root / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    spec = load_task(root / "choose.yaml")
    data = TaskData(spec, "test", root)
    builder = ExampleBuilder(spec, ImageLoader(root, SIZE[::-1]), rows=data)
    return Rows(spec, data, builder, root)
