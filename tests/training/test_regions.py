"""A run on regions and texts: it learns from both, goes on as if never stopped, and answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests import regional
from tests.processes import run_ranks
from tests.training.conftest import RUN, SAY
from unified_vl import UnifiedVL
from unified_vl.authoring.checking.check import check_paths
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
    f"model.region_attributes={len(regional.COLOURS)}",
)
HIDING = "{spec: look.yaml, masked_region_features: 1.0, masked_region_classes: 0.5}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run.yaml` and all that it names."""
    root = tmp_path_factory.mktemp("regions")
    (root / "data").mkdir()
    (root / "look.yaml").write_text(regional.LOOK.replace("FILE", "regions.tsv"))
    (root / "say.yaml").write_text(SAY)
    write_regions(root / "data/regions.tsv", regional.images(IMAGES))
    write_regions(root / "data/told", regional.images(IMAGES, labels=True))
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


def hiding(world: Path, folder: Path, file: str) -> Path:
    """The run of a task that hides regions of a file, and guesses their features and classes."""
    folder.mkdir(exist_ok=True)
    for name, changes in (
        ("look.yaml", {"most: 3": "most: 3, hide: 0.4", "regions.tsv": file}),
        ("say.yaml", {}),
        ("mixture.yaml", {"{spec: look.yaml}": HIDING}),
        ("run.yaml", {}),
    ):
        text = (world / name).read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
    return folder


def events_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]


def learnt(world: Path, output: Path, *more: str) -> Path:
    keys = [f"output={output}", "steps=4", "optimizer.decay=constant", "log_every=1", *MODEL, *more]
    train(load_run(world / "run.yaml", keys), progress=False, resume=output.exists())
    return output


@pytest.fixture(scope="module")
def whole(world: Path) -> Path:
    return learnt(world, world / "whole")


def test_both_tasks_are_learnt_and_the_missing_image_is_told(whole: Path) -> None:
    events = events_of(whole)
    tasks = [event["task"] for event in events if event["event"] == "step"]
    assert sorted(tasks) == ["look", "look", "say", "say"]
    assert "no file of features has the image 'none'" in json.dumps(events)


def test_a_resumed_run_is_the_one_that_never_stopped(world: Path, whole: Path) -> None:
    halves = learnt(world, world / "halves", "steps=2")
    learnt(world, halves)
    assert_equal_models(whole, halves)


def assert_equal_models(whole: Path, halves: Path) -> None:
    expected, found = (load_file(each / "model/model.safetensors") for each in (whole, halves))
    assert expected["encoder.regions.attributes"].shape == (len(regional.COLOURS), 32)
    assert all(found[name].equal(weight) for name, weight in expected.items())


def test_what_a_file_says_of_all_classes_is_what_is_guessed(world: Path, tmp_path: Path) -> None:
    """The same regions, of a file without whole distributions and of one with them; a run that goes
    on is the one that never stopped."""
    found = {}
    for file in ("regions.tsv", "told"):
        changed = hiding(world, tmp_path / Path(file).stem, file)
        whole = learnt(changed, changed / "whole")
        found[file] = [each for each in events_of(whole) if "masked_region_classes" in each]
    halves = learnt(changed, changed / "halves", "steps=2")
    learnt(changed, halves)
    assert_equal_models(whole, halves)
    spread, told = found["regions.tsv"][0], found["told"][0]
    assert told["loss"] == spread["loss"]  # of the same weights and batch
    assert told["masked_region_features"] == spread["masked_region_features"]
    assert abs(told["masked_region_classes"] - spread["masked_region_classes"]) > 1e-3


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
        "attributes": image.attributes_R,
    }
    found = model.predict("look", regions=arrays)
    assert found.text is not None and found.score is not None
    write_regions(world / "data/npz", [image])
    of_file = model.predict("look", regions=world / f"data/npz/{image.name}.npz")
    assert of_file.text == found.text
    with pytest.raises(UserError, match="features have 3 numbers; expected 8"):
        model.predict("look", regions={**arrays, "features": image.features_RF[:, :3]})
    with pytest.raises(
        UserError, match=r"the attribute 1[0-2]; expected below 4, model\.region_attrib"
    ):
        model.predict("look", regions={**arrays, "attributes": image.attributes_R + 9})


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
    hiding(world, tmp_path, "told")
    keys = ["steps=4", "optimizer.decay=constant", "model.dropout_rate=0.0", *MODEL]
    run_ranks(WORKER, tmp_path / "run.yaml", tmp_path, *STAGES, *keys)
    one, three = (load_file(tmp_path / s.stem / "model/model.safetensors") for s in STAGES)
    assert one.keys() == three.keys() >= {"region_heads.features.weight"}
    for name in one:
        torch.testing.assert_close(three[name], one[name], rtol=1e-3, atol=2e-5, msg=name)


def test_broken_probabilities_are_found_before_training_and_left_out_of_it(
    world: Path, tmp_path: Path
) -> None:
    changed = hiding(world, tmp_path / "hiding", "broken")
    broken, data = world / "data/broken", world / "data"
    shutil.copytree(data / "told", broken)
    with np.load(broken / "picture_3.npz") as file:
        arrays = dict(file)
    np.savez(broken / "picture_3.npz", **{**arrays, "soft_labels": arrays["soft_labels"] / 2})
    said = "has soft_labels that are no probabilities: a sum of 0.5"
    found = check_paths([changed / "look.yaml"], data=data, leakage=False)
    assert [each for each in map(str, found.findings) if said in each and "picture_3" in each]
    learnt(changed, changed / "out", "steps=14", "batch_size=16")
    assert said in json.dumps(events_of(changed / "out"))
    plain = (changed / "mixture.yaml").read_text().replace(", masked_region_classes: 0.5", "")
    (changed / "mixture.yaml").write_text(plain)
    learnt(changed, changed / "unread", "steps=14", "batch_size=16")  # nothing asks for them
    assert said not in json.dumps(events_of(changed / "unread"))


def with_teacher(teacher: Path, learnt: str = "logits: 1.0, hidden: 0.5, attention: 0.5") -> str:
    return f"teacher={{model: {teacher}, {learnt}}}"


@pytest.mark.parametrize("packing", ["false", "true"])
def test_a_teacher_reads_the_regions_that_its_student_reads(
    packing: str, world: Path, whole: Path, tmp_path: Path
) -> None:
    """Also those that are hidden, which both are not shown; a teacher may know fewer of their
    names."""
    plain = learnt(world, tmp_path / "plain", "model.region_attributes=null", "seed=5")
    changed = hiding(world, tmp_path / "hiding", "told")
    for teacher in (whole / "model", plain / "model"):
        output = tmp_path / f"of_{teacher.parent.name}"
        learnt(changed, output, with_teacher(teacher), f"packing={packing}", "seed=7")
        losses = [each for each in events_of(output) if each.get("task") == "look"]
        assert all(each["teacher_logits"] > 0 for each in losses if each["event"] == "step")
    own = load_file(output / "model/model.safetensors")
    untaught = learnt(changed, tmp_path / "untaught", f"packing={packing}", "seed=7")
    other = load_file(untaught / "model/model.safetensors")
    assert not own["encoder.regions.features.weight"].equal(
        other["encoder.regions.features.weight"]
    )


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("model.region_attributes=null",), "attributes of regions: 4, not 0"),
        (("model.region_classes=null",), "classes of regions: 4, not 0"),
        (("model.region_classes=9",), "classes of regions: 4, not 9"),
        (("model.region_features=9",), "numbers of a region's feature: 8, not 9"),
    ],
)
def test_a_teacher_of_other_regions_is_refused(
    keys: tuple[str, ...], says: str, world: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"cannot teach this model: {says}") as told:
        learnt(world, tmp_path / "out", with_teacher(whole / "model", "logits: 1.0"), *keys)
    assert told.value.field == "teacher.model"
    assert not (tmp_path / "out").exists()


def test_a_teacher_without_regions_is_refused(world: Path, whole: Path, tmp_path: Path) -> None:
    """It would read nothing but their places."""
    saved = tmp_path / "saved"
    shutil.copytree(whole / "model", saved)
    config = json.loads((saved / "config.json").read_text())
    for key in ("region_features", "region_classes", "region_attributes"):
        config[key] = None
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="numbers of a region's feature: 0, not 8"):
        learnt(world, tmp_path / "out", with_teacher(saved, "logits: 1.0"))
