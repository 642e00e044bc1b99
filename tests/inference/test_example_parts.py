"""Tasks with shots, joins, wrong pairs and noise: saved, asked and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tiny import tiny_model
from unified_vl import UnifiedVL
from unified_vl.codecs.segments import Tag
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import Shots
from unified_vl.data.rows.sources import TaskData
from unified_vl.decoding.grammars.values import grammar_of
from unified_vl.errors import UserError
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.inference.files import predict_file
from unified_vl.inference.saved_models.model_directory import SavedModel, load_model, save_model
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

HEAD = """\
task: {name}
version: 1
about: Answer.
data:
  reader: jsonl
  path: "{{split}}.jsonl"
  splits: {{train: train, test: test}}
  languages: [en, de]
  language_column: lang
fields:
{fields}
{rest}
"""
FIELDS = {
    "image": "{kind: image, column: image}",
    "region": "{kind: box, column: region, layout: xyxy, units: pixels}",
    "text": "{kind: text, column: text}",
    "turns": "{kind: text, column: turns, many: true}",
    "answer": "{kind: text, column: answer}",
}
FEW = """\
example:
  source: "{shots} {image} {text} {history}"
  target: "{answer}"
  join: {history: {each: "{number} {turns}", between: "\\n"}}
  shots: {count: 2, each: "{image} {region} {text} {answer}"}
generate: {max_tokens: 6}
score: [{metric: accuracy, against: answer, primary: true}]
"""
FILL = """\
example:
  source: "{language} {text}"
  target: "{text}"
  noise: {text: {kind: span_corruption, rate: 0.3, mean_span: 1}}
generate: {max_tokens: 6}
score: [{metric: f1, against: text, primary: true}]
"""
MATCH = """\
example:
  source: "{image} {text}"
  target: "{matches}"
  mismatch: {field: text, right: "yes", wrong: "no"}
generate: {method: constrained, choices: {values: ["yes", "no"]}, max_tokens: 6}
score: [{metric: accuracy, against: matches, primary: true}]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for split in ("train", "test"):
        lines = []
        for number in range(8):
            colour = (30 * number, 200 * (split == "test"), 5)
            Image.new("RGB", (40, 20), colour).save(root / f"{split}{number}.png")
            lines.append(
                {
                    "image": f"{split}{number}.png",
                    "lang": "de" if number % 2 else "en",
                    "region": [number, 0, number + 9, 19],
                    "text": f"a red cat and {number} dogs",
                    "turns": ["yes", "no"][: number % 3],
                    "answer": "a dog" if number % 3 else "a cat",
                }
            )
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (root / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return root


def make_spec(folder: Path, name: str, rest: str) -> TaskSpec:
    used = [f for f in FIELDS if f"{{{f}}}" in rest or f"against: {f}" in rest]
    fields = "\n".join(f"  {f}: {FIELDS[f]}" for f in used)
    path = folder / f"{name}.yaml"
    path.write_text(HEAD.format(name=name, fields=fields, rest=rest), encoding="utf-8")
    return load_task(path)


@pytest.fixture
def saved(tmp_path: Path) -> SavedModel:
    parts = {"few": FEW, "fill": FILL, "match": MATCH}
    specs = [make_spec(tmp_path, name, rest) for name, rest in parts.items()]
    made = tiny_model(specs, ["en", "de"], tmp_path)
    made.codec.max_source = 120
    return made


def shots_of(saved: SavedModel, data: Path) -> dict[str, Shots]:
    rows = TaskData(saved.specs["few"], "train", data)
    return {"few": UnifiedVL(saved).builder(saved.specs["few"], data, rows).shots()}


@pytest.fixture
def directory(saved: SavedModel, data: Path, tmp_path: Path) -> Path:
    specs, shots = saved.specs.values(), shots_of(saved, data)
    save_model(tmp_path / "model", saved.model, saved.codec, specs, shots=shots)
    return tmp_path / "model"


def test_a_saved_model_shows_the_same_rows_without_the_data(
    saved: SavedModel, data: Path, directory: Path
) -> None:
    loaded = UnifiedVL.from_pretrained(directory)
    spec, at_hand = loaded.specs["few"], UnifiedVL(saved)
    rows = TaskData(saved.specs["few"], "test", data)
    bare = loaded.builder(spec, data)
    whole = at_hand.builder(saved.specs["few"], data, rows)
    for row in rows:
        one, other = bare.build(row, seed=None), whole.build(row, seed=None)
        assert one.shots == other.shots == 2
        ids, expected = (loaded.codec.encode_source(e.source) for e in (one, other))
        assert ids.ids == expected.ids
        assert all((a == b).all() for a, b in zip(ids.images, expected.images, strict=True))
        assert len(ids.images) == 3
    pngs = sorted(path.name for path in (directory / "specs/few.shots").iterdir())
    assert pngs == [f"{n}.png" for n in range(6)]  # three rows of two languages
    assert not list(directory.rglob("*.pkl"))
    again = directory.parent / "again"
    model = load_model(directory)
    save_model(again, model.model, model.codec, model.specs.values(), shots=model.shots)
    text = (directory / "specs/few.shots.json").read_text(encoding="utf-8")
    assert (again / "specs/few.shots.json").read_text(encoding="utf-8") == text


def test_rows_of_the_train_split_do_not_show_themselves(directory: Path, data: Path) -> None:
    loaded = UnifiedVL.from_pretrained(directory)
    shown = {shot.where for shot in loaded.shots["few"]["en"]}
    assert len(shown) == 3
    builder = loaded.builder(loaded.specs["few"], data)
    for row in TaskData(loaded.specs["few"], "train", data):
        example = builder.build(row, seed=None)
        own = ImageLoader(data, (16, 16)).load(row.columns["image"], "").pixels_HWC
        images = loaded.codec.encode_source(example.source).images
        assert [bool((image == own).all()) for image in images] == [False, False, True]


def test_a_model_is_asked_without_the_data(directory: Path, data: Path) -> None:
    image = (data / "test3.png").read_bytes()
    for name in ("train.jsonl", "test.jsonl"):
        (data / name).unlink()
    model = UnifiedVL.from_pretrained(directory)
    asked = {"image": image, "text": "a red cat", "language": "de"}
    answer = model.predict("few", turns=["yes", "no"], **asked)
    assert isinstance(answer.text, str)
    assert model.predict("few", turns='["yes", "no"]', **asked) == answer  # of a command line
    empty = model.predict("few", turns=[], **asked)
    assert isinstance(empty.text, str)
    several = model.predict("few", turns=[["yes", "no"], []], **asked)
    assert [each.text for each in several] == [answer.text, empty.text]
    assert model.predict("match", image=image, text="a red cat", language="en").text in (
        "yes",
        "no",
    )


def test_files_of_rows_hold_lists_as_lists(directory: Path, data: Path, tmp_path: Path) -> None:
    model = UnifiedVL.from_pretrained(directory)
    rows = [
        {"key": str(n), "image": "test1.png", "text": "a", "turns": ["yes"][:n], "language": "en"}
        for n in range(2)
    ]
    source = data / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert predict_file(model, "few", source, tmp_path / "out.jsonl") == 0
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = [
        model.predict("few", image=data / "test1.png", text="a", turns=row["turns"], language="en")
        for row in rows
    ]
    assert [answer["prediction"] for answer in answers] == [each.text for each in expected]


def test_shots_of_a_spec_that_the_model_does_not_carry_need_its_data(
    directory: Path, data: Path, tmp_path: Path
) -> None:
    model, image = UnifiedVL.from_pretrained(directory), data / "test0.png"
    with pytest.raises(UserError, match="the rows of the train split are not at hand"):
        model.predict(tmp_path / "few.yaml", image=image, text="a", turns=[], language="en")


def test_a_model_is_not_saved_without_its_shots(saved: SavedModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the shots of the task 'few' are not known"):
        save_model(tmp_path / "m", saved.model, saved.codec, saved.specs.values())


def speak(path: Path, language: str) -> None:
    shot = json.loads(path.read_text())["en"][0]
    path.write_text(json.dumps({language: [{**shot, "language": language}]}))


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda d: (d / "few.shots.json").unlink(), "few.shots.json: the rows that the task shows"),
        (lambda d: (d / "few.shots.json").write_text("["), "few.shots.json: this is not JSON"),
        (
            lambda d: spoil(d / "few.shots.json", '"matches"', '"match"'),
            "json: en: these are no ro",
        ),
        (lambda d: spoil(d / "few.shots.json", '"Box"', '"Bomb"'), "json: en: these are no rows"),
        (lambda d: spoil(d / "few.shots.json", '"kind"', '"os"'), "json: en: these are no rows"),
        (lambda d: speak(d / "few.shots.json", "xx"), "json: xx: these are no rows"),
        (lambda d: (d / "few.shots/0.png").unlink(), "few.shots/0.png: the image is missing"),
        (lambda d: (d / "few.shots/0.png").write_bytes(b"GIF"), "few.shots/0.png: the image"),
        (
            lambda d: Image.new("RGB", (3, 3)).save(d / "few.shots/0.png"),
            "few.shots/0.png: found 3 x 3 pixels; expected 16 x 16",
        ),
    ],
)
def test_broken_shots_are_named(directory: Path, damage: Callable[[Path], Any], says: str) -> None:
    damage(directory / "specs")
    with pytest.raises(UserError) as error:
        load_model(directory)
    assert says in str(error.value)


def test_a_person_leaves_places_open_with_masks(directory: Path) -> None:
    model = UnifiedVL.from_pretrained(directory)
    answer = model.predict("fill", text="a <mask> cat and a <mask>", language="en")
    assert isinstance(answer.text, str)
    written = {s.name for s in answer.segments if isinstance(s, Tag)}
    assert all(name.startswith("sentinel:") for name in written)


def test_sentinels_may_be_written_only_where_they_mean_something(
    saved: SavedModel, directory: Path
) -> None:
    device = saved.model.device
    for name, allowed in (("fill", True), ("few", False)):
        spec = saved.specs[name]
        grammar = grammar_of(spec.generate, spec.answer_form, saved.codec, device)
        state = grammar.start(1)
        logits = saved.model.lm_head.weight.new_zeros((1, saved.codec.vocabulary.size))
        scores = grammar.allowed(logits, state, 0).scores_RC[0]
        sentinel = saved.codec.vocabulary.tag_id("sentinel:99")
        assert bool(scores[sentinel] == 0) == allowed


def test_evaluation_scores_against_what_the_target_says(saved: SavedModel, data: Path) -> None:
    predictor = UnifiedVL(replace(saved, shots=shots_of(saved, data)))
    specs = [saved.specs[name] for name in ("few", "fill", "match")]
    found = evaluate(predictor, specs, "test", data, model_name="m", resamples=0)
    assert {name: task["count"] for name, task in found.report["tasks"].items()} == {
        "few": 8,
        "fill": 8,
        "match": 8,
    }
    rows = {name: [r for r in found.predictions if r["task"] == name] for name in ("fill", "match")}
    assert {r["references"][0] for r in rows["match"]} == {"yes", "no"}
    for number, row in enumerate(rows["match"]):
        own = row["inputs"]["text"] == f"a red cat and {number} dogs"
        assert own == (row["references"] == ["yes"])  # what the model read is what is told
    for row in rows["fill"]:
        assert "<mask>" in row["inputs"]["text"]
        assert row["references"][0] and len(row["references"][0]) < len("a red cat and 1 dogs")
    again = evaluate(predictor, specs, "test", data, model_name="m", resamples=0)
    assert again.predictions == found.predictions
