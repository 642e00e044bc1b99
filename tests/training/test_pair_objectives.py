"""Objectives that compare images and captions: their definitions, ranks, resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.testing import assert_close

from tests.processes import run_ranks
from unified_vl.files import write_atomically
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE
from unified_vl.specs.load import load_run
from unified_vl.specs.objectives.keys import ContrastKeys
from unified_vl.training.objectives import momentum_contrast
from unified_vl.training.objectives.contrast import similarity
from unified_vl.training.objectives.momentum_contrast import Keys, alike
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
QUEUE = 5
KEYS = (
    f"contrast: 0.5, contrast_queue: {QUEUE}, contrast_within: 0.5, matching: 0.5, alignment: 0.5, "
    "momentum_distillation: 0.3, momentum_distillation_ramp: 3"
)
NAMES = ("contrast", "matching", "alignment", "momentum_distillation")


@given(seed=st.integers(0, 1000), chunk=st.sampled_from([1, 40, 1 << 20]))
def test_chunks_give_the_similarity_of_the_plain_contrast(seed: int, chunk: int) -> None:
    random = torch.Generator().manual_seed(seed)
    text_BTM, image_KPM = (
        F.normalize(torch.randn(*shape, generator=random), dim=-1)
        for shape in ((2, 3, 4), (5, 6, 4))
    )
    mask_BT = torch.tensor([[True, True, False], [True, True, True]])
    image_KPM[1, 4:] = 0  # of a packed image
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(momentum_contrast, "PRODUCTS", chunk)
        found_BK = alike(text_BTM, mask_BT, image_KPM, image_KPM.any(-1))
    expected = [similarity(text_BTM, mask_BT, image_KPM[k : k + 1]) for k in range(5)]
    assert_close(found_BK, torch.cat(expected, dim=1))


def keys(start: int, rows: int, tokens: int) -> Keys:
    number_K = torch.arange(start, start + rows)
    text_KTM = number_K[:, None, None].float().expand(rows, tokens, 2)
    mask_KT = torch.ones(rows, tokens, dtype=torch.bool)
    return Keys(text_KTM, mask_KT, text_KTM, mask_KT, number_K)


def test_a_queue_keeps_the_newest_and_fills_up_shorter_ones() -> None:
    found = keys(4, 2, 1).before(keys(2, 2, 3), 3).before(keys(0, 1, 1), 3)
    assert found.caption.tolist() == [4, 5, 2]
    assert found.text.shape == (3, 3, 2)
    assert found.of_text.tolist() == [[True, False, False]] * 2 + [[True] * 3]


def test_the_first_stage_of_retrieval_knows_the_usual_temperature() -> None:
    assert ContrastKeys().contrast_temperature == TEMPERATURE


@pytest.fixture(scope="module")
def contrasted(squares: Path) -> Path:
    mixture = (squares / "mixture.yaml").read_text(encoding="utf-8")
    text = mixture.replace("contrast: 0.5", KEYS)
    text = text.replace("weight: 0.5", "weight: 0.5, momentum_distillation: 0.6")
    write_atomically(squares / "queue.yaml", text)
    return squares / "queue.yaml"


def run_of(squares: Path, output: Path, *more: str) -> Any:
    keys = [f"output={output}", f"mixture={squares / 'queue.yaml'}", "momentum_decay=0.5"]
    return load_run(squares / "run.yaml", [*keys, "validation_rows=0", *more])


def numbers(output: Path) -> dict[tuple[int, str], list[float]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {
        (e["step"], e["task"]): [e[key] for key in ("loss", "grad_norm", *NAMES) if key in e]
        for e in events
        if e["event"] == "step"
    }


def checkpoint(output: Path, step: int) -> dict[str, torch.Tensor]:
    folder = output / "checkpoints" / f"step-{step:08d}"
    return {k: v for path in folder.rglob("*.safetensors") for k, v in load_file(path).items()}


@pytest.fixture(scope="module")
def whole(squares: Path, contrasted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("queue") / "out"
    settings = ("optimizer.decay=constant", "checkpoint_every=1", "keep_checkpoints=9")
    train(run_of(squares, output, *settings), progress=False)
    return output


def test_the_copy_follows_the_weights_and_the_queue_fills(whole: Path) -> None:
    copy = None
    for step in range(1, 7):
        state = checkpoint(whole, step)
        weights = {k.split(":")[2]: v for k, v in state.items() if k.startswith("master:")}
        now = {k.split(":")[2]: v for k, v in state.items() if k.startswith("momentum:")}
        assert now.keys() == weights.keys()
        if copy is not None:
            for name, value in now.items():
                assert_close(value, (copy[name] + weights[name]) / 2)
        copy = now
    assert len(state["see/contrast/caption"]) == QUEUE  # of 4 batches of 4 rows
    assert state["master:0:matching.scores.weight"].any()  # which one of the two tasks trains
    norm_KT = state["see/contrast/text"].norm(dim=-1)
    assert_close(
        norm_KT[state["see/contrast/of_text"]],
        torch.ones(()).expand(int(state["see/contrast/of_text"].sum())),
    )


def test_a_resume_is_exact(squares: Path, whole: Path, tmp_path: Path) -> None:
    settings = ("optimizer.decay=constant", "checkpoint_every=1", "keep_checkpoints=9")
    output = tmp_path / "out"
    train(run_of(squares, output, "steps=3", *settings), progress=False)
    train(run_of(squares, output, *settings), resume=True, progress=False)
    assert_close(checkpoint(output, 6), checkpoint(whole, 6), rtol=0, atol=0)
    assert numbers(output) == numbers(whole)


@pytest.mark.parametrize("more", [(), ("packing=true",)], ids=["padded", "packed"])
def test_two_ranks_are_as_one(
    squares: Path, contrasted: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """With whole weights and with shards, which the copy has, too."""
    settings = ["model.dropout_rate=0.0", "steps=4", "checkpoint_every=100"]
    train(run_of(squares, tmp_path / "alone", *settings), progress=False)
    mixture = (f"mixture={contrasted}", "momentum_decay=0.5", "validation_rows=0")
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *mixture, *settings, *more)
    expected = numbers(tmp_path / "alone")
    assert sorted(len(values) for values in expected.values()) == [3, 6, 6, 6]
    for stage in STAGES:
        found = numbers(tmp_path / stage.stem)
        assert found.keys() == expected.keys()
        for step, values in found.items():
            bound = pytest.approx(expected[step], rel=1e-5, abs=1e-6)
            assert values == bound, (stage.stem, step)
