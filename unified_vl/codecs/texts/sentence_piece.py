"""SentencePiece: the models that this project trains, and those of T5, mT5 and umT5 as they are."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path

import sentencepiece

from unified_vl.codecs.texts.model_proto import ModelProto
from unified_vl.codecs.texts.text_codec import LONG_TEXT, SPACE, TextCodec, writings_behind_a_space
from unified_vl.errors import UserError

_JAMO = frozenset(map(chr, range(0x1100, 0x1200)))  # letters that NFC puts into syllables
_START = 32  # characters an id, at first
_TRIED = 64  # places


class SentencePieceText(TextCodec):
    """A SentencePiece model.

    One that has no rules of its own for normalisation, as this project trains them, gets text in
    Unicode NFC, and nothing else of it is changed: a zero-width joiner in Persian or a full-width
    letter in Japanese survives. One that has rules (NFKC in T5 and mT5) gets text as it is.
    """

    FILE = "text.model"

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(content)
        self._proto = ModelProto(content)

    @classmethod
    def load(cls, path: Path) -> SentencePieceText:
        """Read a `.model` file.

        Raises:
            UserError: when it is not a SentencePiece model.
        """
        try:
            return cls(path.read_bytes())
        except (RuntimeError, ValueError) as error:
            raise UserError("this is not a SentencePiece model", file=path) from error

    def __len__(self) -> int:
        return int(self._processor.GetPieceSize())

    def encode_start(self, text: str, least: int) -> list[int]:
        """The ids of a text; of a very long one at least its first `least` ids.

        A text takes SentencePiece some 60 times its size, of which a sequence has room for little.
        The way that a unigram model takes through a text depends, up to a place, on the text
        before it and on where it goes on within the length of the longest piece. So the start is
        cut at each of as many places, and what all of the ways have in common is the way of the
        whole text. The places are where normalisation changes no character, and so moves none; a
        model of another kind than unigram reads all of the text.
        """
        size = _START * least
        # whether it is unigram is asked last: that reads the head of its file
        while len(text) > max(LONG_TEXT, size + self._longest_piece) and self._proto.is_unigram:
            end = self._unchanged(text, size)
            if end is None:
                break
            ways = [self._encode_uncached(text[: end + i]) for i in range(self._longest_piece)]
            at_each = takewhile(lambda ids: len(set(ids)) == 1, zip(*ways, strict=False))
            common = [ids[0] for ids in at_each]
            if len(common) >= least:
                return common
            size *= 4
        return self.encode(text)

    def _unchanged(self, text: str, end: int) -> int | None:
        """A place at or before `end` that splits no character, and behind which normalisation
        leaves as many characters as the longest piece has as they are."""
        if not self._proto.normalizes:
            return _between_characters(text, end)
        for place in range(end, max(end - _TRIED * self._longest_piece, 0), -self._longest_piece):
            start = _between_characters(text, place)
            # its neighbours too: a rule may join a character to the one before
            around = text[max(start - 1, 0) : start + self._longest_piece + 1]
            if self.normalized(around) == around.strip(" ") and "  " not in around:
                return start
        return None

    @cached_property
    def _longest_piece(self) -> int:
        """Characters of it."""
        return max(len(piece) for piece in self.pieces(range(len(self))))

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        if not self._proto.normalizes:
            text = unicodedata.normalize("NFC", text)
        return tuple(self._processor.EncodeAsIds(text))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.DecodeIds(list(ids)))

    def normalized(self, text: str) -> str:
        if not self._proto.normalizes:
            return unicodedata.normalize("NFC", text)
        return str(self._processor.Normalize(text)).replace(SPACE, " ").removeprefix(" ")

    @cached_property
    def texts(self) -> Sequence[str]:
        no_text = {*self.byte_ids, *self._controls}
        names = self.pieces(range(len(self)))
        return ["" if i in no_text else name.replace(SPACE, " ") for i, name in enumerate(names)]

    @cached_property
    def unlearnt_ids(self) -> frozenset[int]:
        """Ids of the pieces that stand for no text: the 256 bytes, and the unknown piece."""
        known = self._processor
        return frozenset(i for i in range(len(self)) if known.IsByte(i) or known.IsUnknown(i))

    @cached_property
    def _controls(self) -> frozenset[int]:
        known = self._processor
        return frozenset(
            i
            for i in range(len(self))
            if known.IsControl(i) or known.IsUnknown(i) or known.IsUnused(i)
        )

    @property
    def control_ids(self) -> frozenset[int]:
        return self._controls

    @property
    def special_ids(self) -> dict[str, int]:
        one = self._processor
        return {"pad_id": one.pad_id(), "eos_id": one.eos_id(), "unk_id": one.unk_id()}

    @cached_property
    def byte_ids(self) -> Mapping[int, int]:
        """Of the bytes that spell what no piece is; empty without byte fallback."""
        ids = [i for i in range(len(self)) if self._processor.IsByte(i)]
        return {i: int(piece[1:-1], 16) for i, piece in zip(ids, self.pieces(ids), strict=True)}

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as SentencePiece writes them (U+2581 marks a space)."""
        return [self._processor.IdToPiece(i) for i in ids]

    @property
    def proto(self) -> ModelProto:
        """The parts of its file."""
        return self._proto

    def scored(self) -> list[tuple[str, float]]:
        """All pieces, and their log-probabilities."""
        ids = range(len(self))
        scores = [float(self._processor.GetScore(i)) for i in ids]
        return list(zip(self.pieces(ids), scores, strict=True))

    def trimmed(self, texts: Iterable[str]) -> SentencePieceText:
        kept = {i for text in texts for i in self._encode_uncached(text)} | self._controls
        kept |= set(self.byte_ids)
        kept |= {i for i, text in enumerate(self.texts) if len(text.removeprefix(" ")) <= 1}
        kept |= self._proto.user_defined  # they bind in any text
        return SentencePieceText(self._proto.with_pieces(kept))

    def writings(self, word: str) -> list[list[int]]:
        return writings_behind_a_space(self, word)


def _between_characters(text: str, end: int) -> int:
    """The place at or a little before `end` that splits no character and its marks."""
    for place in range(end, max(end - 1000, 0), -1):
        character = text[place]
        if not unicodedata.category(character).startswith("M") and character not in _JAMO:
            return place
    return end
