"""unified_vl/decoding/search.py: what `transformers` writes, with rows that leave early."""

from __future__ import annotations

import pytest
import torch

from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID
from unified_vl.decoding.decoders.incremental import BeamDecoder
from unified_vl.decoding.protocol import Memory
from unified_vl.decoding.search import beam_search, write
from unified_vl.decoding.selection import BLOCK
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

LIMIT = 14
SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2}
KINDS = {
    "t5": {"vocab_size": 4 * BLOCK},
    "biases of each layer": {"vocab_size": 4 * BLOCK, "bias_per_layer": True},
    "tied": {"vocab_size": 150, "tie_word_embeddings": True, "scale_decoder_output": True},
}


def build(kind: str, seed: int = 0) -> UnifiedVLForConditionalGeneration:
    """A model that likes to end, so that rows end at different steps."""
    torch.manual_seed(seed)
    model = UnifiedVLForConditionalGeneration(UnifiedVLConfig(**SIZES, **KINDS[kind])).eval()
    with torch.no_grad():
        if model.config.tie_word_embeddings:  # or it would only say again what it read
            model.encoder.embedding.weight *= 0.2
            model.decoder.norm.weight *= 10.0
        model.lm_head.weight[EOS_ID] *= 2.0
        model.decoder.norm.weight *= 2.0
    return model


def sources(seed: int, rows: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids_BS = torch.randint(3, 150, (rows, 7), generator=generator)
    length_B1 = torch.randint(2, 8, (rows, 1), generator=generator)
    mask_BS = (torch.arange(7) < length_B1).long()
    return ids_BS * mask_BS, mask_BS


def memory_of(model, ids_BS: torch.Tensor, mask_BS: torch.Tensor) -> Memory:
    return Memory(model.encoder(ids_BS, mask_BS)[0], mask_BS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beams", [1, 2, 5])
@torch.inference_mode()
def test_what_is_written_is_what_transformers_writes(kind: str, beams: int, monkeypatch) -> None:
    monkeypatch.setattr(BeamDecoder, "first_positions", 4)  # so that room is made again
    lengths = set()
    for seed in range(4):
        model, (ids_BS, mask_BS) = build(kind, seed), sources(seed)
        memory = memory_of(model, ids_BS, mask_BS)
        if beams == 1:
            found = write(model, memory, LIMIT)
        else:
            found = beam_search(model, memory, LIMIT, beams)
        theirs = model.generate(
            input_ids=ids_BS,
            attention_mask=mask_BS,
            do_sample=False,
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=LIMIT,
            return_dict_in_generate=True,
            output_scores=True,
        )
        for row in range(len(ids_BS)):
            for place, hypothesis in enumerate(found[row]):
                expected = theirs.sequences[row * beams + place, 1:].tolist()
                length = len(hypothesis.ids)
                assert hypothesis.ids == expected[:length]
                assert set(expected[length:]) <= {PAD_ID, EOS_ID}  # their padding
                if beams > 1:
                    score = theirs.sequences_scores[row * beams + place].item()
                    assert hypothesis.score == pytest.approx(score, abs=1e-5)
                lengths.add(len(hypothesis.ids))
    assert len(lengths) > 2  # some end at once, some late


@pytest.mark.parametrize("beams", [1, 3])
@torch.inference_mode()
def test_rows_that_have_ended_are_not_computed(beams: int, monkeypatch) -> None:
    model, (ids_BS, mask_BS) = build("t5"), sources(0)
    computed = []
    step = BeamDecoder.step

    def counting(self, ids_BK: torch.Tensor) -> torch.Tensor:
        computed.append(len(ids_BK))
        return step(self, ids_BK)

    monkeypatch.setattr(BeamDecoder, "step", counting)
    memory = memory_of(model, ids_BS, mask_BS)
    if beams == 1:
        found = write(model, memory, LIMIT)
        assert sum(computed) == sum(len(row[0].ids) for row in found)
    else:
        beam_search(model, memory, LIMIT, beams)
    assert computed == sorted(computed, reverse=True)
    assert computed[0] == len(ids_BS) > computed[-1]


@torch.inference_mode()
def test_a_step_gives_the_logits_of_the_whole_sequence() -> None:
    model, (ids_BS, mask_BS) = build("biases of each layer"), sources(1)
    target_BT = torch.randint(3, 150, (len(ids_BS), 6), generator=torch.Generator().manual_seed(2))
    whole_BTV = model(input_ids=ids_BS, attention_mask=mask_BS, decoder_input_ids=target_BT).logits
    decoder = BeamDecoder(model, model.encoder(ids_BS, mask_BS)[0], mask_BS, positions=6)
    for step in range(6):
        logits_BV = model.logits(decoder.step(target_BT[:, step, None])[:, 0])
        assert (logits_BV - whole_BTV[:, step]).abs().max() < 1e-4
