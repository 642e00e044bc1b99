"""A T5 of `transformers` as CTranslate2 runs it, for who measures answers beside it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import torch
from ctranslate2.converters import TransformersConverter
from t5_pairs import BATCH, TARGET, Pair

from tokenizers import Tokenizer, models

PEER = f"CTranslate2 {ctranslate2.__version__}"
Ids = list[list[int]]


@dataclass(frozen=True)
class Converted:
    """The weights of a pair in CTranslate2's form.

    Attributes:
        folder: has a directory of each kind: `float32`, `int8`.
        pieces: of its vocabulary, by their ids.
        ids: of the sources.
    """

    folder: Path
    pieces: Sequence[str]
    ids: Ids

    def greedy(self, kind: str) -> Callable[[], Ids]:
        """What answers all sources, on as many threads as torch has now."""
        translator = ctranslate2.Translator(
            str(self.folder / kind), compute_type=kind, intra_threads=torch.get_num_threads()
        )
        sources = [[self.pieces[i] for i in row] for row in self.ids]
        places = {piece: i for i, piece in enumerate(self.pieces)}

        def write() -> Ids:
            found = translator.translate_batch(
                sources,
                beam_size=1,
                max_decoding_length=TARGET,
                max_batch_size=BATCH,
                return_end_token=True,
            )
            return [[places[piece] for piece in one.hypotheses[0]] for one in found]

        return write


@contextmanager
def converted(pair: Pair, kinds: Sequence[str]) -> Iterator[Converted]:
    """A pair's weights for CTranslate2, in these kinds, as long as the block lasts."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = folder / "t5"
        pair.theirs.save_pretrained(source)
        special = ["<pad>", "</s>", "<unk>"]
        pieces = special + [f"w{i}" for i in range(3, pair.theirs.config.vocab_size)]
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        Tokenizer(models.WordLevel(vocabulary, "<unk>")).save(str(source / "tokenizer.json"))
        names = dict(zip(("pad_token", "eos_token", "unk_token"), special, strict=True))
        facts = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
        (source / "tokenizer_config.json").write_text(json.dumps(facts), encoding="utf-8")
        for kind in kinds:
            TransformersConverter(str(source)).convert(str(folder / kind), quantization=kind)
        yield Converted(folder, pieces, pair.ids_BS.tolist())
