"""Text to SentencePiece ids and back (unigram with byte fallback: nothing is unknown)."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path

import sentencepiece

from unified_vl.codecs.training_text import MAX_BYTES, TrainingText, training_text
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID
from unified_vl.errors import UserError
from unified_vl.files import write_atomically

LONG_TEXT = 1 << 16  # characters; longer texts are cut before they are encoded, and not kept
_JAMO = frozenset(map(chr, range(0x1100, 0x1200)))  # letters that NFC puts into syllables
_START = 32  # characters an id, at first
BYTES_AND_CONTROLS = 259  # 256 byte pieces, pad, eos, unk


class TextCodec:
    """A trained SentencePiece model.

    Text is brought to Unicode NFC first, and nothing else of it is changed: a
    zero-width joiner in Persian or a full-width letter in Japanese survives.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self._encode = lru_cache(maxsize=1 << 16)(self._encode_uncached)

    @classmethod
    def load(cls, path: str | Path) -> TextCodec:
        """Read a `.model` file.

        Raises:
            UserError: when it is missing or is not a SentencePiece model.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(
                "there is no tokenizer here", file=path, expected="a SentencePiece model"
            )
        try:
            return cls(path.read_bytes())
        except (RuntimeError, ValueError) as error:
            raise UserError("this is not a SentencePiece model", file=path) from error

    def __len__(self) -> int:
        return int(self._processor.GetPieceSize())

    def encode(self, text: str) -> list[int]:
        if len(text) > LONG_TEXT:  # not to be kept
            return list(self._encode_uncached(text))
        return list(self._encode(text))

    def encode_start(self, text: str, least: int) -> list[int]:
        """The ids of a text; of a very long one at least its first `least` ids.

        A text takes SentencePiece some 60 times its size, of which a sequence has room for little.
        The way that a unigram model takes through a text depends, up to a place, on the text
        before it and on where it goes on within the length of the longest piece. So the start is
        cut at each of as many places, and what all of the ways have in common is the way of the
        whole text.
        """
        size = _START * least
        while len(text) > max(LONG_TEXT, size + self._longest_piece):
            end = _between_characters(text, size)
            ways = [self._encode_uncached(text[: end + i]) for i in range(self._longest_piece)]
            at_each = takewhile(lambda ids: len(set(ids)) == 1, zip(*ways, strict=False))
            common = [ids[0] for ids in at_each]
            if len(common) >= least:
                return common
            size *= 4
        return self.encode(text)

    @cached_property
    def _longest_piece(self) -> int:
        """Characters of it."""
        return max(len(piece) for piece in self.pieces(range(len(self))))

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self._processor.EncodeAsIds(unicodedata.normalize("NFC", text)))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.DecodeIds(list(ids)))

    @cached_property
    def unlearnt_ids(self) -> frozenset[int]:
        """Ids of the pieces that stand for no text: the 256 bytes, and the unknown piece."""
        known = self._processor
        return frozenset(i for i in range(len(self)) if known.IsByte(i) or known.IsUnknown(i))

    @property
    def special_ids(self) -> dict[str, int]:
        """Of padding, the end and the unknown, as `Vocabulary` names them; -1 for none."""
        one = self._processor
        return {"pad_id": one.pad_id(), "eos_id": one.eos_id(), "unk_id": one.unk_id()}

    @cached_property
    def byte_ids(self) -> dict[int, int]:
        """The bytes that pieces stand for, by id; empty without byte fallback."""
        ids = [i for i in range(len(self)) if self._processor.IsByte(i)]
        return {i: int(piece[1:-1], 16) for i, piece in zip(ids, self.pieces(ids), strict=True)}

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as SentencePiece writes them (U+2581 marks a space)."""
        return [self._processor.IdToPiece(i) for i in ids]


def _between_characters(text: str, end: int) -> int:
    """The place at or a little before `end` that splits no character and its marks."""
    for place in range(end, max(end - 1000, 0), -1):
        character = text[place]
        if not unicodedata.category(character).startswith("M") and character not in _JAMO:
            return place
    return end


def train_text_tokenizer(
    texts: Iterable[str] | TrainingText, path: Path, vocabulary_size: int
) -> TextCodec:
    """Train a SentencePiece unigram model with byte fallback and write it to `path`.

    Args:
        texts: the training text, of any length an item, in every language to be used.
        path: the `.model` file to write; written whole or not at all.
        vocabulary_size: upper bound; fewer pieces when the text has no more to give.

    Raises:
        UserError: when there is no text, or the bound is too small for its characters.
    """
    text = texts if isinstance(texts, TrainingText) else training_text(texts)
    if not text.sentences:
        raise UserError("there is no text to train a tokenizer on")
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(text.sentences),
            model_writer=buffer,
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            max_sentence_length=MAX_BYTES,
            model_type="unigram",
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            bos_id=-1,
            num_threads=1,  # the result depends on the number of threads
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        if least := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise UserError(
                f"{vocabulary_size} pieces cannot hold the bytes and letters of the text",
                field="vocabulary_size",
                expected=f"at least {least[1]}",
            ) from error
        raise UserError(
            f"the tokenizer cannot be trained: {error}", field="vocabulary_size"
        ) from error
    write_atomically(path, buffer.getvalue())
    return TextCodec(buffer.getvalue())
