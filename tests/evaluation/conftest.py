"""A small data set of three tasks, and a stand-in for the model that knows the answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.codecs.segments import Segment, Text
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.results import Evaluation, write_results
from unified_vl.geometry import Box, to_pixels
from unified_vl.inference.predictor import Prediction
from unified_vl.specs.load import load_tasks
from unified_vl.specs.task import TaskSpec

SPECS = {
    "caption": """
task: caption
version: 1
about: Name what is there.
data:
  reader: jsonl
  path: "caption/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa, ja]
  language_column: language
  key_column: key
  on_bad_row: skip
fields:
  image: {kind: image, column: image}
  caption: {kind: text, column: caption}
example: {source: "{image} {language}", target: "{caption}"}
score:
  - {metric: exact_match, against: caption, primary: true}
  - {metric: chrf, against: caption}
report_by: [language, cell]
""",
    "ground": """
task: ground
version: 1
about: Point to it.
data:
  reader: jsonl
  path: "ground/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa, ja]
  language_column: language
fields:
  image: {kind: image, column: image}
  phrase: {kind: text, column: phrase}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
example: {source: "{image} {phrase}", target: "{box}"}
generate: {allow: box, max_tokens: 5}
score:
  - {metric: box_accuracy, against: box, iou: 0.5}
  - {metric: box_accuracy, against: box, iou: 0.9, primary: true}
""",
    "translate": """
task: translate
version: 1
about: Say it in another language.
data:
  reader: jsonl
  path: "translate/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa, ja]
  language_column: language
fields:
  spoken: {kind: language, column: from}
  text: {kind: text, column: text}
  translation: {kind: text, column: translation, many: true}
example:
  source: "{spoken} {language} {text}"
  target: "{translation}"
  pick: {translation: first}
score:
  - {metric: exact_match, against: translation, primary: true}
""",
}
NAMES = {"en": ["cat", "dog"], "de": ["Katze", "Hund"], "fa": ["گربه", "سگ"], "ja": ["猫", "犬"]}
IMAGES = 6


@dataclass
class Oracle:
    """Answers with the target, or with what `wrong` makes of it."""

    wrong: Callable[[Example], Segment | None] = lambda example: None
    asked: list[Example] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def builder(self, spec: TaskSpec, root: Path, data: TaskData) -> ExampleBuilder:
        return ExampleBuilder(spec, ImageLoader(root, (8, 8)), rows=data)

    def predict_examples(
        self, spec: TaskSpec, examples: Iterator[Example], batch_size: int, *, n: int = 1
    ) -> Iterator[Prediction]:
        for example in examples:
            self.asked.append(example)
            answer = self.wrong(example) or example.target[0]
            width, height = example.image_size or (1, 1)
            pointed = isinstance(answer, Box)
            yield Prediction(
                key=example.key,
                text=answer.text if isinstance(answer, Text) else "",
                score=-0.1 * len(self.asked),
                segments=(answer,),
                shapes={"boxes": [to_pixels(answer, width, height)]} if pointed else {},
            )


@dataclass(frozen=True)
class World:
    data: Path
    specs: list[TaskSpec]

    def evaluate(self, predictor: Any, **options: Any) -> Evaluation:
        return evaluate(predictor, self.specs, "test", self.data, model_name="m", **options)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    data = root / "data"
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPECS}
    for number in range(IMAGES):
        image = f"images/{number}.png"
        (data / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 30), (40 * number, 90, 160)).save(data / image)
        for language, names in NAMES.items():
            base = {"image": image, "language": language, "key": f"{number}-{language}"}
            cell = "held_out" if language == "fa" else "seen"
            rows["caption"].append(base | {"caption": names[number % 2], "cell": cell})
            box = [number, 3, number + 20, 23]
            rows["ground"].append(base | {"phrase": names[number % 2], "box": box})
            rows["translate"].append(
                {
                    "from": "en",
                    "language": language,
                    "text": NAMES["en"][number % 2],
                    "translation": [names[number % 2], names[number % 2].upper()],
                }
            )
    rows["caption"].append(rows["caption"][0] | {"image": "images/none.png", "key": "bad"})
    for name, text in SPECS.items():
        (root / f"{name}.yaml").write_text(text, encoding="utf-8")
        (data / name).mkdir()
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows[name])
        (data / name / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    return World(data, load_tasks([root / f"{name}.yaml" for name in SPECS]))


@pytest.fixture
def run_directory(world: World, tmp_path: Path) -> Path:
    """A run with some right and some wrong answers, its events and its model's facts."""

    def wrong(example: Example) -> Segment | None:
        if example.language != "de":
            return None
        if isinstance(example.target[0], Box):
            return Box(0.5, 0.5, 0.75, 0.75)
        return Text("<b>falsch & kaputt</b>")

    evaluation = world.evaluate(Oracle(wrong))
    run = tmp_path / "run"
    write_results(evaluation, run / "report.json", run / "predictions.jsonl")
    events: list[dict[str, Any]] = [{"event": "resume", "step": 0}]
    for step in range(10, 110, 10):
        for task in SPECS:
            speed = {"step_seconds": 1.0, "tokens_per_second": 4321.0}
            event = {"event": "step", "step": step, "task": task, "loss": 50 / step}
            events.append({**event, "speed": speed})
    events += [{"event": "validation", "step": 100, "task": t, "loss": 0.25} for t in SPECS]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (run / "events.jsonl").write_text(lines + '{"event": "ste')
    (run / "model").mkdir()
    (run / "model/training.json").write_text('{"run": "tiny_run", "steps": 100, "seconds": 120}')
    return run


@pytest.fixture
def oracle() -> type[Oracle]:
    return Oracle


@pytest.fixture(scope="session")
def oracle_class() -> type[Oracle]:
    return Oracle
