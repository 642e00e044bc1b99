"""What a text tokenizer offers, whatever its kind: one file of this folder each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar

LONG_TEXT = 1 << 16  # characters; longer texts are cut before they are encoded, and not kept
BYTES_AND_CONTROLS = 259  # 256 byte pieces, pad, eos, unk
ASCII = 0x80  # bytes below are whole characters
FIRST_OF_SEVERAL = 0xC0  # bytes from here on begin a longer one
LONGEST_CHARACTER = 4  # bytes
SPACE = "\u2581"  # as pieces of SentencePiece write it


class TextCodec(ABC):
    """Text to ids and back.

    Attributes:
        FILE: what its file is called in a tokenizer's directory; it tells the kind.
        content: of that file, from which alone the codec can be made again.
    """

    FILE: ClassVar[str]

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._encode = lru_cache(maxsize=1 << 16)(self._encode_uncached)

    @abstractmethod
    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        if len(text) > LONG_TEXT:  # not to be kept
            return list(self._encode_uncached(text))
        return list(self._encode(text))

    def encode_start(self, text: str, least: int) -> list[int]:
        """The ids of a text; of a very long one at least its first `least` ids."""
        return self.encode(text)

    @abstractmethod
    def _encode_uncached(self, text: str) -> tuple[int, ...]: ...

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str: ...

    @abstractmethod
    def normalized(self, text: str) -> str:
        """The text as the tokenizer reads it: what comes back of it if nothing is unknown."""

    @abstractmethod
    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The names of ids, as the tokenizer's own kind writes them."""

    @property
    @abstractmethod
    def texts(self) -> Sequence[str]:
        """What each id adds to a text, spaces as spaces; of controls and `fragments` nothing."""

    @property
    @abstractmethod
    def byte_ids(self) -> Mapping[int, int]:
        """The bytes that ids of single bytes stand for."""

    @cached_property
    def fragments(self) -> Mapping[int, bytes]:
        """The ids that stand for bytes which need not be whole characters."""
        return {i: bytes([byte]) for i, byte in self.byte_ids.items()}

    @property
    @abstractmethod
    def unlearnt_ids(self) -> frozenset[int]:
        """Ids with which characters are written that the tokenizer did not learn."""

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that are no text: no answer may hold them."""
        return frozenset(i for i in self.special_ids.values() if i >= 0)

    @property
    @abstractmethod
    def special_ids(self) -> dict[str, int]:
        """Of padding, the end and the unknown, as `Vocabulary` names them; -1 for none."""

    def trimmed(self, texts: Iterable[str]) -> TextCodec:
        """A tokenizer with fewer pieces that writes these texts with the same ones: those that they
        use, single characters, bytes and controls."""
        return self

    def writings(self, word: str) -> list[list[int]]:
        """How a word is written: at the start of one, and within one."""
        return distinct([self.encode(word), self.encode(f" {word}")])

    def whole(self, ids: Sequence[int], end: int) -> int:
        """The last place up to `end` at which a cut splits no character."""
        place = end
        while place > 0 and ids[place - 1] in self.fragments and not self._ends(ids, place):
            place -= 1
        return place

    def _ends(self, ids: Sequence[int], place: int) -> bool:
        """Whether a character ends before `place`; also where what is there is none."""
        tail = b""
        while place > 0 and len(tail) < LONGEST_CHARACTER and ids[place - 1] in self.fragments:
            place -= 1
            tail = self.fragments[ids[place]] + tail
        for back, byte in enumerate(reversed(tail[-LONGEST_CHARACTER:]), 1):
            if byte < ASCII:
                return True
            if byte >= FIRST_OF_SEVERAL:
                return back >= 2 + (byte >= 0xE0) + (byte >= 0xF0)
        return True


def distinct(ways: list[list[int]]) -> list[list[int]]:
    """Each once, and none that is empty."""
    return [ids for number, ids in enumerate(ways) if ids and ids not in ways[:number]]


def writings_behind_a_space(codec: TextCodec, word: str) -> list[list[int]]:
    """`TextCodec.writings` of a tokenizer that puts a space in front of every text."""
    at_start = codec.encode(word)
    pieces = codec.pieces(at_start)
    found = [at_start]
    if pieces and pieces[0] == SPACE:
        found.append(at_start[1:])
    elif pieces and pieces[0].startswith(SPACE):
        behind = codec.encode(f"{word[0]}{word}")  # a neighbour keeps the space away
        first = codec.encode(word[0])
        if behind[: len(first)] == first:
            found.append(behind[len(first) :])
    return distinct(found)
