"""A small set of questions about pictures on disk, and builders of its examples."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from unified_vl.codecs.segments import Image, Pieces, Segment, Tag, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

HEAD = """\
task: quiz
version: 1
about: Answer questions about a picture.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {train: train, test: test}
  languages: [en, de]
  language_column: lang
"""
FIELDS = {
    "image": "{kind: image, column: image}",
    "caption": "{kind: text, column: caption}",
    "captions": "{kind: text, column: captions, many: true}",
    "questions": "{kind: text, column: questions, many: true}",
    "answers": "{kind: text, column: answers, many: true}",
    "places": "{kind: box, column: places, many: true, layout: xyxy, units: pixels}",
    "answer": "{kind: text, column: answer}",
}
COLOURS = ["red", "green", "blue", "white", "black", "pink"]


def rows(split: str) -> list[dict[str, Any]]:
    """Six rows in English and six in German, each with a picture of its own."""
    return [
        {
            "image": f"{split}{number}.png",
            "lang": "de" if number >= 6 else "en",
            "caption": f"{split} {COLOURS[number % 6]} {number} is on the table here",
            "captions": [f"{split} {number} {n}" for n in range(3)],
            "questions": [f"q{n}" for n in range(number % 4)],
            "answers": [f"a{n}" for n in range(number % 4)],
            "places": [[n, 0, n + 1, 2] for n in range(number % 4)],
            "answer": COLOURS[number % 6],
        }
        for number in range(12)
    ]


@dataclass(frozen=True)
class Quiz:
    """Its folder, and a tokenizer that knows all of its words."""

    root: Path
    text: TextCodec

    def write(self, split: str, values: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in values)
        (self.root / f"{split}.jsonl").write_text(lines, encoding="utf-8")

    def spec(
        self, example: str, more: str = "", *, against: str = "answer", head: str = HEAD
    ) -> TaskSpec:
        """A spec with the fields that the example names."""
        score = f"score: [{{metric: exact_match, against: {against}, primary: true}}]\n"
        used = [n for n in FIELDS if f"{{{n}}}" in example or n == against]
        fields = "".join(f"  {name}: {FIELDS[name]}\n" for name in used)
        path = self.root / "quiz.yaml"
        path.write_text(f"{head}fields:\n{fields}example:\n{example}\n{more}{score}")
        return load_task(path)

    def codec(self, spec: TaskSpec, *, source: int = 200, target: int = 100) -> SequenceCodec:
        tags = standard_tags(spec.data.languages, [spec.task], (), spec.example.tags)
        return SequenceCodec(
            Vocabulary(len(self.text), tags),
            self.text,
            image_tokens=4,
            image_size=(8, 8),
            max_source=source,
            max_target=target,
        )

    def builder(
        self, spec: TaskSpec, split: Any = "train", codec: SequenceCodec | None = None, **how: Any
    ) -> ExampleBuilder:
        data = TaskData(spec, split, self.root)
        train = train_rows(spec, self.root, data)
        images = ImageLoader(self.root, (8, 8))
        return ExampleBuilder(spec, images, codec=codec, rows=data, train=train, **how)

    def build(
        self,
        spec: TaskSpec,
        index: int,
        *,
        seed: int | None = None,
        split: Any = "train",
        codec: SequenceCodec | None = None,
    ) -> Example:
        row = TaskData(spec, split, self.root)[index]
        return self.builder(spec, split, codec).build(row, seed=seed)


@pytest.fixture
def quiz(tmp_path: Path, words: TextCodec) -> Quiz:
    made = Quiz(tmp_path, words)
    for split in ("train", "test"):
        values = rows(split)
        for number, row in enumerate(values):
            colour = (20 * number, 250 * (split == "test"), 99)
            PILImage.new("RGB", (10, 10), colour).save(tmp_path / row["image"])
        made.write(split, values)
    return made


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    texts = [row["caption"] for split in ("train", "test") for row in rows(split)]
    texts += ["Q: q1 A: a2\nQ: q3 (A) yes no Katze Hund Vogel"]
    return train_text_tokenizer(texts * 3, tmp_path_factory.mktemp("words") / "text.model", 320)


@pytest.fixture(scope="session")
def said() -> Callable[..., str]:
    """What segments say, in one line."""

    def say(segments: tuple[Segment, ...], codec: SequenceCodec | None = None) -> str:
        short = []
        for segment in segments:
            match segment:
                case Text(text):
                    short.append(text)
                case Tag(name):
                    short.append(f"<{name}>")
                case Image(image):
                    short.append(f"[{image.pixels_HWC[0, 0, 0]}]")
                case Pieces(ids) if codec is not None:
                    short.append(codec.text.decode(ids))
                case _:
                    short.append(type(segment).__name__)
        return " ".join(short)

    return say
