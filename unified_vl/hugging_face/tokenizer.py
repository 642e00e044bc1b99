"""A model's vocabulary as a tokenizer of `transformers`.

Pieces of text have the names that their own tokenizer gives them. Everything else is a token that
stands for itself: `<language:de>`, `<task:emoji_caption>`, `<image>`, `<location:12>`, `<code:7>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from tokenizers import AddedToken
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.files import read_json_object, write_atomically
from unified_vl.hugging_face.folders import settings_folder
from unified_vl.model.class_files import write_class_files
from unified_vl.model.saved_configuration import CONFIG, TOKENIZER

SETTINGS = "tokenizer_config.json"
LONGEST = 1 << 20


class UnifiedVLTokenizer(PreTrainedTokenizer):
    """Text and tags to ids and back; ids are those of `UnifiedVL`.

    `decode(ids, skip_special_tokens=True)` gives the words of an answer alone, as
    `SequenceCodec.decode_text` does. What an answer says beside them, boxes in pixels and pictures,
    `UnifiedVLProcessor.post_process` reads.

    Args:
        vocabulary: which ids mean what.
        text: the text tokenizer.
        model_max_length: the most ids of a source.
    """

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 (as in transformers)

    def __init__(
        self, vocabulary: Vocabulary, text: TextCodec, model_max_length: int = LONGEST
    ) -> None:
        self.vocabulary = vocabulary
        self.text = text
        self._names = _names(vocabulary, text)
        self._ids = {name: number for number, name in enumerate(self._names)}
        special = {*vocabulary.tag_ids, *(i for i in vocabulary.special if i >= 0)}
        others = {*special, *vocabulary.locations, *vocabulary.image_codes}
        self._added_tokens_decoder = {
            number: AddedToken(
                self._names[number],
                lstrip=number in vocabulary.tag_ids,
                rstrip=number in vocabulary.tag_ids,
                normalized=False,
                special=number in special,
            )
            for number in sorted(others)
        }
        named = {
            f"{key}_token": self._names[number]
            for key, number in zip(("pad", "eos", "unk"), vocabulary.special, strict=True)
            if number >= 0
        }
        super().__init__(  # type: ignore[no-untyped-call]
            **named,
            model_max_length=model_max_length,
            special_tokens_pattern="eos",
            token_type_ids_pattern="all_zeros",
            padding_side="right",
            clean_up_tokenization_spaces=False,
        )
        self._update_trie()

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: str | Path, *_: Any, **options: Any
    ) -> UnifiedVLTokenizer:
        """That of a saved model.

        Args:
            name: its folder, or its repository on the Hub.
            options: `revision`, `cache_dir`, `token`, ... of the Hub, `model_max_length`.

        Raises:
            UserError: when a part is missing or broken.
        """
        folder = settings_folder(name, options)
        vocabulary, text = load_tokenizer(folder / TOKENIZER)
        longest = options.get("model_max_length") or _longest(folder)
        return cls(vocabulary, text, longest)

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, **_: Any
    ) -> tuple[str, ...]:
        """Write `tokenizer/` and what names its class."""
        folder = Path(save_directory)
        written = [folder / TOKENIZER / self.text.FILE, folder / TOKENIZER / "vocabulary.json"]
        write_atomically(written[0], self.text.content)
        write_atomically(written[1], self.vocabulary.to_json())
        write_class_files(folder, self.model_max_length)
        return tuple(map(str, written))

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoTokenizer") -> None:
        """Nothing: a saved model names the package, and no copy of a file of it."""

    @property
    def vocab_size(self) -> int:
        """Ids that mean something; the model's embedding has at least as many rows."""
        return len(self._names)

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        return 1 + pair

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        end = [self.vocabulary.eos_id]
        return (
            [*token_ids_0, *end]
            if token_ids_1 is None
            else [*token_ids_0, *end, *token_ids_1, *end]
        )

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return [self._names[number] for number in self.text.encode(text)]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self.vocabulary.unk_id)

    def _convert_id_to_token(self, index: int) -> str:
        return self._names[index] if index < len(self._names) else f"<unused:{index}>"

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Pieces as their text, everything else by its name."""
        runs = groupby(tokens, key=self._is_piece)
        parts = (
            self.text.decode([self._ids[t] for t in run]).strip() if pieces else " ".join(run)
            for pieces, run in runs
        )
        return " ".join(part for part in parts if part)

    def _is_piece(self, token: str) -> bool:
        number = self._ids.get(token, -1)
        return number not in self._added_tokens_decoder and number >= 0

    def _decode(  # type: ignore[override]
        self, token_ids: int | list[int], skip_special_tokens: bool = False, **_: Any
    ) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else list(map(int, token_ids))
        if not skip_special_tokens:
            return self.convert_tokens_to_string(list(map(self._convert_id_to_token, ids)))
        return self.words(ids)

    def words(self, ids: Sequence[int]) -> str:
        """The text of an answer, up to its end, without anything that is not text."""
        own = self.vocabulary
        start = ids[1:] if len(ids) > 1 and ids[0] == own.eos_id else ids  # where it begins with it
        kept = [i for i in takewhile(lambda i: i != own.eos_id, start) if i != own.pad_id]
        runs = groupby(kept, key=own.kind_of)
        words = (self.text.decode(list(run)).strip() for kind, run in runs if kind == "piece")
        return " ".join(word for word in words if word)


def _names(vocabulary: Vocabulary, text: TextCodec) -> list[str]:
    """A name of its own for each id."""
    names: list[str] = []
    taken: set[str] = set()
    pieces = text.pieces(range(len(text)))
    for number in range(vocabulary.end):
        match vocabulary.kind_of(number):
            case "tag":
                name = f"<{vocabulary.tag_name(number)}>"
            case "location":
                name = f"<location:{number - vocabulary.locations.start}>"
            case "image code":
                name = f"<code:{number - vocabulary.image_codes.start}>"
            case _:
                name = pieces[number] if number < len(pieces) else f"<unused:{number}>"
        if name in taken:
            name = f"<{number}:{name}>"
        taken.add(name)
        names.append(name)
    return names


def _longest(folder: Path) -> int:
    """What the tokenizer's settings say, or else the model's."""
    for file, key in ((SETTINGS, "model_max_length"), (CONFIG, "max_source_tokens")):
        if (folder / file).is_file():
            said = read_json_object(folder / file).get(key)
            if isinstance(said, int) and said > 0:
                return said
    return LONGEST
