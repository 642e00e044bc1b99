"""Regions stand in their places as their features, their boxes and their names together."""

from __future__ import annotations

import pytest
import torch

from unified_vl.codecs.region_values import ATTRIBUTE, CLASS, FEATURE, HIDDEN, ORDER
from unified_vl.data.packing import pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

PLACE, NAMES = 9, [8, 95, 10]  # ids need not follow each other
WIDTH, CLASSES, ATTRIBUTES = 6, 4, 3


def model(
    classes: int | None = CLASSES, attributes: int | None = ATTRIBUTES
) -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    config = UnifiedVLConfig(
        vocab_size=96,
        regions_token_id=PLACE,
        region_token_ids=NAMES,
        region_features=WIDTH,
        region_classes=classes,
        region_attributes=attributes,
        **sizes,
    )
    return UnifiedVLForConditionalGeneration(config).double()


def values(*orders: int) -> torch.Tensor:
    """Regions with these numbers within their images."""
    value_XV = torch.rand(len(orders), FEATURE + WIDTH, generator=torch.Generator().manual_seed(1))
    value_XV[:, ORDER] = torch.tensor(orders)
    value_XV[:, CLASS] = torch.arange(len(orders)) % (CLASSES + 1) - 1.0
    value_XV[:, ATTRIBUTE] = torch.arange(len(orders)) % (ATTRIBUTES + 1) - 1.0
    value_XV[:, HIDDEN] = 0
    return value_XV


def embedded(
    own: UnifiedVLForConditionalGeneration, ids: list[int], value_XV: torch.Tensor | None
) -> torch.Tensor:
    """What stands before the first block, (S, M)."""
    encoder, ids_1S = own.encoder, torch.tensor([ids])
    assert encoder.regions is not None
    x_1SM = encoder.embedding(ids_1S)
    found: torch.Tensor = encoder._with_regions(encoder.regions, x_1SM, ids_1S, value_XV)
    return found[0]


def test_each_region_is_its_feature_its_box_and_its_name() -> None:
    own = model().eval()
    value_XV = values(0, 1, 0)
    found_SM = embedded(own, [20, PLACE, PLACE, 21, PLACE, 8], value_XV)
    assert own.encoder.regions is not None
    region_XM = own.encoder.regions(value_XV)
    table = own.encoder.embedding.weight
    expected = [table[20], region_XM[0] + table[8], region_XM[1] + table[95], table[21]]
    expected += [region_XM[2] + table[8], table[8]]  # a name in the text is no place
    torch.testing.assert_close(found_SM, torch.stack(expected))


@pytest.mark.parametrize(("part", "rows"), [(CLASS, "classes"), (ATTRIBUTE, "attributes")])
def test_a_class_or_attribute_is_a_row_that_is_added(part: int, rows: str) -> None:
    own = model().eval().encoder.regions
    assert own is not None
    value_XV = values(0, 1, 2)
    other_XV = value_XV.clone()
    value_XV[:, part], other_XV[:, part] = torch.tensor([-1, 0, 2]), -1
    table = getattr(own, rows)
    expected = [torch.zeros_like(table[0]), table[0], table[2]]
    torch.testing.assert_close(own(value_XV) - own(other_XV), torch.stack(expected))


@pytest.mark.parametrize(
    "part",
    [CLASS, ATTRIBUTE, FEATURE, slice(0, 5)],
    ids=["class", "attribute", "feature", "box"],
)
def test_what_is_hidden_of_a_region_changes_nothing(part: int | slice) -> None:
    own = model().eval().encoder.regions
    assert own is not None
    value_XV = values(0, 1)
    hidden_XV = value_XV.clone()
    hidden_XV[:, HIDDEN] = 1
    other_XV = hidden_XV.clone()
    other_XV[:, part] = other_XV[:, part] * 0.5 if part not in (CLASS, ATTRIBUTE) else 2.0
    assert not own(value_XV).equal(own(hidden_XV))
    assert own(hidden_XV).equal(own(other_XV)) == (part != slice(0, 5))


@pytest.mark.parametrize("regions", [True, False], ids=["with regions", "with text alone"])
@pytest.mark.parametrize("attributes", [None, ATTRIBUTES])
@pytest.mark.parametrize("classes", [None, CLASSES])
def test_every_step_uses_every_weight(
    regions: bool, classes: int | None, attributes: int | None
) -> None:
    """ZeRO 3 would apply the last gradient again of a weight that a step leaves out."""
    own = model(classes, attributes).train()
    inputs = {"input_ids": torch.tensor([[20, PLACE if regions else 22, 1]])}
    if regions:
        inputs["region_values"] = values(1)
    own(**inputs, labels=torch.tensor([[30, 31]])).loss.backward()
    assert [name for name, p in own.named_parameters() if p.grad is None] == []
    assert own.encoder.regions is not None
    used = own.encoder.regions.features.weight.grad.abs().max() > 0
    assert bool(used) == regions


def test_packed_regions_and_texts_learn_as_padded_ones() -> None:
    torch.manual_seed(1)
    own = model().train()
    sources, targets = (5, 3, 4), (3, 2, 4)
    ids_BS = torch.zeros(3, 8, dtype=torch.int64)
    ids_BS[0, :5] = torch.tensor([20, PLACE, PLACE, PLACE, 21])
    ids_BS[1, :3] = torch.tensor([24, 25, 26])
    ids_BS[2, :4] = torch.tensor([22, PLACE, 8, 23])
    labels_BT = torch.full((3, 4), -100)
    for row, length in enumerate(targets):
        labels_BT[row, :length] = torch.randint(10, 90, (length,))

    def gradients(packed: bool) -> dict[str, torch.Tensor]:
        own.zero_grad()
        own(
            input_ids=ids_BS,
            attention_mask=ids_BS.gt(0).long(),
            region_values=values(0, 1, 2, 0),
            decoder_input_ids=own.prepare_decoder_input_ids_from_labels(labels_BT),
            targets=Targets(labels_BT, 0.0, 0.0, False),
            packing=pack(sources, targets, 8, 4) if packed else None,
        ).target_loss.backward()
        return {name: p.grad.clone() for name, p in own.named_parameters() if p.grad is not None}

    padded, packed = gradients(False), gradients(True)
    assert padded["encoder.regions.boxes.weight"].abs().max() > 0
    assert packed.keys() == padded.keys()
    for name, expected in padded.items():
        assert (packed[name] - expected).norm() <= 1e-6 * max(float(expected.norm()), 1e-2), name
