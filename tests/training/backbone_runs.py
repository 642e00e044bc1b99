"""Runs that start from tiny checkpoints which `transformers` computes."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from tests.model.backbones.models import make
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.files import write_atomically
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run

ROWS = 320  # of the checkpoint's embedding; its tokenizer has fewer pieces
FAMILIES = ("t5gemma2", "florence2", "bart")
SIZES = {"t5gemma2": [16, 16], "florence2": [64, 64], "bart": [8, 8]}
WAYS = {"packed": ["packing=true"], "two streams": ["model.encoder={kind: two_streams}"]}
STEPS = ["steps=4", "optimizer.decay=constant", "optimizer.warmup_steps=0"]


def write_world(root: Path, squares: Path, families: Sequence[str] = FAMILIES) -> Path:
    """A folder with a checkpoint, a tokenizer and a run file of each family."""
    for family in families:
        make(family, root / family / "checkpoint", rows=ROWS, max_shard_size="40KB")
        write_tokenizer(root / family / "tokenizer", family)
        if family == "t5gemma2":  # the others' rows are found by their ids
            text = root / family / "tokenizer" / "text.model"
            shutil.copy(text, root / family / "checkpoint" / "tokenizer.model")
        text = (squares / "run.yaml").read_text()
        start, stop = text.index("model:"), text.index("optimizer:")
        vision = "  vision: {kind: patches, image_size: [8, 8], patch_size: 4}\n"
        keys = vision if family == "bart" else ""
        text = f"{text[:start]}model:\n  from: checkpoint\n{keys}{text[stop:]}"
        text = text.replace("mixture: mixture.yaml", f"mixture: {squares / 'mixture.yaml'}")
        text = text.replace(f"tokenizer: {squares}/tokenizer", "tokenizer: tokenizer")
        (root / family / "run.yaml").write_text(text)
    return root


def write_tokenizer(folder: Path, family: str, more: Sequence[str] = ()) -> None:
    """The text tokenizer with the family's special ids, and our tags behind its pieces.

    Args:
        folder: where it goes.
        family: of the checkpoint.
        more: tags beside the usual ones.
    """
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    if family != "t5gemma2":
        ids = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["red rot green grün blue blau white weiß black schwarz"] * 9),
        model_writer=model,
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        normalization_rule_name="identity",
        minloglevel=2,
        **ids,
    )
    write_atomically(folder / "text.model", model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).GetPieceSize()
    tags = standard_tags(["en", "de"], ["see", "say"], ["seeing"], more)
    own = {key: ids[key] for key in ("pad_id", "eos_id", "unk_id")}
    write_atomically(folder / "vocabulary.json", Vocabulary(pieces, tags, 16, **own).to_json())


def run_in_way(way: str, squares: Path, world: Path, output: Path, keys: Sequence[str]) -> Run:
    """The run of squares, computed in another way where `WAYS` has one, or by a backbone.

    Args:
        way: a name of `WAYS`, a family of `world`, or any other for the run as it is.
        squares: the folder of the run.
        world: of `write_world`.
        output: of a backbone's run.
        keys: that both are given.
    """
    if way in FAMILIES:
        return run_of(world, way, output, *keys)
    return load_run(squares / "run.yaml", [*keys, *WAYS.get(way, ())])


def run_of(world: Path, family: str, output: Path, *more: str) -> Run:
    return load_run(world / family / "run.yaml", [f"output={output}", *more])
