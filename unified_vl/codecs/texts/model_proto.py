"""The file of a SentencePiece model: read, and written again with fewer pieces.

Its format is a protocol buffer (sentencepiece_model.proto of SentencePiece): of the whole, field 1
is a piece, again and again; 2 says how it was trained, 3 how text is normalised. What is not
changed here is copied byte by byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

PIECE, TRAINER, NORMALIZER = 1, 2, 3
MODEL_TYPE, VOCAB_SIZE = 3, 4  # of TRAINER
UNIGRAM = 1
CHARSMAP, EXTRA_SPACES = 2, 4  # of NORMALIZER
KIND = 3  # of PIECE
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # types of pieces
VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}
Field = tuple[int, int, bytes, bytes]
"""Number, wire type, value (of a length or of a number as it is written), all of its bytes."""


class ModelProto:
    """The parts of a model's file.

    Args:
        content: of the file.

    Raises:
        ValueError: when it is no protocol buffer.
    """

    def __init__(self, content: bytes) -> None:
        self._fields = list(_fields(content))
        self.pieces = [value for number, _, value, _ in self._fields if number == PIECE]

    @property
    def user_defined(self) -> frozenset[int]:
        """The ids of pieces that somebody named and nothing splits."""
        return frozenset(
            i
            for i, piece in enumerate(self.pieces)
            for number, _, value, _ in _fields(piece)
            if number == KIND and _number(value) == USER_DEFINED
        )

    @property
    def is_unigram(self) -> bool:
        kinds = [value for n, _, value, _ in self._of(TRAINER) if n == MODEL_TYPE]
        return not kinds or _number(kinds[-1]) == UNIGRAM

    @property
    def charsmap(self) -> bytes:
        """The rules for what characters become, compiled; empty where there are none."""
        found = [value for number, _, value, _ in self._of(NORMALIZER) if number == CHARSMAP]
        return found[-1] if found else b""

    @property
    def normalizes(self) -> bool:
        """Whether it has rules of its own for what characters become."""
        return bool(self.charsmap)

    @property
    def removes_spaces(self) -> bool:
        """Whether spaces at the ends, and all of several but one, go."""
        found = [value for number, _, value, _ in self._of(NORMALIZER) if number == EXTRA_SPACES]
        return not found or bool(_number(found[-1]))

    def _of(self, part: int) -> Iterator[Field]:
        for number, _, value, _ in self._fields:
            if number == part:
                yield from _fields(value)

    def with_pieces(self, kept: Iterable[int]) -> bytes:
        """The file with the pieces of these ids alone, in their order."""
        return self.in_order(sorted(set(kept)))

    def in_order(self, order: Sequence[int | bytes]) -> bytes:
        """The file with other pieces.

        Args:
            order: the id that a piece has now, or a new `piece`.
        """
        old = [whole for number, _, _, whole in self._fields if number == PIECE]
        parts = [each if isinstance(each, bytes) else old[each] for each in order]
        for number, _, value, whole in self._fields:
            if number == TRAINER:
                spec = [w for n, _, _, w in _fields(value) if n != VOCAB_SIZE]
                spec.append(bytes([VOCAB_SIZE << 3 | VARINT]) + varint(len(order)))
                told = b"".join(spec)
                parts.append(bytes([TRAINER << 3 | BYTES]) + varint(len(told)) + told)
            elif number != PIECE:
                parts.append(whole)
        return b"".join(parts)


def _fields(content: bytes) -> Iterator[Field]:
    place = 0
    while place < len(content):
        start = place
        key, place = _read_varint(content, place)
        number, wire = key >> 3, key & 7
        value_at = place
        if wire == BYTES:
            size, value_at = _read_varint(content, place)
            place = value_at + size
        elif wire == VARINT:
            _, place = _read_varint(content, place)
        elif wire in FIXED:
            place += FIXED[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if place > len(content):
            raise ValueError("it ends too early")
        yield number, wire, content[value_at:place], content[start:place]


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("it ends too early")


def _number(written: bytes) -> int:
    return _read_varint(written, 0)[0]


def varint(value: int) -> bytes:
    """A number as the format writes it: seven bits a byte, the low ones first."""
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def piece(text: str, score: float, kind: int) -> bytes:
    """A piece as the file holds it, of one of the types above."""
    written = text.encode()
    value = b"\x0a" + varint(len(written)) + written  # field 1, its text
    value += b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind)  # 2 and 3
    return b"\x0a" + varint(len(value)) + value
