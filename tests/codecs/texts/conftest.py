from __future__ import annotations

import pytest

from tests.public_tokenizers import NUMBERS, TEXTS, byte_level_bpe, sentence_piece, spaced_pieces
from unified_vl.codecs.texts.byte_level_bpe import ByteLevelBPE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.spaced_pieces import SpacedPieces
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.training import train_text_tokenizer

KINDS = ("own", "t5", "mt5", "bpe", "bytes", "unigram", "gemma")
COMPLETE = ("own", "mt5", "bpe", "bytes", "gemma")  # that can write every character


@pytest.fixture(scope="session")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextCodec]:
    path = tmp_path_factory.mktemp("own") / SentencePieceText.FILE
    return {
        "own": train_text_tokenizer([*TEXTS.values(), *NUMBERS] * 4, path, 900),
        "t5": SentencePieceText(sentence_piece()),
        "mt5": SentencePieceText(sentence_piece(byte_fallback=True)),
        "bpe": ByteLevelBPE(byte_level_bpe()),
        "bytes": ByteText(),
        "unigram": SpacedPieces(spaced_pieces("unigram")),
        "gemma": SpacedPieces(spaced_pieces("gemma")),
    }
