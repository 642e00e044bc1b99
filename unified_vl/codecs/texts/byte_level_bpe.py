"""Byte-level BPE of the `tokenizers` library, as GPT-2, BART and Florence-2 have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property

import regex

from unified_vl.codecs.texts.text_codec import LONG_TEXT
from unified_vl.codecs.texts.tokenizers_file import TokenizersText

_CUT = regex.compile(r"(?<=\S) (?=\S)")  # a space that begins a piece, whatever is around it
_START = 32  # characters an id, at first


class ByteLevelBPE(TokenizersText):
    """A `tokenizer.json` whose pieces are runs of bytes; U+0120 marks a space."""

    def encode_start(self, text: str, least: int) -> list[int]:
        """The ids of a text; of a very long one at least its first `least` ids.

        A single space between two words begins a piece, so what is before it has ids of its own.
        """
        size = _START * least
        while self._splits_at_spaces and len(text) > max(LONG_TEXT, size):
            cut = _CUT.search(text, size)
            if cut is None:
                break
            ids = self._encode_uncached(text[: cut.start()])
            if len(ids) >= least:
                return list(ids)
            size *= 4
        return self.encode(text)

    @property
    def _splits_at_spaces(self) -> bool:
        before = self.values.get("pre_tokenizer") or {}
        plain = before.get("type") == "ByteLevel" and before.get("use_regex", True)
        return plain and self._tokenizer.normalizer is None

    def decode(self, ids: Sequence[int]) -> str:
        text = super().decode(ids)
        return text.removeprefix(" ") if self._adds_space else text

    @cached_property
    def _adds_space(self) -> bool:
        """Whether a space is put in front of a text."""
        return self.encode("a") == self.encode(" a")

    def normalized(self, text: str) -> str:
        own = self._tokenizer.normalizer
        text = text if own is None else str(own.normalize_str(text))
        return text.removeprefix(" ") if self._adds_space else text

    @cached_property
    def _spelt(self) -> dict[int, bytes]:
        """The bytes of each piece that is one of text."""
        found = {}
        for i, name in self._names.items():
            if i in self.control_ids:
                continue
            found[i] = name.encode() if i in self.added else _bytes_of(name)
        return found

    @cached_property
    def texts(self) -> Sequence[str]:
        none = b""
        spelt = [self._spelt.get(i, none) for i in range(len(self))]
        return ["" if i in self.fragments else s.decode() for i, s in enumerate(spelt)]

    @cached_property
    def fragments(self) -> Mapping[int, bytes]:
        return {i: written for i, written in self._spelt.items() if not _is_text(written)}

    @property
    def byte_ids(self) -> Mapping[int, int]:
        return {}

    def trimmed(self, texts: Iterable[str]) -> ByteLevelBPE:
        """As of every tokenizer; what a piece is merged from, step by step, stays too."""
        used = {i for text in texts for i in self._encode_uncached(text)}
        used |= {i for i, written in enumerate(self.texts) if len(written.removeprefix(" ")) == 1}
        return self.with_pieces(self.made_of(used))


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: what is printable stands for itself, the rest for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    found = {chr(byte): byte for byte in printable}
    return found | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def _bytes_of(name: str) -> bytes:
    table = _byte_of_character()
    try:
        return bytes(table[character] for character in name)
    except KeyError:
        return name.encode()


def _is_text(written: bytes) -> bool:
    try:
        written.decode()
    except UnicodeDecodeError:
        return False
    return True
