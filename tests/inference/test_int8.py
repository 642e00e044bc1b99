"""unified_vl/model/int8.py: near the model, smaller on disk, and the same when loaded again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from tests.inference.test_as_t5 import ARCHITECTURES, random_model
from tests.tiny import Tiny
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.int8_directory import write_int8
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.int8 import Int8TiedHead, in_int8, quantized
from unified_vl.model.pretrained.opening import open_pretrained


def test_each_output_keeps_its_own_scale() -> None:
    weight_NK = torch.randn(5, 64) * torch.logspace(-6, 3, 5)[:, None]
    weight_NK[2] = 0
    whole_NK, scale_N = quantized(weight_NK)
    back_NK = whole_NK * scale_N[:, None]
    assert ((back_NK - weight_NK).abs() <= scale_N[:, None] / 2 * 1.001).all()
    assert whole_NK.abs().max() == 127


@pytest.mark.parametrize("name", ["usual", "tied, scaled", "ungated", "umt5"])
@torch.no_grad()
def test_logits_are_near_and_the_same_when_loaded_again(
    tiny: Tiny, name: str, tmp_path: Path
) -> None:
    size = tiny.saved.codec.vocabulary.size
    model = random_model(size, **ARCHITECTURES[name]).requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    int8 = in_int8(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.config.to_dict().get("int8")
    ids = torch.randint(3, size, (3, 20), generator=torch.Generator().manual_seed(0))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "decoder_input_ids": ids}
    expected, found = model(**given).logits, int8(**given).logits
    cosine = torch.cosine_similarity(expected, found, dim=-1)
    assert cosine.min() > 0.99 and not torch.equal(expected, found)
    write_int8(replace(tiny.saved, model=model), tmp_path / "int8")
    again = load_model(tmp_path / "int8").model
    assert torch.equal(again(**given).logits, found)
    assert isinstance(again.lm_head, Int8TiedHead) == model.config.tie_word_embeddings
    with safe_open(tmp_path / "int8/model.safetensors", framework="pt") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert kinds["encoder.embedding.weight"] == "I8"
    assert ("lm_head.weight" in kinds) != model.config.tie_word_embeddings


def test_the_command_loads_no_deepspeed(model_directory: Path, tmp_path: Path) -> None:
    """It trains nothing, and what DeepSpeed says when it is imported is no news of a model."""
    program = (
        "import sys; sys.argv[0] = 'unified-vl'\n"
        "from unified_vl.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'deepspeed' not in sys.modules"
    )
    words = ["convert", "model", str(model_directory), "--to", "int8"]
    command = [sys.executable, "-c", program, *words, "--output", str(tmp_path / "int8")]
    done = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", f"wrote {tmp_path / 'int8'}\n")


def test_the_commands_write_and_ask_it(tiny: Tiny, model_directory: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    words = ["convert", "model", str(model_directory), "--to", "int8"]
    done = runner.invoke(app, [*words, "--output", str(tmp_path / "int8")])
    assert done.exit_code == 0, done.output
    sizes = [
        (folder / "model.safetensors").stat().st_size
        for folder in (model_directory, tmp_path / "int8")
    ]
    assert sizes[1] < 0.5 * sizes[0]
    asked = ["--task", "tiny_caption", "--language", "fa"]
    asked += ["--image", str(tiny.data / "images/1.png")]
    said = [
        runner.invoke(app, ["predict", str(folder), *asked, *more]).output
        for folder, more in ((model_directory, ["--int8"]), (tmp_path / "int8", []))
    ]
    assert said[0] == said[1] and said[0].strip()


def test_an_int8_model_is_not_learnt_from_nor_written_otherwise(tiny: Tiny, tmp_path: Path) -> None:
    write_int8(tiny.saved, tmp_path / "int8")
    write_int8(load_model(tmp_path / "int8"), tmp_path / "again")  # is itself
    with pytest.raises(UserError, match="a model in int8 learns no more"):
        open_pretrained(tmp_path / "int8")
    words = ["convert", "model", str(tmp_path / "int8"), "--output", str(tmp_path / "t5")]
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, UserError)
    assert "a model in int8 cannot be written as a T5" in str(found.exception)
    weights = UnifiedVL.from_pretrained(tmp_path / "again").fingerprint
    assert weights == UnifiedVL.from_pretrained(tmp_path / "int8").fingerprint
