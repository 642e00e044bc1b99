"""The text tokenizer of a directory, of whatever kind: the file that lies there tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from unified_vl.codecs.texts.byte_level_bpe import ByteLevelBPE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.spaced_pieces import SpacedPieces
from unified_vl.codecs.texts.text_codec import SPACE, TextCodec
from unified_vl.codecs.texts.tokenizers_file import TokenizersText
from unified_vl.errors import UserError
from unified_vl.json_text import parse_json


def load_tokenizers_file(path: Path) -> TokenizersText:
    """Read a `tokenizer.json`: of runs of bytes, or of pieces of text as SentencePiece has them.

    Raises:
        UserError: when it is of another kind, or broken.
    """
    try:
        content = path.read_bytes()
        values = parse_json(content)
        model, decoder = values["model"]["type"], json.dumps(values["decoder"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError) as error:
        expected = "byte-level BPE, or pieces of a SentencePiece model"
        raise UserError(
            "this is not a tokenizer of `tokenizers`", file=path, expected=expected
        ) from error
    kind: type[TokenizersText] | None = None
    if model == "BPE" and '"ByteLevel"' in decoder:
        kind = ByteLevelBPE
    elif model in ("BPE", "Unigram") and ('"Metaspace"' in decoder or SPACE in decoder):
        kind = SpacedPieces
    if kind is None:
        raise UserError(
            f"found model {model}, decoder {(values['decoder'] or {}).get('type')}",
            file=path,
            field="model.type",
            expected="BPE of bytes (decoder ByteLevel), or BPE or Unigram with spaces as U+2581",
        )
    try:
        return kind(content)
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"this tokenizer cannot be read: {error}", file=path) from error


KINDS: dict[str, Callable[[Path], TextCodec]] = {
    SentencePieceText.FILE: SentencePieceText.load,
    TokenizersText.FILE: load_tokenizers_file,
    ByteText.FILE: ByteText.load,
}


def text_files(directory: Path) -> list[Path]:
    """The files of text tokenizers that a directory holds."""
    return [directory / name for name in KINDS if (directory / name).is_file()]


def load_text_codec(directory: Path) -> TextCodec:
    """Read the text tokenizer of a directory.

    Raises:
        UserError: when there is none, more than one, or one that is broken.
    """
    found = text_files(directory)
    if not found:
        path = directory / SentencePieceText.FILE
        expected = "a SentencePiece model, or beside it " + " or ".join(list(KINDS)[1:])
        raise UserError("there is no tokenizer here", file=path, expected=expected)
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"holds {names}", file=directory, expected="one text tokenizer")
    return KINDS[found[0].name](found[0])
