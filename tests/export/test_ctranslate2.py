"""A saved model in CTranslate2: it writes the ids that the model writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import ctranslate2
import pytest
import torch
from typer.testing import CliRunner

from tests.export.conftest import random_model
from tests.tiny import Tiny
from unified_vl.cli.main import app
from unified_vl.decoding.protocol import encode
from unified_vl.decoding.search import write
from unified_vl.errors import UserError
from unified_vl.export.ctranslate2_directory import VOCABULARY, write_ctranslate2

ARCHITECTURES = {
    "usual": {},
    "unscaled, ungated": {"scale_attention": False, "gated": False, "activation": "relu"},
    "tied, scaled": {"tie_word_embeddings": True, "scale_decoder_output": True},
    "umt5": {"bias_per_layer": True, "tie_word_embeddings": True, "scale_decoder_output": True},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_greedy_ids_are_those_of_the_model(tiny: Tiny, name: str, tmp_path: Path) -> None:
    size = tiny.saved.codec.vocabulary.size
    model = random_model(vocab_size=size, **ARCHITECTURES[name])
    write_ctranslate2(replace(tiny.saved, model=model), tmp_path / "ct2")
    pieces = json.loads((tmp_path / "ct2" / VOCABULARY).read_text(encoding="utf-8"))
    translator = ctranslate2.Translator(str(tmp_path / "ct2"), intra_threads=1)
    generator = torch.Generator().manual_seed(2)
    ids_BS = torch.randint(3, size, (4, 11), generator=generator)
    ids_BS[:, -1] = 1
    with torch.inference_mode():
        memory = encode(model, ids_BS, torch.ones_like(ids_BS))
        expected = [row[0].ids for row in write(model, memory, 20)]
    sources = [[pieces[i] for i in row] for row in ids_BS.tolist()]
    found = translator.translate_batch(
        sources, beam_size=1, max_decoding_length=20, return_end_token=True
    )
    assert [[pieces.index(p) for p in one.hypotheses[0]] for one in found] == expected


def test_the_command_says_what_is_left_out_and_int8_is_smaller(
    model_directory: Path, tmp_path: Path
) -> None:
    sizes = []
    for more in ([], ["--int8"]):
        target = tmp_path / f"ct2{len(more)}"
        words = ["convert", "model", str(model_directory), "--to", "ctranslate2", *more]
        found = CliRunner().invoke(app, [*words, "--output", str(target)])
        assert found.exit_code == 0, found.output
        assert "not in it: the image branch" in found.output
        assert (target / "tokenizer/vocabulary.json").is_file()
        sizes.append((target / "model.bin").stat().st_size)
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "t5", "--int8"], "a T5 is not written in int8"),
        (["--to", "bart"], "found 'bart'"),
    ],
)
def test_bad_input_is_one_message(words: list[str], said: str, model_directory: Path) -> None:
    output = ["--output", str(model_directory)]
    found = CliRunner().invoke(app, ["convert", "model", str(model_directory), *words, *output])
    assert isinstance(found.exception, UserError) and said in str(found.exception)
