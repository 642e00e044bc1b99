"""Sources that are changed against the model: the definition, ranks, resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.testing import assert_close

from tests.processes import run_ranks
from tests.training.backbone_runs import run_of, write_world
from tests.training.objective_outputs import PROCESS, first_batch, output_of
from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.learning import symmetric_divergence, target_loss
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.load import load_run
from unified_vl.specs.objectives.keys import AdversarialSpec
from unified_vl.training.objectives.adversarial import Adversarial
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
KEYS = "{weight: 0.5, epsilon: 0.08, step_size: 0.05, steps: 2}"


@pytest.fixture(scope="module")
def mixture(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tasks, of images and of texts, are changed."""
    text = (squares / "mixture.yaml").read_text().replace("spec: ", f"spec: {squares}/")
    text = text.replace("contrast: 0.5", f"adversarial: {KEYS}")
    text = text.replace("weight: 0.5}\n", f"weight: 0.5, adversarial: {KEYS}}}\n")
    file = tmp_path_factory.mktemp("adversarial") / "mixture.yaml"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares, ("bart",))


def logits_of(model: Any, embedded: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Of target tokens, of a padded batch."""
    assert batch.labels_BT is not None
    ids_BT = model.prepare_decoder_input_ids_from_labels(batch.labels_BT)
    mask_BS = batch.attention_mask_BS
    states = model.target_states(embedded, batch.input_ids_BS, mask_BS, ids_BT)
    found: torch.Tensor = model.logits(states)[batch.labels_BT != IGNORED]
    return found


def row_norms(x_BSM: torch.Tensor, mask_BS: torch.Tensor) -> torch.Tensor:
    return (x_BSM * mask_BS[..., None]).flatten(1).norm(dim=1)[:, None, None]


@pytest.mark.parametrize(
    ("way", "places"),
    [
        ("padded", "all"),
        ("padded", "images"),
        ("padded", "words"),
        ("packed", "words"),
        ("chunks", "all"),
        ("other head", "all"),
        ("bart", "all"),
    ],
)
def test_the_loss_is_that_of_sources_moved_up_its_gradient(
    squares: Path, mixture: Path, world: Path, way: str, places: Any, monkeypatch: Any
) -> None:
    keys = (f"mixture={mixture}",)
    run = load_run(squares / "run.yaml", keys)
    if way == "bart":
        run = run_of(world, way, mixture.parent / "out", *keys)
    first = first_batch(run, "see")
    model, batch = first.model, first.batch
    model.eval()
    read = batch
    if way == "packed":
        read = first_batch(load_run(squares / "run.yaml", [*keys, "packing=true"]), "see").batch
    if way == "chunks":
        monkeypatch.setattr(symmetric_divergence, "CHUNK", 3000)
        monkeypatch.setattr(target_loss, "CHUNK", 3000)
    if way == "other head":
        monkeypatch.setattr(UnifiedVLForConditionalGeneration, "head", lambda self: None)
    spec = AdversarialSpec(epsilon=0.08, step_size=0.05, steps=2, places=places)
    objective = Adversarial(spec, model.config)
    found = objective.loss(output_of(model, read, objective), read, PROCESS)
    weights = [each for each in model.parameters() if each.requires_grad]
    assert all(weight.grad is None for weight in weights)

    labels_BT = batch.labels_BT
    assert labels_BT is not None
    label_R = labels_BT[labels_BT != IGNORED]
    plain = output_of(model, batch)
    embedded = plain.source_embeddings
    state_RM = plain.target_states[labels_BT != IGNORED]
    assert_close(logits_of(model, embedded, batch), model.logits(state_RM))
    moved_BS = batch.attention_mask_BS.bool()
    images_BS = batch.input_ids_BS == model.config.image_token_id
    moved_BS = moved_BS & {"all": moved_BS, "images": images_BS, "words": ~images_BS}[places]
    size_B11 = row_norms(embedded.detach(), moved_BS)
    change = torch.zeros_like(embedded)
    losses = []
    for _ in range(2):
        change = change.detach().requires_grad_()
        logits = logits_of(model, embedded.detach() + change, batch)
        losses.append(F.cross_entropy(logits, label_R))
        (slope,) = torch.autograd.grad(losses[-1], change)
        slope = slope * moved_BS[..., None]
        change = change + 0.05 * size_B11 * slope / row_norms(slope, moved_BS)
        norm_B11 = row_norms(change, moved_BS)
        change = change * (0.08 * size_B11 / norm_B11).clamp(max=1)
    changed = logits_of(model, embedded + change.detach(), batch)
    p, q = (each.log_softmax(-1) for each in (logits_of(model, embedded, batch), changed))
    unlike = ((p.exp() - q.exp()) * (p - q)).sum()
    crossed = F.cross_entropy(changed, label_R, reduction="sum")
    assert crossed / len(label_R) > losses[1] > losses[0], "the loss went up"
    assert_close(found, crossed + unlike, rtol=1e-4, atol=1e-4)
    expected = torch.autograd.grad(crossed + unlike, weights, allow_unused=True)
    for one, other in zip(
        torch.autograd.grad(found, weights, allow_unused=True), expected, strict=True
    ):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_all_steps_have_the_dropout_of_what_is_learnt(squares: Path, mixture: Path) -> None:
    """So the random numbers that follow do not depend on the number of steps, nor a step of no
    length on anything."""
    first = first_batch(load_run(squares / "run.yaml", [f"mixture={mixture}"]), "see")
    model, batch = first.model, first.batch
    model.train()
    states = []
    for steps in (1, 3):
        torch.manual_seed(0)
        output_of(model, batch, Adversarial(AdversarialSpec(steps=steps), model.config))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def run_with(squares: Path, mixture: Path, output: Path, *more: str) -> Any:
    keys = [f"output={output}", f"mixture={mixture}", "validation_rows=0"]
    return load_run(squares / "run.yaml", [*keys, *more])


def numbers(output: Path) -> dict[tuple[int, str], list[float]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {
        (e["step"], e["task"]): [e[key] for key in ("loss", "grad_norm", "adversarial")]
        for e in events
        if e["event"] == "step"
    }


def test_a_resume_is_exact(squares: Path, mixture: Path, tmp_path: Path) -> None:
    """With dropout, which the steps share."""
    settings = ("optimizer.decay=constant", "steps=4")
    train(run_with(squares, mixture, tmp_path / "whole", *settings), progress=False)
    train(run_with(squares, mixture, tmp_path / "out", *settings, "steps=2"), progress=False)
    train(run_with(squares, mixture, tmp_path / "out", *settings), resume=True, progress=False)
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
    one, other = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "out")
    )
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("more", [(), ("packing=true", "accumulate=2")], ids=["padded", "packed"])
def test_two_ranks_are_as_one(
    squares: Path, mixture: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """With whole weights and with shards, which the steps gather, too."""
    settings = ["model.dropout_rate=0.0", "steps=4", "checkpoint_every=100"]
    train(run_with(squares, mixture, tmp_path / "alone", *settings), progress=False)
    keys = (f"mixture={mixture}", "validation_rows=0")
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *keys, *settings, *more)
    expected = numbers(tmp_path / "alone")
    assert all(values[2] > 0 for values in expected.values())
    for stage in STAGES:
        found = numbers(tmp_path / stage.stem)
        assert found.keys() == expected.keys()
        for step, values in found.items():
            bound = pytest.approx(expected[step], rel=1e-4, abs=1e-5)
            assert values == bound, (stage.stem, step)
