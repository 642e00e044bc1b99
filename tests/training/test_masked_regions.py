"""What is hidden of regions is guessed: the losses, what is counted, and that it is learnt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from unified_vl.codecs.region_values import CLASS, FEATURE, HIDDEN, ORDER, SCORE
from unified_vl.data.packing import pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.training.objectives.masked_regions import (
    MaskedRegions,
    class_losses,
    feature_losses,
    label_losses,
)

PLACE, WIDTH, CLASSES = 9, 6, 4
ALONE: Any = SimpleNamespace(total=lambda values: values.double().reshape(-1).tolist(), world=1)


def model() -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        vocab_size=96,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=1,
        num_heads=4,
        regions_token_id=PLACE,
        region_token_ids=[10, 11, 12],
        region_features=WIDTH,
        region_classes=CLASSES,
        region_heads=True,
    )
    return UnifiedVLForConditionalGeneration(config)


def values(count: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    value_XV = torch.rand(count, FEATURE + WIDTH, generator=draw)
    value_XV[:, ORDER] = torch.arange(count) % 3
    value_XV[:, CLASS] = torch.randint(0, CLASSES, (count,), generator=draw).float()
    value_XV[:, HIDDEN] = torch.arange(count) % 2
    return value_XV


def test_classes_diverge_as_torch_has_it() -> None:
    value_XV, logit_XK = values(7), torch.randn(7, CLASSES)
    value_XV[0, SCORE] = 1.0
    rest_X1 = (1 - value_XV[:, SCORE, None]) / (CLASSES - 1)
    best_XK = F.one_hot(value_XV[:, CLASS].long(), CLASSES).bool()
    target_XK = torch.where(best_XK, value_XV[:, SCORE, None], rest_X1)
    expected_X = F.kl_div(logit_XK.log_softmax(1), target_XK, reduction="none").sum(1)
    torch.testing.assert_close(class_losses(logit_XK, value_XV), expected_X)
    right_XK = target_XK.clamp(min=1e-12).log()
    torch.testing.assert_close(class_losses(right_XK, value_XV), torch.zeros(7), atol=1e-5, rtol=0)


@pytest.mark.parametrize("classes", [False, True], ids=["features", "classes"])
def test_hidden_regions_alone_are_counted(classes: bool) -> None:
    value_XV = values(4)
    value_XV[3, CLASS] = -1  # hidden, and nothing says its class
    output: Any = SimpleNamespace(
        region_features=torch.randn(4, WIDTH), region_classes=torch.randn(4, CLASSES)
    )
    batch: Any = SimpleNamespace(region_values_XV=value_XV, region_labels_YL=None)
    found = MaskedRegions(1.0, classes).loss(output, batch, ALONE)
    if classes:
        expected = class_losses(output.region_classes, value_XV)[1]
    else:
        expected = feature_losses(output.region_features, value_XV)[[1, 3]].mean()
    torch.testing.assert_close(found, expected)
    none: Any = SimpleNamespace(region_values_XV=None)
    assert MaskedRegions(1.0, classes).loss(output, none, ALONE) == 0


def test_whole_distributions_take_the_place_of_what_is_spread() -> None:
    """Of images whose file has them; others of the batch are guessed as before."""
    value_XV, logit_XK = values(6), torch.randn(6, CLASSES, requires_grad=True)
    value_XV[3, CLASS] = -1  # a file with distributions need not say classes
    label_YK = torch.rand(2, CLASSES).softmax(1)
    label_YK[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    place_Y1 = torch.tensor([[1.0], [3.0]])
    batch: Any = SimpleNamespace(
        region_values_XV=value_XV, region_labels_YL=torch.cat([place_Y1, label_YK], 1)
    )
    output: Any = SimpleNamespace(region_classes=logit_XK)
    found = MaskedRegions(1.0, classes=True).loss(output, batch, ALONE)
    log_XK = logit_XK.log_softmax(1)
    of_labels = [F.kl_div(log_XK[p], label_YK[n], reduction="sum") for n, p in ((0, 1), (1, 3))]
    expected = sum(of_labels) + class_losses(logit_XK, value_XV)[5]
    torch.testing.assert_close(found, expected / 3)
    found.backward()
    assert logit_XK.grad is not None
    assert logit_XK.grad.abs().sum(1).gt(0).tolist() == [False, True] * 3


def test_a_spread_distribution_is_guessed_as_one_that_is_told() -> None:
    value_XV, logit_XK = values(5), torch.randn(5, CLASSES)
    rest_X1 = (1 - value_XV[:, SCORE, None]) / (CLASSES - 1)
    best_XK = F.one_hot(value_XV[:, CLASS].long(), CLASSES).bool()
    told_XK = torch.where(best_XK, value_XV[:, SCORE, None], rest_X1)
    torch.testing.assert_close(label_losses(logit_XK, told_XK), class_losses(logit_XK, value_XV))


@pytest.mark.parametrize("regions", [True, False], ids=["with regions", "without"])
def test_heads_are_used_wherever_they_are_asked_for(regions: bool) -> None:
    own = model().train()
    labels_BT = torch.tensor([[30, 31]])
    output = own(
        input_ids=torch.tensor([[20, PLACE, PLACE, 1] if regions else [20, 21, 22, 1]]),
        labels=labels_BT,
        region_values=values(2) if regions else None,
        guess_regions=torch.ones(()),
    )
    value_XV = values(2) if regions else None
    batch: Any = SimpleNamespace(region_values_XV=value_XV, region_labels_YL=None)
    losses = [MaskedRegions(1.0, classes).loss(output, batch, ALONE) for classes in (False, True)]
    (output.loss + sum(losses)).backward()
    assert [name for name, p in own.named_parameters() if p.grad is None] == []
    assert bool(own.region_heads.features.weight.grad.abs().max() > 0) == regions


def test_packed_sources_guess_as_padded_ones() -> None:
    own = model().double().eval()
    ids_BS = torch.tensor([[20, PLACE, PLACE, 21], [PLACE, 22, 0, 0]])
    labels_BT = torch.tensor([[30, 31], [32, -100]])
    inputs = {
        "input_ids": ids_BS,
        "attention_mask": ids_BS.gt(0).long(),
        "region_values": values(3),
        "guess_regions": torch.ones(()),
        "decoder_input_ids": own.prepare_decoder_input_ids_from_labels(labels_BT),
        "targets": Targets(labels_BT, 0.0, 0.0, False),
    }
    padded = own(**inputs)
    packed = own(**inputs, packing=pack((4, 2), (2, 1), 4, 2))
    assert padded.region_features.shape == (3, WIDTH)
    torch.testing.assert_close(packed.region_features, padded.region_features)
    torch.testing.assert_close(packed.region_classes, padded.region_classes)


def test_hidden_features_are_learnt_from_the_regions_beside_them() -> None:
    """Both regions of an image have one feature: what is hidden of one is seen in the other."""
    own = model().train()
    optimizer = torch.optim.AdamW(own.parameters(), lr=3e-3)
    draw = torch.Generator().manual_seed(3)
    ids_BS = torch.tensor([[PLACE, PLACE, 1]]).expand(16, -1)
    labels_BT = torch.full((16, 1), 30)
    objective = MaskedRegions(1.0, classes=False)
    losses = []
    for _ in range(90):
        value_XV = values(32)
        value_XV[:, FEATURE:] = torch.randn(16, WIDTH, generator=draw).repeat_interleave(2, 0)
        value_XV[:, ORDER] = torch.arange(32) % 2
        output = own(
            input_ids=ids_BS,
            labels=labels_BT,
            region_values=value_XV,
            guess_regions=torch.ones(()),
        )
        batch: Any = SimpleNamespace(region_values_XV=value_XV)
        loss = objective.loss(output, batch, ALONE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[:5]) / 5 > 0.9  # the variance of what is guessed
    assert sum(losses[-5:]) / 5 < 0.3
