"""Places of codes: told apart, the same step by step as at once, and nothing to other ids."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.painting import painter, task
from unified_vl.decoding.decoders.incremental import BeamDecoder
from unified_vl.decoding.protocol import Memory
from unified_vl.decoding.search import write


@pytest.fixture
def saved(tmp_path: Path):
    return painter(tmp_path, [task(tmp_path, "paint")])


def test_each_run_of_codes_is_counted_from_its_start(saved) -> None:
    start, _ = saved.model.config.code_token_ids
    mask = saved.model.config.code_mask_id
    ids = torch.tensor([[5, start, start + 3, mask, start, 7, start + 1, 9, 9, start]])
    places = saved.model.encoder.code_positions.places(ids)
    coded = ids.ge(start) | ids.eq(mask)
    assert places[coded].tolist() == [0, 1, 2, 3, 0, 0]


def test_equal_codes_differ_by_row_and_column_and_other_ids_do_not(saved) -> None:
    encoder, start = saved.model.encoder, saved.model.config.code_token_ids[0]
    ids = torch.tensor([[start] * 8 + [5, 5]])
    added = encoder.code_positions(ids, encoder.code_positions.places(ids))[0]
    assert len({tuple(row.tolist()) for row in added[:4]}) == 4
    assert torch.equal(added[:4], added[4:8])  # the next image begins anew
    assert not added[8:].any()


@torch.inference_mode()
def test_step_by_step_is_as_at_once_and_as_transformers_does_it(saved) -> None:
    model = saved.model
    codes = saved.codec.vocabulary.image_codes
    source = torch.tensor([[4, 5, codes[3], codes[9], codes[1], codes[0], 1]])
    mask = torch.ones_like(source)
    target = torch.tensor([[0, codes[7], codes[7], codes[2], codes[7], 9, 11]])
    at_once = model(source, mask, decoder_input_ids=target).logits[0]
    hidden = model.encoder(source, mask)[0]
    decoder = BeamDecoder(model, hidden, mask, target.shape[1])
    steps = [decoder.next_logits(target[:, i : i + 1])[0] for i in range(target.shape[1])]
    torch.testing.assert_close(torch.stack(steps), at_once, atol=1e-4, rtol=1e-4)
    found = write(model, Memory(hidden, mask), 8)[0][0].ids
    theirs = model.generate(
        input_ids=source, attention_mask=mask, max_new_tokens=8, do_sample=False, num_beams=1
    )
    assert theirs[0, 1 : 1 + len(found)].tolist() == found


def test_a_model_without_codes_has_no_places_for_them(saved) -> None:
    from unified_vl.model.configuration import UnifiedVLConfig
    from unified_vl.model.unified import UnifiedVLForConditionalGeneration

    config = UnifiedVLConfig(vocab_size=128, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4)
    names = [name for name, _ in UnifiedVLForConditionalGeneration(config).named_parameters()]
    assert not [name for name in names if "code_positions" in name]
