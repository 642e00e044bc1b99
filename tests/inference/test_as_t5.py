"""A saved model as a T5 of transformers: it loads there, and gives the same logits and ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration, UMT5ForConditionalGeneration
from typer.testing import CliRunner

from tests.public_tokenizers import NUMBERS, TEXTS, byte_level_bpe, sentence_piece, spaced_pieces
from unified_vl.cli.main import app
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.byte_level_bpe import ByteLevelBPE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.spaced_pieces import SpacedPieces
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.inference.saved_models.as_t5 import write_t5
from unified_vl.inference.saved_models.model_directory import SavedModel, load_model, save_model
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

ARCHITECTURES = {
    "usual": {},
    "unscaled": {"scale_attention": False},
    "tied, scaled": {"tie_word_embeddings": True, "scale_decoder_output": True},
    "tied, not scaled": {"tie_word_embeddings": True},
    "untied, scaled": {"scale_decoder_output": True},
    "ungated": {"gated": False, "activation": "relu"},
    "gelu": {"activation": "gelu"},
    "ungated gelu": {"gated": False, "activation": "gelu"},
    "silu, odd heads": {"activation": "silu", "d_kv": 12},
    "umt5": {"bias_per_layer": True, "tie_word_embeddings": True, "scale_decoder_output": True},
}


def random_model(vocabulary: int, **changes: object) -> UnifiedVLForConditionalGeneration:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
    torch.manual_seed(0)
    config = UnifiedVLConfig(vocab_size=vocabulary, num_decoder_layers=2, **{**sizes, **changes})
    model = UnifiedVLForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or "bias" in name:
                weight.add_(torch.randn_like(weight) * 0.3)
    return model


def saved(text: TextCodec, **changes: object) -> SavedModel:
    special = {name: i for name, i in text.special_ids.items() if i >= 0}
    special = special or {"pad_id": 1, "eos_id": 2, "unk_id": 3}
    vocabulary = Vocabulary(len(text), ("image", "task:say", "language:de"), 20, **special)
    codec = SequenceCodec(vocabulary, text, image_tokens=4, image_size=(8, 8))
    ids = {
        "pad_token_id": vocabulary.pad_id,
        "eos_token_id": vocabulary.eos_id,
        "decoder_start_token_id": vocabulary.pad_id,
    }
    return SavedModel(random_model(vocabulary.size, **ids, **changes), codec, {}, {})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    path = tmp_path_factory.mktemp("own") / "text.model"
    return train_text_tokenizer([*TEXTS.values(), *NUMBERS] * 4, path, 900)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_transformers_gives_the_same_logits_and_answers(
    own: TextCodec, name: str, tmp_path: Path
) -> None:
    mine = saved(own, **ARCHITECTURES[name])
    write_t5(mine, tmp_path / "t5")
    kind = UMT5ForConditionalGeneration if name == "umt5" else T5ForConditionalGeneration
    theirs = kind.from_pretrained(tmp_path / "t5").eval()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, mine.codec.vocabulary.text_size, (3, 40), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        expected = mine.model(**given, decoder_input_ids=ids[:, :30]).logits
        found = theirs(**given, decoder_input_ids=ids[:, :30]).logits
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4
    for beams in (1, 4):
        options = {"max_new_tokens": 10, "num_beams": beams, "do_sample": False}
        assert torch.equal(
            mine.model.generate(**given, **options), theirs.generate(**given, **options)
        )
    back = open_pretrained(tmp_path / "t5")
    rows = back.shapes["encoder.embedding.weight"][0]
    assert rows == mine.codec.vocabulary.size
    assert torch.equal(back.read("encoder.embedding.weight"), mine.model.encoder.embedding.weight)


@pytest.mark.parametrize("kind", ["own", "t5", "mt5", "bpe", "unigram", "gemma"])
def test_the_tokenizer_gives_the_same_ids(own: TextCodec, kind: str, tmp_path: Path) -> None:
    text = {
        "own": own,
        "t5": SentencePieceText(sentence_piece()),
        "mt5": SentencePieceText(sentence_piece(byte_fallback=True)),
        "bpe": ByteLevelBPE(byte_level_bpe()),
        "unigram": SpacedPieces(spaced_pieces("unigram")),
        "gemma": SpacedPieces(spaced_pieces("gemma")),
    }[kind]
    mine = saved(text)
    write_t5(mine, tmp_path / "t5")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "t5")
    vocabulary = mine.codec.vocabulary
    assert (theirs.pad_token_id, theirs.eos_token_id) == (vocabulary.pad_id, vocabulary.eos_id)
    for words in [*TEXTS.values(), "two dogs 🙂", "a  b"]:
        ids = theirs(words, add_special_tokens=False).input_ids
        assert ids == text.encode(words), words
        assert (
            theirs.decode(ids, skip_special_tokens=True).strip()
            == text.decode([i for i in ids if i not in text.control_ids]).strip()
        )
    for tag in vocabulary.tags:
        assert theirs.convert_tokens_to_ids(f"<{tag}>") == vocabulary.tag_id(tag)
    assert theirs.convert_tokens_to_ids("<location:7>") == vocabulary.locations[7]


def test_bytes_are_byt5(tmp_path: Path) -> None:
    written = write_t5(saved(ByteText()), tmp_path / "t5")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "t5")
    words = "größer 雪"
    assert theirs(words, add_special_tokens=False).input_ids == ByteText().encode(words)
    assert any("tags" in note for note in written.notes)


def test_what_is_no_t5_is_refused_and_nothing_written(own: TextCodec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be a umT5"):
        write_t5(saved(own, bias_per_layer=True), tmp_path / "t5")
    other = replace(saved(own), model=torch.nn.Linear(1, 1))
    with pytest.raises(UserError, match="not those of a T5"):
        write_t5(other, tmp_path / "t5")
    assert not (tmp_path / "t5").exists()


def test_the_command_says_what_is_left_out(tiny, tmp_path: Path) -> None:
    save = tiny.saved
    save_model(tmp_path / "m", save.model, save.codec, save.specs.values(), {}, shots=save.shots)
    arguments = ["convert", "model", str(tmp_path / "m"), "--output", str(tmp_path / "t5")]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "not in it: the image branch" in found.output
    theirs = T5ForConditionalGeneration.from_pretrained(tmp_path / "t5").eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    mine = load_model(tmp_path / "m").model
    with torch.no_grad():
        difference = theirs(input_ids=ids, decoder_input_ids=ids).logits
        difference = difference - mine(input_ids=ids, decoder_input_ids=ids).logits
    assert difference.abs().max() <= 1e-4
    wrong = CliRunner().invoke(app, [*arguments, "--to", "bart"])
    assert isinstance(wrong.exception, UserError) and "found 'bart'" in str(wrong.exception)
