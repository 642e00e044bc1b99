"""What a linear probe says of images whose class is known to be seen, or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.tiny import Tiny, model_directory, tiny
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.evaluation.probing.probe import PIXELS, RANDOM, TOWER, probe
from unified_vl.evaluation.probing.probed_rows import probed_rows
from unified_vl.evaluation.probing.text_tasks import compare_on_texts, reads_text_alone
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_task

__all__ = ["model_directory", "tiny"]  # fixtures
SPEC = """
task: {name}
version: 1
about: Name the colour.
data: {{reader: jsonl, path: "{name}_{{split}}.jsonl", splits: {{train: train, test: test}},
       languages: [en]}}
fields:
  image: {{kind: image, column: image, many: {many}}}
  answer: {{kind: text, column: answer}}
example: {{source: "{{image}}", target: "{{answer}}"}}
score: [{{metric: exact_match, against: answer, primary: true}}]
"""
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 210)}


def write(root: Path, name: str, answer: Any, many: bool = False) -> Any:
    """A task on noisy squares of a colour; `answer` says what of a colour and a number."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 30)):
        lines = []
        for number in range(count):
            colour = list(COLOURS)[number % 3]
            pixels = draw.normal(COLOURS[colour], 30, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            path = f"{name}_{split}_{number}.png"
            Image.fromarray(pixels).save(root / path)
            image = [path, path] if many else path
            lines.append(json.dumps({"image": image, "answer": answer(colour, number)}) + "\n")
        (root / f"{name}_{split}.jsonl").write_text("".join(lines))
    file = root / f"{name}.yaml"
    file.write_text(SPEC.format(name=name, many=str(many).lower()))
    return load_task(file)


@pytest.fixture
def predictor(tiny: Tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


def test_a_class_that_is_seen_is_found_and_one_that_is_not_is_chance(
    predictor: UnifiedVL, tmp_path: Path
) -> None:
    seen = probe(predictor, write(tmp_path, "seen", lambda c, n: c), tmp_path, resamples=200)
    assert seen["accuracy"][PIXELS]["accuracy"] > 90
    assert seen["accuracy"][TOWER]["accuracy"] > 90
    assert (seen["classes"], seen["rows"], seen["train_rows"]) == (3, 30, 60)
    assert seen["most_frequent"] == pytest.approx(100 / 3)
    unseen = write(tmp_path, "unseen", lambda c, n: "odd" if n % 2 else "even")
    found = probe(predictor, unseen, tmp_path, resamples=200)
    for name in (TOWER, RANDOM, PIXELS):
        low, high = found["accuracy"][name]["interval"]
        assert low < 60 and high > 35
    assert found["above"][RANDOM]["p"] > 0.01


def test_a_task_and_languages_that_the_model_never_saw_are_probed(
    predictor: UnifiedVL, tmp_path: Path
) -> None:
    """Their tags are not in its vocabulary."""
    spec = write(tmp_path, "new", lambda c, n: c)
    source = "{task} {language} which colour? {image}"
    file = tmp_path / "new.yaml"
    told = file.read_text().replace("[en]", "[tr]").replace('"{image}"', f'"{source}"')
    file.write_text(told)
    asked = probe(predictor, load_task(file), tmp_path, resamples=100)
    assert asked["accuracy"] == probe(predictor, spec, tmp_path, resamples=100)["accuracy"]


def test_it_is_scikit_learns_regression_on_the_mean_over_places(
    predictor: UnifiedVL, tmp_path: Path
) -> None:
    spec = write(tmp_path, "seen", lambda c, n: c if n % 5 else "other")
    towers = {TOWER: predictor.model}
    train = probed_rows(predictor, towers, spec, "train", tmp_path, None)
    test = probed_rows(predictor, towers, spec, "test", tmp_path, None)
    image = np.asarray(Image.open(tmp_path / "seen_test_4.png"))
    pixels_NCHW = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = predictor.model.image_features(pixels_NCHW).mean(1)[0]
    np.testing.assert_allclose(test.features[TOWER][4], expected, rtol=1e-4, atol=1e-5)
    found = probe(predictor, spec, tmp_path, resamples=100)["accuracy"][TOWER]
    scale = StandardScaler().fit(train.features[TOWER])
    model = LogisticRegression(C=found["strength"], max_iter=1000)
    model.fit(scale.transform(train.features[TOWER]), train.classes)
    score = model.score(scale.transform(test.features[TOWER]), test.classes)
    assert found["accuracy"] == pytest.approx(100 * score)


def test_a_model_is_no_better_than_itself_on_texts(predictor: UnifiedVL, tiny: Tiny) -> None:
    specs = [spec for spec in tiny.specs.values() if reads_text_alone(spec)]
    assert [spec.task for spec in specs] == ["tiny_copy"]
    found = compare_on_texts(predictor, predictor, ("a", "b"), specs, tiny.data, resamples=100)
    (entry,) = found["tasks"]["tiny_copy"]["metrics"].values()
    assert entry["difference"] == 0.0 and entry["better"] is None


@pytest.mark.parametrize(
    ("answer", "many", "says"),
    [
        (lambda c, n: f"number {n}", False, "has 60 answers in 60 rows; expected a few classes"),
        (lambda c, n: "same", False, "has 1 answers in 60 rows; expected a few classes"),
        (lambda c, n: c, True, "shows 2 images; expected one image in the source"),
    ],
)
def test_what_asks_for_no_class_is_refused(
    answer: Any, many: bool, says: str, predictor: UnifiedVL, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        probe(predictor, write(tmp_path, "odd", answer, many), tmp_path)


def test_tasks_with_images_are_no_texts(predictor: UnifiedVL, tiny: Tiny) -> None:
    for specs, says in (([], "share no task"), ([tiny.specs["tiny_ground"]], "has images")):
        with pytest.raises(UserError, match=says):
            compare_on_texts(predictor, predictor, ("a", "b"), specs, tiny.data)


def test_the_command_prints_and_writes_it(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "seen", lambda c, n: c)
    words = ["probe", str(model_directory), "--data", str(tmp_path), "--device", "cpu"]
    more = ["--task", str(tmp_path / "seen.yaml"), "--output", str(tmp_path / "found.json")]
    app([*words, *more], standalone_mode=False)
    assert "random branch" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["tasks"]["seen"]["accuracy"].keys() == {TOWER, RANDOM, PIXELS}
