"""Pieces of text with U+2581 for a space, in a `tokenizer.json`: a SentencePiece model (unigram or
BPE) as the `tokenizers` library has it, which `transformers` 5 writes in place of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from unified_vl.codecs.texts.text_codec import SPACE, writings_behind_a_space
from unified_vl.codecs.texts.tokenizers_file import TokenizersText

_BYTE = re.compile("<0x([0-9A-F]{2})>")


class SpacedPieces(TokenizersText):
    """What the file says is what is done: one that was made of a SentencePiece model may normalise
    other characters than that did, or have lost its bytes."""

    @cached_property
    def _adds_space(self) -> bool:
        """Whether a space is put in front of a text."""
        return self._cut("a").startswith(SPACE)

    def _cut(self, text: str) -> str:
        """A text as the model gets it: normalised, its spaces written as pieces have them."""
        own, before = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        text = text if own is None else str(own.normalize_str(text))
        words = [text] if before is None else [word for word, _ in before.pre_tokenize_str(text)]
        return "".join(words).replace(" ", SPACE)

    def normalized(self, text: str) -> str:
        text = self._cut(text).replace(SPACE, " ")
        return text.removeprefix(" ") if self._adds_space else text

    @cached_property
    def byte_ids(self) -> Mapping[int, int]:
        if not self.values["model"].get("byte_fallback"):
            return {}
        found = {i: _BYTE.fullmatch(name) for i, name in self._names.items()}
        return {i: int(byte[1], 16) for i, byte in found.items() if byte is not None}

    @cached_property
    def texts(self) -> Sequence[str]:
        none = {*self.byte_ids, *self.control_ids}
        names = enumerate(self.pieces(range(len(self))))
        return ["" if i in none else name.replace(SPACE, " ") for i, name in names]

    @property
    def unlearnt_ids(self) -> frozenset[int]:
        return self._unknown | frozenset(self.byte_ids)

    def trimmed(self, texts: Iterable[str]) -> SpacedPieces:
        used = {i for text in texts for i in self._encode_uncached(text)}
        used |= {*self.byte_ids, *self.control_ids} & set(self._names)
        used |= {i for i, text in enumerate(self.texts) if len(text.removeprefix(" ")) == 1}
        return self.with_pieces(self.made_of(used))

    def writings(self, word: str) -> list[list[int]]:
        return writings_behind_a_space(self, word) if self._adds_space else super().writings(word)
