"""Text as the bytes of its UTF-8, as ByT5 reads and writes it (arXiv 2105.13626)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID
from unified_vl.errors import UserError
from unified_vl.json_text import parse_json

FIRST = 3  # behind padding, the end and the unknown
KIND: dict[str, Any] = {"kind": "bytes", "pad_id": PAD_ID, "eos_id": EOS_ID, "unk_id": UNK_ID}


class ByteText(TextCodec):
    """256 ids behind the special ones. Nothing is normalised, and nothing is unknown."""

    FILE = "bytes.json"

    def __init__(self, content: bytes = json.dumps(KIND).encode()) -> None:
        super().__init__(content)

    @classmethod
    def load(cls, path: Path) -> ByteText:
        """Read a `bytes.json`.

        Raises:
            UserError: when it is none.
        """
        content = path.read_bytes()
        try:
            found = parse_json(content.decode())
        except (ValueError, UserError):
            found = None
        if found != KIND:
            raise UserError("this is no tokenizer of bytes", file=path, expected=json.dumps(KIND))
        return cls(content)

    def __len__(self) -> int:
        return FIRST + 256

    def encode_start(self, text: str, least: int) -> list[int]:
        return self.encode(text[:least])  # a character has a byte at least

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(FIRST + byte for byte in text.encode(errors="replace"))

    def decode(self, ids: Sequence[int]) -> str:
        written = bytes(i - FIRST for i in ids if FIRST <= i < len(self))
        return written.decode(errors="replace")

    def normalized(self, text: str) -> str:
        return text

    def pieces(self, ids: Sequence[int]) -> list[str]:
        names = ("<pad>", "</s>", "<unk>")
        return [names[i] if i < FIRST else f"<0x{i - FIRST:02X}>" for i in ids]

    @cached_property
    def texts(self) -> Sequence[str]:
        return ("",) * len(self)

    @cached_property
    def byte_ids(self) -> Mapping[int, int]:
        return {FIRST + byte: byte for byte in range(256)}

    @property
    def unlearnt_ids(self) -> frozenset[int]:
        return frozenset([UNK_ID])

    @property
    def special_ids(self) -> dict[str, int]:
        return {"pad_id": PAD_ID, "eos_id": EOS_ID, "unk_id": UNK_ID}

    def writings(self, word: str) -> list[list[int]]:
        return [self.encode(word)]
