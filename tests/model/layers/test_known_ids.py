"""Ids that the encoder looks for: on each device once, and whoever asks first."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from unified_vl.codecs.region_values import FEATURE, ORDER
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.known_ids import known_ids
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

CPU, META = torch.device("cpu"), torch.device("meta")
IMAGE, FRAMES, PLACE, NAMES = 7, [95, 8], 9, [10, 94]
SIZES: dict[str, Any] = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_heads": 4, "vocab_size": 96}
ENCODERS = {"joint": None, "two_streams": {"kind": "two_streams", "cross_layers": 1}}


def model(encoder: dict[str, Any] | None) -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        **SIZES,
        num_layers=2,
        num_decoder_layers=1,
        encoder=encoder,
        image_token_id=IMAGE,
        frame_token_ids=FRAMES,
        vision={"kind": "patches", "image_size": [8, 8], "patch_size": 4},
        regions_token_id=PLACE,
        region_token_ids=NAMES,
        region_features=3,
    )
    return UnifiedVLForConditionalGeneration(config).eval()


def encoded(own: UnifiedVLForConditionalGeneration) -> torch.Tensor:
    """Of a source with a video of two frames and two regions."""
    places = 4
    ids = [20, *[FRAMES[0]] * places, *[FRAMES[1]] * places, PLACE, PLACE, 21]
    random = torch.Generator().manual_seed(1)
    value_XV = torch.rand(2, FEATURE + 3, generator=random)
    value_XV[:, ORDER] = torch.arange(2)
    pixels_2CHW = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=random)
    read = own.encoder(torch.tensor([ids]), None, pixels_2CHW, region_values=value_XV)
    found: torch.Tensor = read.last_hidden_state
    return found


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_step_copies_no_ids_that_one_before_it_has_copied(
    encoder: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = model(encoder)
    copied: list[list[int]] = []
    make, make_like = torch.tensor, torch.Tensor.new_tensor
    before = encoded(own)

    def made(data: Any, **more: Any) -> torch.Tensor:
        copied.append(data)
        return make(data, **more)

    def made_like(x: torch.Tensor, data: Any, **more: Any) -> torch.Tensor:
        copied.append(data)
        return make_like(x, data, **more)

    monkeypatch.setattr(torch, "tensor", made)
    monkeypatch.setattr(torch.Tensor, "new_tensor", made_like)
    after = encoded(own)
    assert len(copied) == 1  # the source of this test itself
    assert torch.equal(after, before)


def test_who_asks_first_leaves_them_fit_for_training_and_for_exporting() -> None:
    ids = (3, 1, 4, 1_592_653)  # of no other test
    with torch.inference_mode():
        first = known_ids(ids, CPU)
    assert not first.is_inference() and first.tolist() == list(ids)
    assert known_ids(ids, CPU) is first
    assert known_ids(ids, META).is_meta and known_ids(ids, CPU) is first

    class Finder(torch.nn.Module):
        def forward(self, ids_S: torch.Tensor) -> torch.Tensor:
            return torch.isin(ids_S, known_ids((5, 8_979_323), ids_S.device))

    asked = torch.tensor([5, 6])
    program = torch.export.export(Finder(), (asked,), strict=False)
    assert program.module()(asked).tolist() == Finder()(asked).tolist() == [True, False]
    assert type(known_ids((5, 8_979_323), CPU)) is torch.Tensor  # none of the exporter's


def test_weights_and_copies_of_a_model_know_nothing_of_them() -> None:
    own = model(None)
    names = [*own.state_dict(), *(name for name, _ in own.named_buffers())]
    before = encoded(own)
    assert [*own.state_dict(), *(name for name, _ in own.named_buffers())] == names
    with META:
        empty = UnifiedVLForConditionalGeneration(copy.deepcopy(own.config))
    empty.load_state_dict(own.state_dict(), assign=True)
    assert torch.equal(encoded(empty.eval()), before)
