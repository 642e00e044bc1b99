"""Soft targets of a momentum copy of the weights, against their definition."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tests.training.backbone_runs import run_of, write_world
from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.learning import teacher_logits
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.load import load_run
from unified_vl.training import update
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.contrast import similarity
from unified_vl.training.objectives.momentum_contrast import MomentumContrast, soft_loss_sum
from unified_vl.training.objectives.momentum_distillation import MomentumDistillation, share_at
from unified_vl.training.record.fingerprints import fingerprints
from unified_vl.training.trainer import train

PROCESS = Process(0, 1, torch.device("cpu"))
SHARE = 0.4


@pytest.fixture
def distilled(squares: Path, tmp_path: Path) -> Path:
    text = (squares / "mixture.yaml").read_text().replace("spec: ", f"spec: {squares}/")
    text = text.replace("contrast: 0.5", f"momentum_distillation: {SHARE}")
    (tmp_path / "mixture.yaml").write_text(text)
    return tmp_path / "mixture.yaml"


class Alone:
    """What an engine does with a model and a momentum copy, without DeepSpeed."""

    process = PROCESS

    def __init__(self, model: Any) -> None:
        self.model, self.copy = model.eval(), copy.deepcopy(model).eval()
        with torch.no_grad():
            for weight in self.copy.parameters():
                weight.add_(0.1 * torch.randn_like(weight))

    def outputs(self, batch: Batch, targets: Any, more: Any, within: Any, *, apart: bool) -> Any:
        assert batch.labels_BT is not None
        shifted = self.model.prepare_decoder_input_ids_from_labels(batch.labels_BT)
        asked = {"packing": batch.packing, "targets": targets, "within": within}
        return self.model(**batch.model_inputs(), **more, **asked, decoder_input_ids=shifted)

    def momentum(self, compute: Any) -> Any:
        with torch.no_grad():
            return compute(self.copy)


def logits_of(model: Any, batch: Batch) -> torch.Tensor:
    assert batch.labels_BT is not None
    shifted = model.prepare_decoder_input_ids_from_labels(batch.labels_BT)
    found: torch.Tensor = model(**batch.model_inputs(), decoder_input_ids=shifted).logits
    return found[batch.labels_BT != IGNORED]


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares, ("bart",))


@pytest.mark.parametrize("way", ["padded", "packed", "chunks", "other head", "bart"])
def test_a_share_of_the_targets_is_the_copys(
    squares: Path, distilled: Path, world: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss and gradients are those of the cross-entropy with mixed targets, but for a constant."""
    keys = [f"mixture={distilled}", f"packing={str(way == 'packed').lower()}"]
    run = load_run(squares / "run.yaml", keys)
    if way == "bart":
        run = run_of(world, way, distilled.parent / "out", *keys)
    torch.manual_seed(0)
    parts = build(beginning_of(run, resume=False))
    engine = Alone(parts.model)
    (batch,) = parts.streams["see"].micro_batches(0, 0, 1, 1)
    assert (batch.packing is not None) == (way == "packed")
    if way == "chunks":
        monkeypatch.setattr(teacher_logits, "CHUNK", 2000)
    if way == "other head":
        monkeypatch.setattr(UnifiedVLForConditionalGeneration, "head", lambda self: None)
    objectives: Any = {"momentum_distillation": MomentumDistillation(SHARE)}
    tokens, weight = 7, 0.5
    found = update._loss_of_part(
        engine,  # type: ignore[arg-type]
        batch,
        run,
        objectives,
        weight=weight,
        tokens=tokens,
        parts=1,
    )
    with torch.no_grad():
        shown_RV = logits_of(engine.copy, batch).softmax(-1)
    assert batch.labels_BT is not None
    right_RV = F.one_hot(batch.labels_BT[batch.labels_BT != IGNORED], shown_RV.shape[1])
    mixed_RV = (1 - SHARE) * right_RV + SHARE * shown_RV
    entropy = SHARE * torch.special.entr(shown_RV).sum()
    crossed = F.cross_entropy(logits_of(engine.model, batch), mixed_RV, reduction="sum")
    expected = weight * (crossed - entropy) / tokens
    assert_close(found.objective, expected, rtol=1e-4, atol=1e-5)
    assert found.beside["momentum_distillation"] > 0.01
    weights = list(engine.model.parameters())
    own, theirs = (
        torch.autograd.grad(each, weights, allow_unused=True)
        for each in (found.objective, expected)
    )
    for one, other in zip(own, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_soft_targets_of_what_may_be_chosen() -> None:
    """What may not has no share, no loss and no gradient."""
    torch.manual_seed(0)
    logits_BK, shown_BK = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3)
    hidden_BK = torch.tensor([[False, True, False], [False, False, False]])
    masked = [each.masked_fill(hidden_BK, -torch.inf) for each in (logits_BK, shown_BK)]
    found = soft_loss_sum(*masked)
    first = F.cross_entropy(logits_BK[:1, [0, 2]], shown_BK[:1, [0, 2]].softmax(-1))
    expected = first + F.cross_entropy(logits_BK[1:], shown_BK[1:].softmax(-1))
    assert_close(found, expected)
    assert_close(*(torch.autograd.grad(each, logits_BK)[0] for each in (found, expected)))


@pytest.mark.parametrize("within", [0.0, 0.5])
def test_the_contrast_mixes_its_targets_between_modalities(within: float) -> None:
    torch.manual_seed(0)
    rows, share, temperature = 4, 0.3, 0.2
    labels_BT = torch.tensor([[5, 6, 1], [7, 1, IGNORED], [8, 9, 1], [4, 3, 1]])
    batch: Any = SimpleNamespace(labels_BT=labels_BT, images_in_rows=(1,) * rows)
    config: Any = SimpleNamespace(eos_token_id=1, pad_token_id=0)
    words_BT = (labels_BT != 1) & (labels_BT != IGNORED)
    text, image, copied_text, copied_image = (
        torch.randn(rows, length, 5) for length in (3, 6, 3, 6)
    )
    output: Any = SimpleNamespace(
        caption_features=text,
        image_features=image,
        momentum={"contrast_text": copied_text, "contrast_image": copied_image},
    )

    def loss(soft: float, within: float, ramp: int = 0) -> torch.Tensor:
        made = MomentumContrast(1.0, config, temperature, 0, within, soft, ramp)
        made.begin(3)
        return made.loss(output, batch, PROCESS)

    expected = torch.zeros(())
    of_copy = similarity(copied_text, words_BT, copied_image) / temperature
    for score, shown in (
        (similarity(text, words_BT, copied_image), of_copy),
        (similarity(copied_text, words_BT, image).T, of_copy.T),
    ):
        mixed = (1 - share) * torch.eye(rows) + share * shown.softmax(-1)
        expected = expected + 0.5 * F.cross_entropy(score / temperature, mixed)
    assert_close(loss(share, within) - loss(0, within) + loss(0, 0), expected)
    assert_close(loss(2 * share, within, ramp=6), loss(share, within))


def events(output: Path) -> Iterator[dict[str, Any]]:
    lines = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return (each for each in lines if each["event"] == "step" and each["task"] == "see")


def test_a_copy_of_the_same_weights_adds_nothing(
    squares: Path, distilled: Path, tmp_path: Path
) -> None:
    """So the first update has the share of the data's targets alone, and a later one more."""
    still = ["model.dropout_rate=0.0", "validation_rows=0", "steps=3", "momentum_decay=0.9"]
    plain = distilled.with_name("plain.yaml")
    plain.write_text(distilled.read_text().replace(str(SHARE), "0.0"))
    found = []
    for mixture in (distilled, plain):
        output = tmp_path / mixture.stem
        keys = [f"mixture={mixture}", f"output={output}", *still]
        train(load_run(squares / "run.yaml", keys), progress=False)
        found.append(list(events(output)))
    ours, theirs = found
    assert ours[0]["loss"] == theirs[0]["loss"]
    assert ours[0]["grad_norm"] == pytest.approx((1 - SHARE) * theirs[0]["grad_norm"], rel=1e-4)
    assert ours[0]["momentum_distillation"] == pytest.approx(0, abs=1e-6)
    assert ours[1]["momentum_distillation"] > 1e-5
    assert "momentum_distillation" not in theirs[0]


@pytest.mark.parametrize(
    ("batches", "ramp", "expected"),
    [(0, 0, 0.4), (7, 0, 0.4), (0, 4, 0.0), (1, 4, 0.1), (3, 4, 0.3), (4, 4, 0.4), (99, 4, 0.4)],
)
def test_a_ramp_grows_evenly_and_stays(batches: int, ramp: int, expected: float) -> None:
    assert share_at(batches, SHARE, ramp) == pytest.approx(expected)
    objective = MomentumDistillation(SHARE, ramp)
    objective.begin(batches)
    assert objective.weight == pytest.approx(expected)


def test_with_a_ramp_batches_of_the_task_alone_count_and_a_resume_goes_on(
    squares: Path, distilled: Path, tmp_path: Path
) -> None:
    """The first update is that without the copy; gradients that are only measured are of the share
    that the next update has, also right after a resume."""
    text = distilled.read_text()
    mixtures = {
        "plain": text.replace(f"momentum_distillation: {SHARE}", "momentum_distillation: 0.0"),
        "whole": text,
        "ramp": text.replace(str(SHARE), f"{SHARE}, momentum_distillation_ramp: 4"),
    }
    still = ["model.dropout_rate=0.0", "validation_rows=0", "momentum_decay=0.5"]
    still += ["optimizer.decay=constant", "gradient_conflicts={every: 3}", "checkpoint_every=3"]

    def trained(name: str, folder: str, *more: str, resume: bool = False) -> list[Any]:
        mixture = tmp_path / f"{name}.yaml"
        mixture.write_text(mixtures[name])
        keys = [f"mixture={mixture}", f"output={tmp_path / folder}", *still, *more]
        train(load_run(squares / "run.yaml", keys), progress=False, resume=resume)
        lines = map(json.loads, (tmp_path / folder / "events.jsonl").read_text().splitlines())
        return [each for each in lines if each["event"] in ("step", "gradients")]

    plain, whole, ramp = (trained(name, name) for name in mixtures)
    first = next(n for n, each in enumerate(plain) if each.get("task") == "see")
    assert ramp[first]["grad_norm"] == pytest.approx(plain[first]["grad_norm"], rel=1e-5)
    assert whole[first]["grad_norm"] != pytest.approx(plain[first]["grad_norm"], rel=1e-2)
    trained("ramp", "halves", "steps=3")
    halves = trained("ramp", "halves", resume=True)

    def told(events: list[Any]) -> list[Any]:
        kept = ("step", "task", "loss", "grad_norm", "norms", "cosines", "momentum_distillation")
        return [{key: each[key] for key in kept if key in each} for each in events]

    assert told(halves) == told(ramp)
    measured = [each for each in ramp if each["event"] == "gradients"]
    assert [each["step"] for each in measured] == [1, 4]


def test_a_share_of_nothing_is_no_objective_and_the_same_run(
    squares: Path, distilled: Path
) -> None:
    digests = []
    asked = f", momentum_distillation: {SHARE}"
    text = distilled.read_text()
    for key in ("", ", momentum_distillation: 0.0", asked):
        distilled.write_text(text.replace(asked, key))
        run = load_run(squares / "run.yaml", [f"mixture={distilled}"])
        parts = build(run)
        digests.append(fingerprints(run, parts))
        assert parts.reads_momentum == (key == asked)
    assert digests[0] == digests[1] != digests[2]
