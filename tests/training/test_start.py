"""A run that starts from another: what is taken, what is new, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.errors import UserError
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.pretrained.architecture import open_start, settled
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.trainer import train

SIZES = "  d_model: 32\n  d_kv: 8\n  d_ff: 48\n  num_layers: 2\n"
SIZES += "  num_decoder_layers: 2\n  num_heads: 4\n"
VISION = "  vision: {kind: patches, image_size: [8, 8], patch_size: 4}\n"


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that has ended."""
    output = tmp_path_factory.mktemp("trained") / "output"
    train(load_run(squares / "run.yaml", [f"output={output}"]), progress=False)
    return output


def run_from(squares: Path, source: Path, folder: Path, keys: str = "", *more: str) -> Run:
    """The run of squares that starts from `source` and says nothing else of its model."""
    text = (squares / "run.yaml").read_text().replace(SIZES, "").replace(VISION, "")
    text = text.replace("  dropout_rate: 0.1\n", f"  from: {source}\n{keys}")
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares / 'mixture.yaml'}")
    (folder / "run.yaml").write_text(text)
    return load_run(folder / "run.yaml", [f"output={folder / 'output'}", *more])


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def test_the_same_vocabulary_takes_every_weight(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    run = run_from(squares, trained / "model", tmp_path)
    pretrained = open_start(run)
    parts = build(settled(run, pretrained), pretrained)
    saved = weights_of(trained / "model")
    state = parts.model.state_dict()
    assert state.keys() == saved.keys()
    for name, weight in saved.items():
        assert torch.equal(state[name], weight), name
    assert parts.model.training and parts.model.config.dropout_rate == 0.1
    assert parts.start is not None
    assert (parts.start.new, parts.start.fresh, parts.start.unused) == ([], [], [])


def test_a_run_says_what_it_started_from(
    squares: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run_from(squares, trained / "model", tmp_path, "", "steps=2"))
    assert f"started from the model {trained / 'model'}: " in capsys.readouterr().err
    first = json.loads((tmp_path / "output" / "events.jsonl").read_text().splitlines()[0])
    assert first["event"] == "started_from" and first["rows_new_count"] == 0
    facts = load_model(tmp_path / "output" / "model").facts
    assert facts["started_from"]["fingerprint"] == first["fingerprint"]


CONTRADICTIONS = {
    "  d_model: 64\n": ("model.d_model", "found 64, but the model .* has 32"),
    "  scale_attention: false\n": ("model.scale_attention", "found false, but .* has true"),
    "  vision: {kind: stem}\n": ("model.vision.kind", 'found "stem", but .* has "patches"'),
    "  vision: {patch_size: 8}\n": ("model.vision.patch_size", "found 8, but .* has 4"),
    "  vision: {channels: [16]}\n": ("model.vision.channels", "of kind .patches. does not read"),
    "  vision: {image_size: [10, 8]}\n": ("model.vision.image_size", "cannot be cut into"),
}


@pytest.mark.parametrize("keys", CONTRADICTIONS)
def test_a_key_that_contradicts_the_weights_is_refused(
    squares: Path, trained: Path, tmp_path: Path, keys: str
) -> None:
    run = run_from(squares, trained / "model", tmp_path, keys)
    field, told = CONTRADICTIONS[keys]
    with pytest.raises(UserError, match=told) as caught:
        settled(run, open_start(run))
    assert caught.value.field == field
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "run.yaml"), 13)


def test_the_same_value_may_be_given_and_what_weights_do_not_need_may_differ(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    keys = "  d_model: 32\n  dropout_rate: 0.25\n  vision: {image_size: [16, 8]}\n"
    run = run_from(squares, trained / "model", tmp_path, keys)
    pretrained = open_start(run)
    parts = build(settled(run, pretrained), pretrained)
    config = parts.model.config
    assert (config.d_model, config.dropout_rate, config.image_size) == (32, 0.25, (16, 8))
    assert parts.start is not None and parts.start.resized == ["encoder.vision.row"]
    row = weights_of(trained / "model")["encoder.vision.row"]
    resized = parts.model.state_dict()["encoder.vision.row"]
    assert resized.shape == (4, 32)
    assert torch.allclose(resized[0], row[0]) and torch.allclose(resized[-1], row[-1])
    assert torch.allclose(resized[1], 0.75 * row[0] + 0.25 * row[1], atol=1e-6)


def test_the_saved_configuration_does_not_name_the_source(trained: Path) -> None:
    names = row_names(*load_tokenizer(trained / "model" / "tokenizer"))
    assert "from" not in json.loads((trained / "model" / "config.json").read_text())
    assert len(set(names)) == len(names) and None not in names
