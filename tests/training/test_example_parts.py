"""Runs whose examples hold shots, wrong pairs, noise and drawn wordings: resumed, saved, asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.training.without_padding import check_tasks
from unified_vl import UnifiedVL
from unified_vl.cli.main import main
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.trainer import train

HERE = """
task: here
version: 1
about: Say whether a name is that of the colour.
data:
  {reader: jsonl, path: "see_{split}.jsonl", splits: {train: train, validation: validation},
   languages: [en], on_bad_row: skip}
fields:
  image: {kind: image, column: image}
  names: {kind: text, column: names, many: true}
example:
  source: "{task} {shots} {image} {ask} {names}"
  target: "{matches}"
  pick: {names: random}
  shots: {count: 1, each: "{image} {names} {matches}"}
  mismatch: {field: names, right: "yes", wrong: "no"}
wording: {ask: {en: [red, green, blue]}}
score: [{metric: accuracy, against: matches, primary: true}]
"""
FILL = """
task: fill
version: 1
about: Fill in what is missing of a colour's name.
data:
  {reader: jsonl, path: "say_{split}.jsonl", splits: {train: train}, languages: [en, de],
   language_column: language, language_temperature: 0.3}
fields:
  text: {kind: text, column: text}
  translation: {kind: text, column: translation}
example:
  source: "{task} {language} {text} {translation}"
  target: "{text} {translation}"
  noise:
    text: {kind: span_corruption, rate: 0.5, mean_span: 1}
    translation: {kind: masking}
score: [{metric: f1, against: translation, primary: true}]
"""
MIXTURE = "mixture: parts\nversion: 1\ntasks: [{spec: here.yaml}, {spec: fill.yaml}]\n"
WEIGHTS = "model/model.safetensors"


class Killed(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def parts(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of both tasks, and a tokenizer of the command line."""
    root = tmp_path_factory.mktemp("parts")
    for name, text in (("here", HERE), ("fill", FILL), ("mixture", MIXTURE)):
        write_atomically(root / f"{name}.yaml", text)
    run = (squares / "run.yaml").read_text().replace(f"{squares}/tokenizer", f"{root}/tokenizer")
    write_atomically(root / "run.yaml", run)
    options = ["--data", str(squares / "data"), "--output", str(root / "tokenizer")]
    specs = [word for name in ("here", "fill") for word in ("--spec", str(root / f"{name}.yaml"))]
    with pytest.MonkeyPatch.context() as patch:
        words = ["tokenizer", "train", *specs, *options, "--vocabulary-size", "300"]
        patch.setattr("sys.argv", ["unified-vl", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None)
    return root


def make_run(parts: Path, output: Path, *overrides: str) -> Run:
    return load_run(parts / "run.yaml", [f"output={output}", *overrides])


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_run(parts, tmp_path / "whole")
    train(whole, progress=False)
    broken = make_run(parts, tmp_path / "broken")
    update, done = Engine.step, []

    def dying(self: Engine, *arguments: Any) -> float:
        done.append(1)
        if len(done) == 6:
            raise Killed
        return update(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "step", dying)
        with pytest.raises(Killed):
            train(broken, progress=False)
    train(broken, resume=True, progress=False)
    assert (broken.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_noise_shots_and_wrong_pairs_are_learnt_without_padding_as_with_it(
    parts: Path, tmp_path: Path
) -> None:
    run = make_run(parts, tmp_path, "packing=true", "model.dropout_rate=0.0")
    check_tasks(run, "here", "fill")


def test_the_saved_model_shows_what_validation_showed(
    parts: Path, squares: Path, tmp_path: Path
) -> None:
    run = make_run(parts, tmp_path / "out", "steps=1", "checkpoint_every=1")
    validation = build(run).validation["here"]
    train(run, progress=False)
    model = UnifiedVL.from_pretrained(run.output / "model")
    row = validation.data[0]
    asked = model.builder(model.specs["here"], squares / "data").build(
        row, seed=None, with_target=False
    )
    scored = validation.builder.build(row, seed=None)
    one, other = (model.codec.encode_source(e.source) for e in (asked, scored))
    assert len(one.images) == 2
    assert (one.images[0] == other.images[0]).all()
    answer = model.predict("here", image=Image.new("RGB", (8, 8), "red"), names="red")
    assert isinstance(answer.text, str)
    filled = model.predict("fill", text="r<mask>", translation="<mask>", language="de")
    assert isinstance(filled.text, str)


def test_a_tokenizer_without_the_tags_is_refused_before_training(
    parts: Path, squares: Path, tmp_path: Path
) -> None:
    tags = json.loads((parts / "tokenizer/vocabulary.json").read_text())["tags"]
    assert sum(tag.startswith("sentinel:") for tag in tags) == 100 and "mask" in tags
    other = tmp_path / "tokenizer"
    for name in ("text.model", "vocabulary.json"):
        write_atomically(other / name, (parts / "tokenizer" / name).read_bytes())
    values = json.loads((other / "vocabulary.json").read_text())
    values["tags"] = [tag for tag in tags if not tag.startswith("sentinel:")]
    write_atomically(other / "vocabulary.json", json.dumps(values))
    with pytest.raises(UserError, match=r"example.noise.text: the tokenizer's vocabulary has no s"):
        train(make_run(parts, tmp_path / "out", f"tokenizer={other}"), progress=False)
    assert not (tmp_path / "out").exists()
