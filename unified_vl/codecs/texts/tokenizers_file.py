"""Text tokenizers of the `tokenizers` library: what is in a `tokenizer.json`, of whatever kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from tokenizers import Tokenizer
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.json_text import parse_json


class TokenizersText(TextCodec):
    """A `tokenizer.json`. Its own normaliser, where it has one, is what changes a text; its
    template of special tokens is not used, and a text that spells a special token stays a text.

    Attributes:
        values: of the file.
        added: the names of tokens that were added to those of the model, by id.
    """

    FILE = "tokenizer.json"

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.values: dict[str, Any] = parse_json(content)
        self._tokenizer = Tokenizer.from_str(content.decode())
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.added = {token["id"]: token["content"] for token in self.values["added_tokens"]}
        self._names = self._of_model() | self.added

    def _of_model(self) -> dict[int, str]:
        vocabulary = self.values["model"]["vocab"]
        if isinstance(vocabulary, Mapping):
            return {i: name for name, i in vocabulary.items()}
        return {i: name for i, (name, _) in enumerate(vocabulary)}

    def __len__(self) -> int:
        return max(self._names) + 1

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as the file writes them."""
        return [self._names.get(i, f"<unused {i}>") for i in ids]

    @cached_property
    def _unknown(self) -> frozenset[int]:
        """The id of what the model does not know."""
        model = self.values["model"]
        if model.get("unk_id") is not None:
            return frozenset([int(model["unk_id"])])
        return frozenset(i for i, known in self._names.items() if known == model.get("unk_token"))

    @property
    def unlearnt_ids(self) -> frozenset[int]:
        return self._unknown

    @cached_property
    def control_ids(self) -> frozenset[int]:
        own = {token["id"] for token in self.values["added_tokens"] if token["special"]}
        unused = (i for i in range(len(self)) if i not in self._names)
        return frozenset([*own, *unused, *self._unknown])

    @property
    def special_ids(self) -> dict[str, int]:
        return {"pad_id": -1, "eos_id": -1, "unk_id": -1}  # the vocabulary says them

    def id_of(self, name: str) -> int | None:
        """The id of a piece by its name."""
        found = self._tokenizer.token_to_id(name)
        return None if found is None else int(found)

    def with_pieces(self, kept: set[int]) -> Self:
        """That with the pieces of these ids alone, which get new ids in their order; rules that
        make other pieces go, the order of the others stays."""
        values: dict[str, Any] = parse_json(self.content)
        number = {old: new for new, old in enumerate(sorted(kept))}
        model = values["model"]
        if isinstance(model["vocab"], Mapping):
            known = {name: number[i] for name, i in model["vocab"].items() if i in number}
            model["vocab"] = known
            model["merges"] = [
                merge for merge in model["merges"] if all(part in known for part in parts(merge))
            ]
        else:
            model["vocab"] = [each for i, each in enumerate(model["vocab"]) if i in number]
            model["unk_id"] = number.get(model.get("unk_id"))
        added = [token for token in values["added_tokens"] if token["id"] in number]
        values["added_tokens"] = [token | {"id": number[token["id"]]} for token in added]
        values["post_processor"] = None  # it names ids, and is not used
        return type(self)(json.dumps(values, ensure_ascii=False).encode())

    def made_of(self, used: set[int]) -> set[int]:
        """These ids, single characters, and what pieces are merged from, step by step."""
        if not isinstance(self.values["model"]["vocab"], Mapping):
            return used | {
                i for i, name in self._names.items() if len(name) == 1 or i in self.added
            }
        stretches = {
            name[start:stop]
            for name in self.pieces(sorted(used))
            for start in range(len(name))
            for stop in range(start + 1, len(name) + 1)
        }
        return {
            i
            for i, name in self._names.items()
            if name in stretches or len(name) == 1 or i in self.added
        }


def parts(merge: str | list[str]) -> tuple[str, str, str]:
    """What a rule joins, and what comes of it."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right
