"""From a public checkpoint to a model that answers: adopt, train, resume, predict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.public_checkpoints import checkpoint
from tests.public_tokenizers import (
    bart_tokenizer,
    byt5_tokenizer,
    sentence_piece,
    spaced_pieces,
    t5_tokenizer,
    tokenizers_file,
)
from unified_vl.checkpoint_folders import newest
from unified_vl.cli.main import app
from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.texts.published import published_text
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.specs.load import load_run, load_tasks
from unified_vl.training.tokenizers.tokenizer_adoption import adopt_tokenizer
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs
from unified_vl.training.trainer import train

KEYS = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads")
TOKENIZERS = {
    "t5": lambda d: t5_tokenizer(d),
    "mt5": lambda d: t5_tokenizer(
        d, 0, byte_fallback=True, user_defined_symbols=[f"\u2581<extra_id_{i}>" for i in range(9)]
    ),
    "bart": lambda d: bart_tokenizer(d, tuple(f"<loc_{i}>" for i in range(1000))),
    "byt5": byt5_tokenizer,
    "unigram": lambda d: tokenizers_file(d, spaced_pieces("unigram")),
    "gemma": lambda d: tokenizers_file(d, spaced_pieces("gemma")),
    "mbart": lambda d: (
        d.mkdir(),
        (d / "sentencepiece.bpe.model").write_bytes(
            sentence_piece(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
        ),
        (d / "config.json").write_text('{"model_type": "mbart"}'),
    ),
}


SENTINELS = {"t5": 100, "mt5": 9, "byt5": 100}


def adopt(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["tokenizer", "adopt", *map(str, arguments)])
    if found.exception is not None:
        raise found.exception
    return found.output


def run_from(squares: Path, source: Path, tokenizer: Path, folder: Path) -> Path:
    lines = (squares / "run.yaml").read_text().splitlines()
    kept = [line for line in lines if line.strip().split(":")[0] not in KEYS]
    text = "\n".join(kept).replace("model:", f"model:\n  from: {source}")
    text = text.replace(f"tokenizer: {squares}/tokenizer", f"tokenizer: {tokenizer}")
    text = text.replace(f"output: {squares}/output", f"output: {folder / 'output'}")
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares / 'mixture.yaml'}")
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(text)
    return folder / "run.yaml"


@pytest.mark.parametrize("trim", [False, True])
def test_a_checkpoint_trains_resumes_and_answers(squares: Path, tmp_path: Path, trim: bool) -> None:
    source, tokenizer = tmp_path / "flan", tmp_path / "tokenizer"
    checkpoint("flan_t5", source)
    t5_tokenizer(source)
    more = ["--trim", "--data", squares / "data"] if trim else []
    told = adopt(source, "--spec", squares / "mixture.yaml", "--output", tokenizer, *more)
    assert ("kept" in told and "nothing is saved" in told) == trim  # the tags are more
    run = run_from(squares, source, tokenizer, tmp_path / "whole")
    train(load_run(run), progress=False)
    facts = load_model(tmp_path / "whole/output/model").facts["started_from"]
    vocabulary, text = load_tokenizer(tokenizer)
    assert facts["rows_taken"]["piece"] + facts["rows_taken"]["special"] == len(text)
    assert facts["rows_taken"]["tag"] == 100
    halves = run_from(squares, source, tokenizer, tmp_path / "halves")
    shutil.copytree(tmp_path / "whole/output", tmp_path / "halves/output")
    saved = tmp_path / "halves/output/checkpoints"
    shutil.rmtree(saved / str(newest(saved)))  # as if it had ended before
    shutil.rmtree(tmp_path / "halves/output/model")
    train(load_run(halves), resume=True, progress=False)
    weights = "output/model/model.safetensors"
    whole, resumed = (load_file(tmp_path / name / weights) for name in ("whole", "halves"))
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())
    model = UnifiedVL.from_pretrained(tmp_path / "whole/output/model")
    assert isinstance(model.predict("say", text="red", language="de").text, str)
    assert load_model(tmp_path / "whole/output/model").codec.vocabulary == vocabulary


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ids_keep_their_meaning(squares: Path, tmp_path: Path, kind: str) -> None:
    source, output = tmp_path / "source", tmp_path / "tokenizer"
    TOKENIZERS[kind](source)
    adopt_tokenizer(source, load_tasks([squares / "mixture.yaml"]), output)
    vocabulary, text = load_tokenizer(output)
    published = published_text(source)
    names = row_names(vocabulary, text)
    theirs = {name for name in published.names if name is not None}
    ours = {name for name in names if name is not None}
    assert {name for name in names[: len(text)] if name is not None} <= theirs
    sentinels = {f"tag:sentinel:{i}" for i in range(100)}
    assert not [n for n in theirs - ours if not n.startswith(("tag:sentinel:1", "tag:language:"))]
    assert len(sentinels & ours) == SENTINELS.get(kind, 0)
    assert ("location:7/1000" in theirs) == (kind == "bart")
    assert ("tag:language:de" in theirs) == (kind == "mbart")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_trimmed_tokenizer_writes_the_same_pieces(
    squares: Path, tmp_path: Path, kind: str
) -> None:
    source, output = tmp_path / "source", tmp_path / "tokenizer"
    TOKENIZERS[kind](source)
    tasks = load_tasks([squares / "mixture.yaml"])
    texts = [*texts_of_specs(tasks, squares / "data"), "ein großer Hund", "雪の中 123"]
    told: list[str] = []
    adopt_tokenizer(source, tasks, output, texts=texts, tell=told.append)
    vocabulary, text = load_tokenizer(output)
    before = published_text(source).text

    def written(codec: TextCodec, words: str) -> list[str]:
        return codec.pieces(codec.encode(words))

    assert [written(text, words) for words in texts] == [written(before, w) for w in texts]
    other = "ＡＢ snow-dog"
    assert text.decode(text.encode(other)) == before.decode(before.encode(other))
    assert len(text) < len(before) or kind == "byt5"
    assert f"kept {len(text):,} of {len(before):,} pieces" in told[0]
    names = row_names(vocabulary, text)
    assert [names[i] for i in vocabulary.special] == ["special:pad", "special:eos", "special:unk"]


REFUSED = {
    "nothing": (lambda d: d.mkdir(), "there is no tokenizer here; expected spiece.model"),
    "word pieces": (
        lambda d: (
            d.mkdir(),
            (d / "tokenizer.json").write_text(
                json.dumps({"model": {"type": "WordPiece"}, "decoder": {"type": "WordPiece"}})
            ),
        ),
        "model.type: found model WordPiece, decoder WordPiece; expected BPE of bytes",
    ),
    "no end": (
        lambda d: t5_tokenizer(d, eos_id=-1),
        "the SentencePiece model has no eos_id; expected",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_cannot_be_adopted_is_refused(squares: Path, tmp_path: Path, how: str) -> None:
    spoil, told = REFUSED[how]
    spoil(tmp_path / "source")
    with pytest.raises(UserError, match=told):
        adopt(tmp_path / "source", "--spec", squares / "mixture.yaml", "--output", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_tokenizer_is_not_replaced_unasked(squares: Path, tmp_path: Path) -> None:
    t5_tokenizer(tmp_path / "source")
    mixture = squares / "mixture.yaml"
    arguments = (tmp_path / "source", "--spec", mixture, "--output", tmp_path / "t")
    adopt(*arguments)
    with pytest.raises(UserError, match="holds a tokenizer already"):
        adopt(*arguments)
    adopt(*arguments, "--overwrite")
