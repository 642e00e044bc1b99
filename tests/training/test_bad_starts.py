"""What a training cannot start from: one message that names the file and the key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.trainer import train

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("saved") / "output"
    run = load_run(squares / "run.yaml", [f"output={output}", "steps=1"])
    return train(run, progress=False)


def edit(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        state = load_file(model / WEIGHTS)
        change(state)
        save_file(state, model / WEIGHTS)

    return spoil


def rename(state: dict[str, torch.Tensor]) -> None:
    state["decoder.blocks.0.feed.wo.wieght"] = state.pop("decoder.blocks.0.feed.wo.weight")


def truncate(model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(content[: len(content) // 2])


def pickle_only(model: Path) -> None:
    (model / WEIGHTS).rename(model / "pytorch_model.bin")


def shards(second: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        state = load_file(model / WEIGHTS)
        names = sorted(state)
        save_file({name: state[name] for name in names[::2]}, model / "a.safetensors")
        save_file({name: state[name] for name in names[1::2]}, model / "b.safetensors")
        (model / WEIGHTS).unlink()
        index = {name: second if i % 2 else "a.safetensors" for i, name in enumerate(names)}
        text = json.dumps({"weight_map": index})
        (model / "model.safetensors.index.json").write_text(text)

    return spoil


def other_tokenizer(model: Path) -> None:
    path = model / "tokenizer/vocabulary.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "location_bins": 300}))


def no_number(state: dict[str, torch.Tensor]) -> None:
    state["encoder.norm.weight"][3] = float("nan")


def configured(**keys: object) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        values = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**values, **keys}))

    return spoil


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a weight is missing": (
        edit(rename),
        r"wo.weight' is missing; .*did you mean 'decoder.blocks.0.feed.wo.wieght'",
    ),
    "a weight too many": (
        edit(lambda state: state.update({"encoder.extra": torch.ones(2)})),
        "the weight 'encoder.extra' is none of this model",
    ),
    "a shape": (
        edit(lambda state: state.update({"encoder.norm.weight": torch.ones(7)})),
        r"'encoder.norm.weight' has shape \[7\]; expected \[32\], as the keys of the model say",
    ),
    "another width": (configured(d_ff=64), "has shape .*as the keys of the model say"),
    "another backbone": (
        configured(vision={"kind": "stem", "image_size": [16, 16], "channels": [16]}),
        "the weight 'encoder.vision.features.*' is missing",
    ),
    "no number": (edit(no_number), "'encoder.norm.weight' holds NaN or infinity"),
    "a half file": (truncate, f"{WEIGHTS}: these weights cannot be read: "),
    "no weights": (lambda model: (model / WEIGHTS).unlink(), "there are no weights here"),
    "adapters alone": (
        lambda model: (model / WEIGHTS).rename(model / "adapter_model.safetensors"),
        "these are adapters and not a whole model.*docs/fine_tuning.md",
    ),
    "a pickle": (pickle_only, "pytorch_model.bin alone, .*save_pretrained writes that file"),
    "a shard that is missing": (shards("c.safetensors"), "c.safetensors: the file is missing"),
    "a shard elsewhere": (shards("../b.safetensors"), "weight_map: names no files beside it"),
    "another vocabulary": (other_tokenizer, "rows of the embedding"),
    "no tokenizer": (lambda model: shutil.rmtree(model / "tokenizer"), "no vocabulary here"),
    "no configuration": (lambda model: (model / "config.json").unlink(), "no model here"),
    "an unknown key": (configured(d_modell=3), "config.json.*d_modell: is not a known key"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_started_from_is_refused(
    squares: Path, saved: Path, tmp_path: Path, name: str
) -> None:
    spoil, told = BAD[name]
    shutil.copytree(saved, tmp_path / "model")
    spoil(tmp_path / "model")
    text = (squares / "run.yaml").read_text()
    start, _, rest = text.partition("model:\n")
    rest = rest[rest.index("optimizer:") :]
    start = start.replace("mixture.yaml", str(squares / "mixture.yaml"))
    (tmp_path / "run.yaml").write_text(f"{start}model: {{from: model}}\n{rest}")
    with pytest.raises(UserError, match=told) as caught:
        build(beginning_of(load_run(tmp_path / "run.yaml"), resume=False))
    assert str(tmp_path) in str(caught.value)


def test_shards_are_read_as_one(squares: Path, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "model")
    shards("b.safetensors")(tmp_path / "model")
    run = load_run(squares / "run.yaml", [f"model.from={tmp_path / 'model'}"])
    state = build(beginning_of(run, resume=False)).model.state_dict()
    assert all(torch.equal(state[n], w) for n, w in load_file(saved / WEIGHTS).items())
