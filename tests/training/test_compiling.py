"""Blocks that learn by compiled programs learn what they would without."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch._dynamo.utils import counters
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from tests.processes import run_ranks
from tests.training.backbone_runs import run_of, write_world
from tests.training.test_engine import CONFIGS, SHORT, STAGES, WORKER, numbers
from tests.training.test_trainer import WEIGHTS, events, train_until_killed
from tests.training.without_padding import learn
from unified_vl.authoring.checking.findings import Findings
from unified_vl.authoring.checking.runs import check_run
from unified_vl.decoding.decoders.kept_programs import is_own
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.compiling import compiled_blocks
from unified_vl.training.compiling.compiled_blocks import compile_blocks
from unified_vl.training.compiling.program_cache import FOLDER, keep_programs
from unified_vl.training.trainer import train

STEM = "model.vision={kind: stem, image_size: [32, 32], patch_size: 16, channels: [16, 16]}"
TIMM = "model.vision={kind: timm, backbone: test_vit, image_size: [32, 32], feature_level: -1}"
UMT5 = ("model.bias_per_layer=true", "model.gated=false", "model.activation=relu")
# making programs takes long, and no part of a row says what another does: blocks alone are compiled
ROWS = {
    "padded": (),
    "packing, timm": ("packing=true", TIMM),
    "checkpointed umT5, stem": ("activation_checkpointing=true", STEM, *UMT5),
    "lora": ("lora={rank: 2}",),
    "frozen": ("freeze=[encoder.embedding.*, encoder.vision.*, '*.blocks.0.*']",),
}


@pytest.mark.parametrize("row", ROWS)
def test_losses_and_gradients_are_the_same(
    row: str, squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of batches of other sizes than programs were made from, with and without images, of whose
    sizes none needs a program of its own."""
    run = load_run(squares / "run.yaml", ["model.dropout_rate=0.0", *ROWS[row]])
    parts = build(run)
    model = parts.model.train()
    names = [*model.state_dict()]
    batches = [parts.streams[task].batch(n) for task in ("see", "say") for n in (0, 1)]
    expected = [learn(model, batch, packed=run.packing) for batch in batches]
    model.zero_grad()
    if row != "padded":  # enough for what is in the programs and how many there are
        monkeypatch.setattr(compiled_blocks, "BACKEND", "eager")
    monkeypatch.setenv(FOLDER, default_cache_dir())  # what the compiler is like takes long to see
    counters.clear()
    compile_blocks(model, packed=run.packing)
    assert all(weight.grad is None for weight in model.parameters())
    made = counters["stats"]["unique_graphs"]
    found = [learn(model, batch, packed=run.packing) for batch in batches]
    assert counters["stats"]["unique_graphs"] == made
    assert made == 2 or row != "padded"  # one of each kind of block
    assert [*model.state_dict()] == names
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


COURSE = ("ema={decay: 0.5}", "accumulate=2", "activation_checkpointing=true")


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it comes to other sizes first than the one that was not interrupted; and what was
    compiled goes on plain."""
    monkeypatch.setattr(compiled_blocks, "BACKEND", "eager")

    def run_at(name: str, *more: str) -> Run:
        keys = [f"output={tmp_path / name}", "compile=true", *COURSE, *more]
        return load_run(squares / "run.yaml", keys)

    whole, broken = run_at("whole"), run_at("broken")
    train(whole, progress=False)
    train_until_killed(broken, 6, monkeypatch)
    train(broken, resume=True, progress=False)
    assert (broken.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()
    assert events(broken.output) == events(whole.output)
    plain = ("compile=false", "steps=8", "continuation=constant")
    train(run_at("broken", *plain), resume=True, progress=False)
    assert max(step for _, step, _, _ in numbers(broken.output)) == 8


def test_sources_are_changed_against_a_compiled_model_as_against_a_plain_one(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps ask the programs for gradients of what they read, and of no weight."""
    monkeypatch.setattr(compiled_blocks, "BACKEND", "aot_eager")
    mixture = (squares / "mixture.yaml").read_text().replace("spec: ", f"spec: {squares}/")
    mixture = mixture.replace("contrast: 0.5", "adversarial: {weight: 1.0, steps: 2, epsilon: 0.5}")
    (tmp_path / "mixture.yaml").write_text(mixture)
    keys = [f"mixture={tmp_path / 'mixture.yaml'}", *SHORT, "steps=3", "validation_rows=0"]
    found = {}
    for compiled in ("false", "true"):
        output = tmp_path / compiled
        more = [f"output={output}", f"compile={compiled}"]
        train(load_run(squares / "run.yaml", [*keys, *more]), progress=False)
        steps = [each for each in events(output) if each["event"] == "step"]
        found[compiled] = [[e["loss"], e["grad_norm"], e.get("adversarial", 0)] for e in steps]
    assert sum(each[2] > 0 for each in found["false"]) == 2
    for one, other in zip(found["true"], found["false"], strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_two_compiled_processes_train_as_one_plain_does(squares: Path, tmp_path: Path) -> None:
    """With gradients shared out; the names of weights that are saved are those of a plain run."""
    alone, found = tmp_path / "alone", tmp_path / STAGES[2].stem
    train(load_run(squares / "run.yaml", [f"output={alone}", *SHORT]), progress=False)
    run_ranks(WORKER, squares / "run.yaml", tmp_path, STAGES[2], *SHORT, "compile=true", "--traced")
    assert numbers(found) == pytest.approx(numbers(alone), rel=1e-5)
    assert names_in(found / WEIGHTS) == names_in(alone / WEIGHTS)


def names_in(path: Path) -> list[str]:
    with safe_open(path, "pt") as file:
        return sorted(file.keys())


def test_zero_3_is_refused_at_its_line(squares: Path) -> None:
    with pytest.raises(UserError, match=r"compile: ZeRO 3 gathers .*expected false, or an engine"):
        load_run(squares / "run.yaml", ["compile=true", f"engine={CONFIGS / 'zero3.json'}"])


def test_backbones_of_others_are_refused_by_check_and_by_training(
    squares: Path, tmp_path: Path
) -> None:
    world = write_world(tmp_path / "world", squares)
    run = run_of(world, "bart", tmp_path / "out", "compile=true")
    found = Findings()
    check_run(run, found, "error")
    said = r"compile: the backbone is computed by .*not compiled here"
    assert [re.search(said, str(each)) for each in found.all()] != [None]
    with pytest.raises(UserError, match=said):
        train(run, progress=False)
    assert not (tmp_path / "out").exists()


def test_without_a_compiler_a_run_says_so_before_it_begins(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    run = load_run(squares / "run.yaml", [f"output={tmp_path / 'out'}", "compile=true"])
    with pytest.raises(UserError, match=r"compile: a model is compiled with no-such-compiler"):
        train(run, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_programs_are_kept_where_nobody_else_may_write(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "unified_vl" / "programs"
    programs.mkdir(parents=True)
    programs.chmod(mode)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER, "")
    keep_programs()
    folder = Path(os.environ[FOLDER])
    assert is_own(folder)
    assert (folder == programs / "training") == (mode == 0o700)
    monkeypatch.setenv(FOLDER, str(tmp_path / "mine"))
    keep_programs()
    assert os.environ[FOLDER] == str(tmp_path / "mine")
