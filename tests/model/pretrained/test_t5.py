"""T5 and its kin from files as they are published: the same logits, the same answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.public_checkpoints import FAMILIES, SIZES, checkpoint
from tests.public_tokenizers import byt5_tokenizer, t5_tokenizer
from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.pretrained.starting import start_from
from unified_vl.model.pretrained.t5 import T5
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

OLD_KEYS = ("relative_attention_max_distance", "scale_decoder_outputs", "dense_act_fn")


def ours(directory: Path) -> UnifiedVLForConditionalGeneration:
    pretrained = open_pretrained(directory)
    rows = pretrained.shapes["encoder.embedding.weight"][0]
    names: list[str | None] = [None] * rows
    config = UnifiedVLConfig(vocab_size=rows, **pretrained.architecture)
    pretrained.__dict__["row_names"] = None  # ids mean the same
    model, start = start_from(pretrained, config, names, seed=0)
    assert not start.unused
    return model.float().eval()


def inputs(vocabulary: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids_BS = torch.randint(3, vocabulary, (4, 150), generator=generator)
    mask_BS = torch.ones_like(ids_BS)
    mask_BS[1, 70:] = 0
    mask_BS[3, 5:] = 0
    decoder_BT = torch.randint(3, vocabulary, (4, 140), generator=generator)
    return {"input_ids": ids_BS, "attention_mask": mask_BS, "decoder_input_ids": decoder_BT}


@pytest.mark.parametrize(
    ("name", "saving"),
    [(name, {}) for name in FAMILIES]
    + [("mt5", {"max_shard_size": "60KB"}), ("flan_t5", {"dtype": torch.bfloat16})],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "whole",
)
def test_logits_and_answers_equal_those_of_transformers(
    name: str, saving: dict, tmp_path: Path
) -> None:
    theirs = checkpoint(name, tmp_path, **saving)
    if "max_shard_size" in saving:
        assert len(list(tmp_path.glob("*.safetensors"))) > 2
    config = json.loads((tmp_path / "config.json").read_text())
    published = {key: value for key, value in config.items() if key not in OLD_KEYS}
    (tmp_path / "config.json").write_text(json.dumps(published))
    model = ours(tmp_path)
    given = inputs(theirs.config.vocab_size)
    with torch.no_grad():
        expected, found = theirs(**given).logits, model(**given).logits
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4
    source = {key: given[key] for key in ("input_ids", "attention_mask")}
    for beams in (1, 4):
        options = {"max_new_tokens": 12, "num_beams": beams, "do_sample": False}
        assert torch.equal(
            model.generate(**source, **options), theirs.generate(**source, **options)
        )


def test_rows_are_named_by_the_tokenizer_beside_them(tmp_path: Path) -> None:
    checkpoint("flan_t5", tmp_path)
    content = t5_tokenizer(tmp_path)
    found = open_pretrained(tmp_path).row_names
    assert found is not None and len(found) == SIZES["vocab_size"]
    assert list(found[:3]) == ["special:pad", "special:eos", "special:unk"]
    from unified_vl.codecs.texts.sentence_piece import SentencePieceText

    text = SentencePieceText(content)
    assert found[20] == f"piece:{text.pieces([20])[0]}"
    assert found[len(text) + 99] == "tag:sentinel:0" and found[len(text)] == "tag:sentinel:99"
    assert found[len(text) + 100] is None


def test_byt5_names_bytes_and_its_extra_ids(tmp_path: Path) -> None:
    checkpoint("byt5", tmp_path)
    byt5_tokenizer(tmp_path)
    found = open_pretrained(tmp_path).row_names
    assert found is not None
    assert found[3 + 0x41] == "byte:41" and found[259] == "tag:sentinel:0"


def spoil_config(**changes: object):
    def spoil(directory: Path) -> None:
        path = directory / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def only_pickle(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def truncated(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:9000])


def without(name: str):
    def spoil(directory: Path) -> None:
        path = directory / "model.safetensors"
        weights = load_file(path)
        del weights[name]
        save_file(weights, path)

    return spoil


BAD = {
    "pickle": (only_pickle, "pytorch_model.bin alone, .*save_pretrained writes"),
    "truncated": (truncated, "cannot be read"),
    "unknown": (spoil_config(model_type="mt6"), "'mt6' .*did you mean 'mt5'"),
    "activation": (
        spoil_config(feed_forward_proj="gated-gelo"),
        "proj: .*'gated-gelo",
    ),
    "deeper": (spoil_config(num_layers=4), "encoder.block.3.* is missing"),
    "shallower": (spoil_config(num_layers=2), "encoder.block.2.* is none of this model"),
    "ungated": (
        spoil_config(feed_forward_proj="relu"),
        "wi.weight' is missing.*wi_[01].weight",
    ),
    "size": (spoil_config(d_kv=0), "d_kv: found 0"),
    "weight": (without("decoder.final_layer_norm.weight"), "final_layer_norm.weight' is missing"),
    "embedding": (without("shared.weight"), "'shared.weight' is missing"),
    "no tokenizer": (lambda d: (d / "spiece.model").unlink(), "no tokenizer here.*spiece.model"),
    "other tokenizer": (lambda d: t5_tokenizer(d, 1000), "1,?[0-9]* ids, its embedding 1152 rows"),
    "broken tokenizer": (
        lambda d: (d / "spiece.model").write_bytes(b"x"),
        "spiece.model: this is not a SentencePiece model",
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_what_cannot_be_started_from_is_refused(how: str, tmp_path: Path) -> None:
    checkpoint("flan_t5", tmp_path)
    t5_tokenizer(tmp_path)
    assert open_pretrained(tmp_path).row_names
    spoil, told = BAD[how]
    spoil(tmp_path)
    with pytest.raises(UserError, match=told):
        assert open_pretrained(tmp_path).row_names


def test_a_head_of_its_own_that_equals_the_embedding_is_tied(tmp_path: Path) -> None:
    checkpoint("umt5", tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    save_file(weights | {"lm_head.weight": weights["shared.weight"].clone()}, path)
    found = T5(tmp_path).architecture
    assert found["tie_word_embeddings"] and found["scale_decoder_output"]
    assert "lm_head.weight" not in T5(tmp_path).shapes
