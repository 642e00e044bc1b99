"""docs/extending.md: what its code registers is trained with, and is known wherever keys are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import ENGINES
from unified_vl import OptimizerKind, Run, UnifiedVL, UserError, load_run, train
from unified_vl.authoring.reference import pages
from unified_vl.model.image_encoders import registry as encoders
from unified_vl.specs.reading.document import Part
from unified_vl.specs.reading.schema import editor_schemas, json_schemas
from unified_vl.specs.runs import augment as augmentations
from unified_vl.training.balancing import registry as balances
from unified_vl.training.build import build
from unified_vl.training.objectives import registry as objectives
from unified_vl.training.optimizers import registry as optimizers
from unified_vl.training.record.fingerprints import fingerprints
from unified_vl.training.schedules import registry as schedules

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## (.+)\n", PAGE, flags=re.M)[1:]


def block(title: str, kind: str) -> str:
    """The first fenced block of a kind in a section of the page."""
    text = SECTIONS[2 * SECTIONS[::2].index(title) + 1]
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, flags=re.M | re.S)
    assert found, f"{title} has no block of {kind}"
    return found[1]


def register(title: str) -> dict[str, Any]:
    """Run the code of a section; what it defines."""
    names: dict[str, Any] = {}
    exec(compile(block(title, "python"), f"docs/extending.md, {title}", "exec"), names)
    return names


def a_run(squares: Path, output: Path, **changes: Any) -> Run:
    return load_run(
        squares / "run.yaml", [f"output={output}", *(f"{k}={v}" for k, v in changes.items())]
    )


def steps_of(output: Path) -> list[dict[str, Any]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == "step"]


def losses(output: Path) -> list[float]:
    return [event["loss"] for event in steps_of(output)]


def known(where: str, key: str) -> bool:
    """Whether the schemas, those for editors and docs/keys.md have a key."""
    whole, editors, page = json_schemas()[where], editor_schemas()[where], pages()["keys.md"]
    return key in json.dumps(whole) and key in json.dumps(editors) and f"`{key}`" in page


@pytest.fixture
def mosaic() -> Iterator[dict[str, Any]]:
    yield register("Add an image encoder")
    encoders.unregister("mosaic")
    assert not known("run", "tiles")


VISION = "{kind: mosaic, image_size: [8, 8], tiles: 4}"


def test_an_encoder_is_trained_saved_and_opened(
    mosaic: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert VISION in block("Add an image encoder", "yaml")
    run = a_run(squares, tmp_path / "run", **{"model.vision": VISION})
    model = UnifiedVL.from_pretrained(train(run, progress=False))
    assert len(losses(run.output)) == run.steps
    weights = dict(model.model.encoder.vision.features.named_parameters())
    assert weights["1.weight"].shape == (32, 3, 1, 1)
    assert model.model.config.image_tokens == 16
    assert model.predict("see", image=squares / "data/red.png").text is not None


def test_the_keys_of_an_encoder_are_keys_as_others(
    mosaic: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert known("run", "tiles")
    for vision, said in {
        "{kind: mosaik}": "kind: found 'mosaik'; expected .*; did you mean 'mosaic'",
        "{kind: mosaic, tiles: x}": "tiles: found 'x'; expected a whole number",
        "{kind: mosaic, tils: 3}": "tils: is not a known key; did you mean 'tiles'",
        "{kind: stem, tiles: 3}": "tiles: an image branch of kind 'stem' does not read this",
        "{kind: mosaic, channels: [16]}": "channels: an image branch of kind 'mosaic' does not",
        "{kind: mosaic, image_size: [3, 3], tiles: 4}": "tiles: found 4; expected as many as",
    }.items():
        with pytest.raises(UserError, match=said):
            a_run(squares, tmp_path, **{"model.vision": vision})


def load_with(squares: Path, tmp_path: Path, text: str, **changes: Any) -> Run:
    """A run of a mixture with this text, beside the specs that it names."""
    mixture = tmp_path / "mixture.yaml"
    for name in ("see.yaml", "say.yaml"):
        (tmp_path / name).write_text((squares / name).read_text(encoding="utf-8"), encoding="utf-8")
    mixture.write_text("mixture: mine\nversion: 1\n" + text, encoding="utf-8")
    return a_run(squares, tmp_path / "run", mixture=mixture, **changes)


@pytest.fixture
def doubt() -> Iterator[dict[str, Any]]:
    yield register("Add an objective")
    objectives.unregister("doubt")
    assert not known("mixture", "doubt")


def test_an_objective_is_trained_for(doubt: dict[str, Any], squares: Path, tmp_path: Path) -> None:
    assert known("mixture", "doubt")
    text = "tasks:\n  - {spec: see.yaml, contrast: 0.1, doubt: 0.1}\n  - {spec: say.yaml}\n"
    assert "{spec: see.yaml, doubt: 0.1}" in block("Add an objective", "yaml")
    run = load_with(squares, tmp_path, text)
    train(run, progress=False)
    for event in steps_of(run.output):
        beside = {key for key in ("contrast", "doubt") if key in event}
        assert beside == ({"contrast", "doubt"} if event["task"] == "see" else set())
    told = [event["doubt"] for event in steps_of(run.output) if "doubt" in event]
    assert all(-10 < value < 0 for value in told)  # minus the entropy, in nats
    without = load_with(squares, tmp_path, text.replace(", doubt: 0.1", ""))
    train(Run(**{**dict(without), "output": tmp_path / "without"}), progress=False)
    assert losses(run.output)[0] == losses(tmp_path / "without")[0]
    assert losses(run.output)[1:] != losses(tmp_path / "without")[1:]
    with pytest.raises(UserError, match=r"tasks\.0\.doubt: found 11; expected less than"):
        load_with(squares, tmp_path, text.replace("doubt: 0.1", "doubt: 11"))
    with pytest.raises(UserError, match=r"tasks\.0\.dout: is not a known key; did you mean 'doubt"):
        load_with(squares, tmp_path, text.replace("doubt:", "dout:"))


@pytest.fixture
def blocks() -> Iterator[dict[str, Any]]:
    yield register("Add a schedule")
    schedules.unregister("blocks")
    assert not known("mixture", "block")


def test_a_schedule_decides_whose_turn_it_is(
    blocks: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert known("mixture", "block")
    schedule = block("Add a schedule", "yaml")
    text = f"tasks:\n  - {{spec: see.yaml, batches: 2}}\n  - {{spec: say.yaml}}\n{schedule}"
    run = load_with(squares, tmp_path, text, steps=8)
    train(run, progress=False)
    turns = [event["task"] for event in steps_of(run.output)]
    assert turns == ["see"] * 4 + ["say"] * 2 + ["see"] * 2
    for changed, said in {
        "{kind: block}": "schedule.kind: found 'block'; expected .*; did you mean 'blocks'",
        "{kind: blocks, block: 0}": "schedule.block: found 0; expected greater than or equal to 1",
        "{kind: sampled, block: 2}": "schedule.block: a schedule of kind 'sampled' .* `block` for",
        "{kind: blocks, order: seeded}": "schedule.order: a schedule of kind 'blocks'",
    }.items():
        with pytest.raises(UserError, match=said):
            load_with(squares, tmp_path, text.replace("{kind: blocks, block: 2}", changed))


@pytest.fixture
def fading() -> Iterator[dict[str, Any]]:
    yield register("Add a balance")
    balances.unregister("fading")
    assert not known("mixture", "half_life")


def test_a_balance_multiplies_what_tasks_weigh(
    fading: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert known("mixture", "half_life")
    tasks = "tasks:\n  - {spec: see.yaml, batches: 2}\n  - {spec: say.yaml}\n"
    run = load_with(squares, tmp_path, tasks + block("Add a balance", "yaml"), steps=5)
    train(run, progress=False)
    told = [(event["task"], event["balance"]) for event in steps_of(run.output)]
    half = 0.5**0.5
    assert told[:3] == [("see", 1), ("say", 1), ("see", half)]
    assert told[3:] == [("see", 0.5), ("say", half)]
    with pytest.raises(UserError, match=r"balance\.decay: .*'fading' does not read this"):
        load_with(squares, tmp_path, tasks + "balance: {kind: fading, decay: 0.5}\n")


@pytest.fixture
def sgd() -> Iterator[dict[str, Any]]:
    yield register("Add an optimiser")
    optimizers.unregister("sgd")
    assert not known("run", "momentum")


@pytest.mark.parametrize("engine", ["zero0", "zero2", "zero1_bf16"])
def test_an_optimiser_updates_and_goes_on_from_a_checkpoint(
    sgd: dict[str, Any], squares: Path, tmp_path: Path, engine: str
) -> None:
    assert known("run", "momentum")
    assert "{name: sgd, lr: 0.1, momentum: 0.5}" in block("Add an optimiser", "yaml")
    changes = {
        "optimizer": "{name: sgd, lr: 0.1, momentum: 0.5, decay: constant}",
        "engine": ENGINES / f"{engine}.json",
    }
    whole = a_run(squares, tmp_path / "whole", **changes)
    train(whole, progress=False)
    train(a_run(squares, tmp_path / "run", steps=4, **changes), progress=False)
    train(a_run(squares, tmp_path / "run", **changes), resume=True, progress=False)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert len(set(losses(tmp_path / "run"))) == whole.steps


def test_the_keys_of_an_optimiser_are_its_own(
    sgd: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    for optimizer, said in {
        "{name: sdg}": "optimizer.name: found 'sdg'; expected .*; did you mean 'sgd'",
        "{name: adamw, momentum: 0.5}": "the optimiser 'adamw' does not read this; expected",
        "{name: sgd, betas: [0.9, 0.9]}": "the optimiser 'sgd' does not read this; expected 'mom",
        "{name: sgd, momentum: 1.5}": "optimizer.momentum: found 1.5; expected less than 1",
    }.items():
        with pytest.raises(UserError, match=said):
            a_run(squares, tmp_path, optimizer=optimizer)


@pytest.fixture
def posterize() -> Iterator[dict[str, Any]]:
    yield register("Add an augmentation")
    augmentations.unregister("posterize")
    assert not known("run", "bits")


def test_an_augmentation_changes_what_training_sees(
    posterize: dict[str, Any], squares: Path, tmp_path: Path
) -> None:
    assert known("run", "bits")
    assert "{name: posterize, bits: 2, rate: 0.5}" in block("Add an augmentation", "yaml")
    plain = a_run(squares, tmp_path / "run")
    run = a_run(squares, tmp_path / "run", augment="[{name: posterize, bits: 1}]")
    ones, others = build(plain), build(run)
    stored = fingerprints(plain, ones)
    assert {k for k, v in fingerprints(run, others).items() if stored.get(k) != v} == {
        "augment of task see"
    }
    for split, differs in (("streams", True), ("validation", False)):
        one = getattr(ones, split)["see"].batch(0).pixel_values_NCHW
        other = getattr(others, split)["see"].batch(0).pixel_values_NCHW
        assert one.equal(other) != differs
    for line, said in {
        "{name: posterise}": "augment.0.name: found 'posterise'; .*; did you mean 'posterize'",
        "{name: posterize, bits: 9}": "augment.0.bits: found 9; expected less than or equal to 8",
        "{name: blur, bits: 2}": "augment.0.bits: the augmentation 'blur' does not read this",
    }.items():
        with pytest.raises(UserError, match=said):
            a_run(squares, tmp_path, augment=f"[{line}]")


REFUSED = [
    # (keys of the toy, what is wrong with it)
    ("Add an image encoder", encoders, "there is an image encoder 'mosaic' already"),
    ("Add an objective", objectives, "there is an objective 'doubt' already"),
    ("Add a schedule", schedules, "there is a schedule 'blocks' already"),
    ("Add an optimiser", optimizers, "there is an optimiser 'sgd' already"),
    ("Add an augmentation", augmentations, "there is an augmentation 'posterize' already"),
]


@pytest.mark.parametrize(("title", "registry", "said"), REFUSED)
def test_a_name_is_registered_once(title: str, registry: Any, said: str) -> None:
    register(title)
    with pytest.raises(ValueError, match=said):
        register(title)
    registry.unregister(said.split("'")[1])


class Mandatory(Part):
    needed: int


class Taken(Part):
    lr: float = 1.0


class Other(Part):
    eps: str = "small"


BAD_KEYS = [
    (Mandatory, "the key 'needed' of Mandatory (test_extending.py) needs a default"),
    (Taken, "the key 'lr' of Taken (test_extending.py) means something else already"),
    (Other, "the key 'eps' of Other (test_extending.py) means something else already"),
]


@pytest.mark.parametrize(("keys", "said"), BAD_KEYS)
def test_keys_that_cannot_be_taken_in(keys: type[Part], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        optimizers.register(OptimizerKind("bad", keys, lambda groups, spec: None))
    assert "bad" not in optimizers.OPTIMIZERS


def install(folder: Path, code: str) -> None:
    """What pip leaves of a package with a plugin: its module and its entry points."""
    (folder / "my_plugin.py").write_text(code, encoding="utf-8")
    info = folder / "my_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[unified_vl.plugins]\nmine = my_plugin\n")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "unified_vl", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_command_line_knows_what_an_installed_package_registers(
    squares: Path, tmp_path: Path
) -> None:
    assert "unified_vl.plugins" in PAGE
    install(tmp_path, block("Add an optimiser", "python"))
    run = tmp_path / "run.yaml"
    text = (squares / "run.yaml").read_text(encoding="utf-8")
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares / 'mixture.yaml'}")
    optimizer = "optimizer: {name: sgd, momentum: much}\n"
    run.write_text(re.sub(r"optimizer: .*\n", optimizer, text), encoding="utf-8")
    found = command(tmp_path, "check", str(run))
    assert found.returncode == 2
    assert "optimizer.momentum: found 'much'; expected a number" in found.stdout


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    install(tmp_path, "import no_such_module\n")
    found = command(tmp_path, "check", "nowhere.yaml")
    assert found.returncode == 2
    assert (
        "the installed package 'my-plugin' cannot be used: ModuleNotFoundError: No module"
        in found.stderr
    )
    assert "Traceback" not in found.stderr
