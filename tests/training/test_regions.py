"""A run on regions and texts: it learns from both, goes on as if never stopped, and answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import regional
from tests.processes import run_ranks
from tests.training.conftest import RUN, SAY
from unified_vl import UnifiedVL
from unified_vl.codecs.vocabulary import region_ids
from unified_vl.data.regions.writing import write_regions
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.mixture import load_mixture
from unified_vl.training.tokenizers.tokenizer_training import train_tokenizer
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
WORKER = Path(__file__).with_name("worker.py")
IMAGES = 40
MODEL = (
    f"model.region_features={regional.FEATURES}",
    f"model.region_classes={len(regional.COLOURS)}",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run.yaml` and all that it names."""
    root = tmp_path_factory.mktemp("regions")
    (root / "data").mkdir()
    (root / "look.yaml").write_text(regional.LOOK.replace("FILE", "regions.tsv"))
    (root / "say.yaml").write_text(SAY)
    write_regions(root / "data/regions.tsv", regional.images(IMAGES))
    rows: list[dict[str, object]] = []
    for image in regional.images(IMAGES):
        colour = regional.colour_of(image, regional.leftmost(image))
        rows.append({"image": f"photos/{image.name}.jpg", "colour": colour})
    regional.write_rows(root / "data/look_train.jsonl", [*rows, {"image": "none", "colour": "red"}])
    words = [("red", "rot"), ("green", "grün"), ("blue", "blau"), ("white", "weiß")]
    said: list[dict[str, object]] = [
        {"text": en, "translation": de, "language": "de"} for en, de in words
    ]
    regional.write_rows(root / "data/say_train.jsonl", said)
    specs = [load_task(root / "look.yaml"), load_task(root / "say.yaml")]
    train_tokenizer([word for pair in words for word in pair] * 9, specs, root / "tokenizer", 280)
    (root / "mixture.yaml").write_text(
        "mixture: regions\nversion: 1\ntasks: [{spec: look.yaml}, {spec: say.yaml}]\n"
    )
    (root / "run.yaml").write_text(RUN.format(root=root, engines=ENGINES))
    return root


def learnt(world: Path, output: Path, *more: str) -> Path:
    keys = [f"output={output}", "steps=4", "optimizer.decay=constant", "log_every=1", *MODEL, *more]
    train(load_run(world / "run.yaml", keys), progress=False, resume=output.exists())
    return output


@pytest.fixture(scope="module")
def whole(world: Path) -> Path:
    return learnt(world, world / "whole")


def test_both_tasks_are_learnt_and_the_missing_image_is_told(whole: Path) -> None:
    events = [json.loads(line) for line in (whole / "events.jsonl").read_text().splitlines()]
    tasks = [event["task"] for event in events if event["event"] == "step"]
    assert sorted(tasks) == ["look", "look", "say", "say"]
    assert "no file of features has the image 'none'" in json.dumps(events)


def test_a_resumed_run_is_the_one_that_never_stopped(world: Path, whole: Path) -> None:
    halves = learnt(world, world / "halves", "steps=2")
    learnt(world, halves)
    expected, found = (load_file(each / "model/model.safetensors") for each in (whole, halves))
    assert all(found[name].equal(weight) for name, weight in expected.items())


def test_a_saved_model_reads_regions_that_a_row_holds(world: Path, whole: Path) -> None:
    model = UnifiedVL.from_pretrained(whole / "model")
    config = model.model.config
    assert config.region_token_ids == list(region_ids(model.codec.vocabulary))
    image = regional.image(3)
    arrays = {
        "features": image.features_RF,
        "boxes": image.boxes_R4,
        "image_w": image.size[0],
        "image_h": image.size[1],
        "classes": image.classes_R,
    }
    found = model.predict("look", regions=arrays)
    assert found.text is not None and found.score is not None
    write_regions(world / "data/npz", [image])
    of_file = model.predict("look", regions=world / f"data/npz/{image.name}.npz")
    assert of_file.text == found.text
    with pytest.raises(UserError, match="features have 3 numbers; expected 8"):
        model.predict("look", regions={**arrays, "features": image.features_RF[:, :3]})


def test_a_model_without_regions_is_refused_at_the_start(world: Path) -> None:
    run = load_run(world / "run.yaml", [f"output={world / 'none'}"])
    with pytest.raises(UserError, match=r"reads no regions; expected model\.region_features"):
        train(run, progress=False)


def test_a_task_that_hides_nothing_is_refused_at_its_key(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hides no regions; expected a field of kind regions"):
        (tmp_path / "look.yaml").write_text((world / "look.yaml").read_text())
        (tmp_path / "m.yaml").write_text(
            "mixture: m\nversion: 1\ntasks: [{spec: look.yaml, masked_region_features: 1.0}]\n"
        )
        load_mixture(tmp_path / "m.yaml")


def test_two_ranks_learn_at_zero_3_as_at_zero_0(world: Path, tmp_path: Path) -> None:
    """By turns with a task without regions, whose steps must not apply an old gradient again; with
    heads that guess hidden regions in the others."""
    hiding = "{spec: look.yaml, masked_region_features: 1.0, masked_region_classes: 0.5}"
    for name, old, new in (
        ("look.yaml", "most: 3", "most: 3, hide: 0.4"),
        ("say.yaml", "", ""),
        ("mixture.yaml", "{spec: look.yaml}", hiding),
        ("run.yaml", "", ""),
    ):
        (tmp_path / name).write_text((world / name).read_text().replace(old, new))
    keys = ["steps=4", "optimizer.decay=constant", "model.dropout_rate=0.0", *MODEL]
    run_ranks(WORKER, tmp_path / "run.yaml", tmp_path, *STAGES, *keys)
    one, three = (load_file(tmp_path / s.stem / "model/model.safetensors") for s in STAGES)
    assert one.keys() == three.keys() >= {"region_heads.features.weight"}
    for name in one:
        torch.testing.assert_close(three[name], one[name], rtol=1e-3, atol=2e-5, msg=name)
