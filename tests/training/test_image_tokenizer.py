from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from unified_vl.cli.main import main
from unified_vl.errors import DiskFull, UserError
from unified_vl.files import write_atomically
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.load import load_image_tokenizer
from unified_vl.training.image_tokenizers import image_tokenizer_training as training
from unified_vl.training.image_tokenizers.image_tokenizer_training import train_image_tokenizer

SHIPPED = sorted((Path(__file__).parents[2] / "task_specs/image_tokenizers").glob("*.yaml"))
SPEC = """\
image_tokenizer: tiny
version: 1
about: Squares of two colours.
data: data
images: ["train/*.png"]
held_out: ["test/*.png"]
output: out
image_size: [16, 16]
model:
  {patch: 2, channels: [8, 16], blocks: 1, groups: 4, latent: 4, attend_in_the_middle: false}
quantizer: {kind: vq, codes: 16}
optimizer: {lr: 3.0e-3, warmup_steps: 2}
steps: 8
batch_size: 4
log_every: 4
checkpoint_every: 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 5)):
        (tmp_path / "data" / split).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (2, 2, 3)).repeat(8, axis=0).repeat(8, axis=1)
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(tmp_path / f"data/{split}/{number}.png")
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def spec(*overrides: str) -> ImageTokenizerSpec:
    return load_image_tokenizer("spec.yaml", overrides)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("losses.adversarial={weight: 0.1, from_step: 2, channels: 4}",),
        ("optimizer.name=adafactor",),
    ],
)
def test_a_resumed_training_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    whole = weights(train_image_tokenizer(spec("output=whole", *overrides)))
    step, stopping = training._step, spec("output=stopped", *overrides)

    def cut(state: Any, number: int, device: str) -> dict[str, float]:
        if number == 5:
            raise KeyboardInterrupt
        return step(state, number, device)

    monkeypatch.setattr(training, "_step", cut)
    with pytest.raises(KeyboardInterrupt):
        train_image_tokenizer(stopping)
    monkeypatch.setattr(training, "_step", step)
    assert (folder / "stopped/checkpoint/step-00000003.safetensors").is_file()
    assert same(whole, weights(train_image_tokenizer(stopping, resume=True)))
    assert not (folder / "stopped/checkpoint").exists()


def test_it_learns(folder: Path) -> None:
    def error(path: Path) -> float:
        tokenizer = ImageTokenizer.from_pretrained(path)
        pixels = np.stack([np.asarray(Image.open(p)) for p in tests])
        return float(np.square(tokenizer.decode(tokenizer.encode(pixels)) - 1.0 * pixels).mean())

    tests = sorted((folder / "data/test").glob("*.png"))
    short = error(train_image_tokenizer(spec("steps=1", "output=short")))
    long = error(train_image_tokenizer(spec("steps=120", "output=long", "log_every=120")))
    assert long < 0.75 * short


def test_a_perceptual_distance_by_weights_at_hand(folder: Path) -> None:
    torch.manual_seed(0)
    backbone = timm.create_model("test_resnet.r160_in1k", features_only=True, pretrained=False)
    save_file(backbone.state_dict(), "backbone.safetensors")
    told = "{backbone: test_resnet.r160_in1k, weights: backbone.safetensors, weight: 0.5}"
    plain = weights(train_image_tokenizer(spec("output=plain")))
    felt = weights(train_image_tokenizer(spec("output=felt", f"losses.perceptual={told}")))
    assert not same(plain, felt)
    with pytest.raises(UserError, match="there is no such file"):
        missing = told.replace("backbone.safetensors", "no.safetensors")
        train_image_tokenizer(spec("output=none", f"losses.perceptual={missing}"))


def test_the_command_trains_reports_and_refuses(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["unified-vl", "image-tokenizer", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert run("train", "spec.yaml", "steps=2") == 0
    page = (folder / "out/report.html").read_text()
    assert page.count("data:image/png;base64") == 2 * 5
    numbers = json.loads((folder / "out/report.json").read_text())
    assert numbers["images"] == 5 and 0 < numbers["codes_used"] <= 100
    capsys.readouterr()
    images = ["--data", "data", "--images", "train/*.png"]
    assert run("report", "out", *images, "--size", "32", "16", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 12
    for words, says in (
        (("train", "spec.yaml"), "out: is not empty; expected a new folder, or --resume"),
        (("train", "spec.yaml", "image_size=[15, 16]"), "cannot be cut into squares of 4 pixels"),
        (("train", "spec.yaml", "quantizer.kind=fsq"), "quantizer.levels: fsq is made of levels"),
        (("train", "spec.yaml", "images=[no/*.png]", "output=x"), "no image is named 'no/*.png'"),
        (("train", "spec.yaml", "images=['../*.png']", "output=x"), "leaves the data root"),
        (("report", "out", *images, "--size", "10", "16"), "10 x 16 pixels cannot be cut"),
        (("report", "data", *images), "there is no image tokenizer here"),
        (("convert", "data", "--output", "x"), "expected a saved VQModel"),
    ):
        assert run(*words) == 2, words
        assert says in capsys.readouterr().err


def test_a_checkpoint_of_another_spec_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_forget", lambda path: None)
    train_image_tokenizer(spec())
    with pytest.raises(UserError, match="the checkpoint is of another spec"):
        train_image_tokenizer(spec("seed=1"), resume=True)


def test_a_training_that_has_ended_is_not_begun_anew(folder: Path) -> None:
    write_atomically(folder / "out" / ".lock", "")  # all that a start which came to nothing left
    found = train_image_tokenizer(spec())
    before = weights(found)
    with pytest.raises(UserError, match="there is a tokenizer, but no checkpoint to go on from"):
        train_image_tokenizer(spec(), resume=True)
    assert same(weights(found), before)


def test_a_full_disk_has_its_own_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors raises its own error, not an OSError."""
    write, calls = training.save_file, []

    def fill(tensors: Any, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise RuntimeError("I/O error: No space left on device (os error 28)")
        write(tensors, path)

    with (
        monkeypatch.context() as patch,
        pytest.raises(DiskFull, match="the one before it is whole"),
    ):
        patch.setattr(training, "save_file", fill)
        train_image_tokenizer(spec())
    whole = train_image_tokenizer(spec("output=whole"))
    assert same(weights(train_image_tokenizer(spec(), resume=True)), weights(whole))


@pytest.mark.parametrize("beside", ["specs", "specs/deep", "."])
def test_paths_are_relative_to_the_file_and_overrides_to_the_working_directory(
    folder: Path, beside: str
) -> None:
    (folder / beside).mkdir(parents=True, exist_ok=True)
    path = folder / beside / "a.yaml"
    up = "../" * (0 if beside == "." else len(Path(beside).parts))
    path.write_text(SPEC.replace("data: data", f"data: {up}data"))
    found = load_image_tokenizer(path)
    assert found.data.resolve() == folder / "data"
    assert found.output.resolve() == folder / beside / "out"
    found = load_image_tokenizer(path, ["data=data", "output=here"])
    assert (found.data, found.output) == (Path("data"), Path("here"))


def test_paths_that_began_at_the_working_directory_are_told(folder: Path) -> None:
    (folder / "specs").mkdir()
    (folder / "specs/a.yaml").write_text(SPEC)
    says = "paths of an image tokenizer's file are .*; expected data: ../data, output: ../out"
    with pytest.raises(UserError, match=says):
        load_image_tokenizer("specs/a.yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_tokenizer_takes_a_step(path: Path, folder: Path) -> None:
    """On small images: its layers and codes are what could be wrong."""
    shipped = load_image_tokenizer(path)
    height = width = 64
    (folder / "big").mkdir()
    for number in range(2):
        Image.effect_noise((width, height), 60).convert("RGB").save(folder / f"big/{number}.png")
    images = '["*.png"]'
    overrides = [
        f"images={images}",
        f"held_out={images}",
        "data=big",
        "output=step",
        "image_size=[64, 64]",
    ]
    small = ["steps=1", "batch_size=1", "checkpoint_every=1", "losses.adversarial.from_step=0"]
    if shipped.losses.adversarial is None:
        small.pop()
    directory = train_image_tokenizer(load_image_tokenizer(path, [*overrides, *small]))
    tokenizer = ImageTokenizer.from_pretrained(directory)
    codes = tokenizer.encode(np.zeros((1, height, width, 3), np.uint8))
    side = tokenizer.downsampling
    assert codes.shape == (1, height // side, width // side)
