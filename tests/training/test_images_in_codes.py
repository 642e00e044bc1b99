"""Tasks that read and write images in codes: trained from the command line, resumed, asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.painting import TASKS, image_tokenizer, write_world
from tests.training.without_padding import check_tasks
from unified_vl import UnifiedVL
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
RUN = """
run: painting
version: 1
mixture: mixture.yaml
data: {root}
tokenizer: {root}/tokenizer
output: {root}/out
steps: 6
batch_size: 4
model:
  d_model: 16
  d_kv: 8
  d_ff: 16
  num_layers: 1
  num_heads: 2
  code_image_size: [8, 8]
  vision: {{kind: patches, image_size: [16, 16], patch_size: 8}}
optimizer: {{lr: 1.0e-3}}
engine: {engines}/zero0.json
max_source_tokens: 40
max_target_tokens: 20
validation_rows: 4
validate_every: 3
checkpoint_every: 2
"""
pytestmark = pytest.mark.usefixtures("code_cache")
NAMES = ("paint", "complete", "name_it", "repaint")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world, a mixture and a run, and a tokenizer of the command line."""
    folder = tmp_path_factory.mktemp("painting")
    write_world(folder)
    image_tokenizer().save_pretrained(folder / "images")
    words = ["tokenizer", "train", "--data", str(folder), "--output", str(folder / "tokenizer")]
    words += ["--vocabulary-size", "320", "--image-tokenizer", str(folder / "images")]
    for name in NAMES:
        write_atomically(folder / f"{name}.yaml", TASKS[name])
        words += ["--spec", str(folder / f"{name}.yaml")]
    entries = "".join(f"  - {{spec: {name}.yaml}}\n" for name in NAMES)
    write_atomically(folder / "mixture.yaml", f"mixture: m\nversion: 1\ntasks:\n{entries}")
    write_atomically(folder / "run.yaml", RUN.format(root=folder, engines=ENGINES))
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert "108 image codes" in found.output
    return folder


def make_run(root: Path, output: Path, *overrides: str) -> Run:
    return load_run(root / "run.yaml", [f"output={output}", *overrides])


def test_training_keeps_codes_resumes_exactly_and_draws(
    root: Path, tmp_path: Path, code_cache: Path
) -> None:
    whole = make_run(root, tmp_path / "whole")
    model = train(whole, progress=False)
    assert len(list(code_cache.rglob("*.npy"))) == 5
    first = make_run(root, tmp_path / "half", "steps=4", "optimizer.decay=constant")
    steady = make_run(root, tmp_path / "steady", "steps=6", "optimizer.decay=constant")
    train(first, progress=False)
    rest = make_run(root, tmp_path / "half", "steps=6", "optimizer.decay=constant")
    weights = "model/model.safetensors"
    train(rest, resume=True, progress=False)
    train(steady, progress=False)
    assert (rest.output / weights).read_bytes() == (steady.output / weights).read_bytes()
    answer = UnifiedVL.from_pretrained(model).predict("paint", "de", name="rot")
    assert answer.images[0].size == (8, 8)


def test_codes_and_dropped_fields_are_learnt_without_padding_as_with_it(
    root: Path, tmp_path: Path
) -> None:
    """Also where images are masked, and where names are left out for guidance to compare with."""
    run = make_run(root, tmp_path, "packing=true", "batch_size=8", "model.dropout_rate=0.0")
    painted, *_ = check_tasks(run, *NAMES)
    lengths = painted.attention_mask_BS.sum(1).tolist()
    assert len(set(lengths)) > 1  # of some the name is left out


def test_codes_start_as_the_codebook_has_them(root: Path, tmp_path: Path) -> None:
    """Codes whose vectors are near have embeddings that are nearer than those of others, and
    rows of the head that point the same way."""
    model = build(make_run(root, tmp_path / "out", "model.d_model=64")).model
    start, stop = model.config.code_token_ids
    embedding = model.encoder.embedding.weight[start:stop].detach()
    head = model.lm_head.weight[start:stop].detach()
    assert torch.allclose(head, embedding * 64**-0.5)
    assert float(embedding.std()) == pytest.approx(1.0, abs=0.1)
    vectors = ImageTokenizer.from_pretrained(root / "images").codebook
    apart = torch.cdist(vectors, vectors).flatten().numpy()
    found = torch.cdist(embedding, embedding).flatten().numpy()
    off = ~np.eye(len(vectors), dtype=bool).flatten()
    assert np.corrcoef(apart[off], found[off])[0, 1] > 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.code_image_size=[10, 8]", "10 x 8 pixels cannot be cut into squares of 4"),
        ("max_target_tokens=4", "an image alone takes 4 codes; expected more than 4"),
        ("model.code_token_ids=[0, 9]", "the tokenizer or the mixture decides this"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    root: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        build(make_run(root, tmp_path / "out", override))
