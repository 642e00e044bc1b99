"""The text tokenizer of a directory, of whatever kind: the file that lies there tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unified_vl.codecs.texts.byte_level_bpe import ByteLevelBPE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.errors import UserError

KINDS: dict[str, Callable[[Path], TextCodec]] = {
    SentencePieceText.FILE: SentencePieceText.load,
    ByteLevelBPE.FILE: ByteLevelBPE.load,
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
