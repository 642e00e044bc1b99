"""Byte-level BPE of the `tokenizers` library, as GPT-2, BART and Florence-2 have it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import regex

from tokenizers import Tokenizer
from unified_vl.codecs.texts.text_codec import LONG_TEXT, TextCodec
from unified_vl.errors import UserError
from unified_vl.json_text import parse_json

_CUT = regex.compile(r"(?<=\S) (?=\S)")  # a space that begins a piece, whatever is around it
_START = 32  # characters an id, at first


class ByteLevelBPE(TextCodec):
    """A `tokenizer.json` whose pieces are runs of bytes. Its own normaliser, where it has one, is
    what changes a text; its template of special tokens is not used, and a text that spells a
    special token stays a text.
    """

    FILE = "tokenizer.json"

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._values: dict[str, Any] = parse_json(content)
        self._tokenizer = Tokenizer.from_str(content.decode())
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        of_added = {token["id"]: token["content"] for token in self._values["added_tokens"]}
        self._names = {i: name for name, i in self._values["model"]["vocab"].items()} | of_added
        self._added = of_added

    @classmethod
    def load(cls, path: Path) -> ByteLevelBPE:
        """Read a `tokenizer.json`.

        Raises:
            UserError: when it is of another kind, or broken.
        """
        expected = "byte-level BPE (model BPE, decoder ByteLevel)"
        try:
            values = parse_json(path.read_bytes())
            kind = values["model"]["type"], values["decoder"]["type"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                "this is not a tokenizer of `tokenizers`", file=path, expected=expected
            ) from error
        if kind != ("BPE", "ByteLevel"):
            found = f"model {kind[0]}, decoder {kind[1]}"
            expected += "; where spiece.model is published too, put it beside"
            raise UserError(f"found {found}", file=path, field="model.type", expected=expected)
        try:
            return cls(path.read_bytes())
        except Exception as error:  # the library raises plain Exception
            raise UserError(f"this tokenizer cannot be read: {error}", file=path) from error

    def __len__(self) -> int:
        return max(self._names) + 1

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
        before = self._values.get("pre_tokenizer") or {}
        plain = before.get("type") == "ByteLevel" and before.get("use_regex", True)
        return plain and self._tokenizer.normalizer is None

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        text = str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
        return text.removeprefix(" ") if self._adds_space else text

    @cached_property
    def _adds_space(self) -> bool:
        """Whether a space is put in front of a text."""
        return self.encode("a") == self.encode(" a")

    def normalized(self, text: str) -> str:
        own = self._tokenizer.normalizer
        text = text if own is None else str(own.normalize_str(text))
        return text.removeprefix(" ") if self._adds_space else text

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as the file writes them (U+0120 marks a space)."""
        return [self._names.get(i, f"<unused {i}>") for i in ids]

    @cached_property
    def _spelt(self) -> dict[int, bytes]:
        """The bytes of each piece that is one of text."""
        found = {}
        for i, name in self._names.items():
            if i in self.control_ids:
                continue
            found[i] = name.encode() if i in self._added else _bytes_of(name)
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

    @cached_property
    def unlearnt_ids(self) -> frozenset[int]:
        name = self._values["model"].get("unk_token")
        return frozenset(i for i, known in self._names.items() if known == name)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        own = {token["id"] for token in self._values["added_tokens"] if token["special"]}
        unused = (i for i in range(len(self)) if i not in self._names)
        return frozenset([*own, *unused, *self.unlearnt_ids])

    @property
    def special_ids(self) -> dict[str, int]:
        return {"pad_id": -1, "eos_id": -1, "unk_id": -1}  # the vocabulary says them

    def trimmed(self, texts: Iterable[str]) -> ByteLevelBPE:
        """As of every tokenizer; what a piece is merged from, step by step, stays too."""
        used = {i for text in texts for i in self._encode_uncached(text)}
        used |= {i for i, written in enumerate(self.texts) if len(written.removeprefix(" ")) == 1}
        parts = {
            name[start:stop]
            for name in self.pieces(sorted(used))
            for start in range(len(name))
            for stop in range(start + 1, len(name) + 1)
        }
        kept = {
            i
            for i, name in self._names.items()
            if name in parts or len(name) == 1 or i in self._added
        }
        return self.with_pieces(kept)

    def with_pieces(self, kept: set[int]) -> ByteLevelBPE:
        """That with the pieces of these ids alone, which get new ids in their order; rules that
        make other pieces go, the order of the others stays."""
        values: dict[str, Any] = parse_json(self.content)
        number = {old: new for new, old in enumerate(sorted(kept))}
        model = values["model"]
        known = {name: number[i] for name, i in model["vocab"].items() if i in number}
        model["vocab"] = known
        merges = model["merges"]
        model["merges"] = [
            merge for merge in merges if all(part in known for part in _parts(merge))
        ]
        added = [token for token in values["added_tokens"] if token["id"] in number]
        values["added_tokens"] = [token | {"id": number[token["id"]]} for token in added]
        values["post_processor"] = None  # it names ids, and is not used
        return ByteLevelBPE(json.dumps(values, ensure_ascii=False).encode())

    def id_of(self, name: str) -> int | None:
        """The id of a piece by its name."""
        found = self._tokenizer.token_to_id(name)
        return None if found is None else int(found)


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


def _parts(merge: str | list[str]) -> tuple[str, str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right
