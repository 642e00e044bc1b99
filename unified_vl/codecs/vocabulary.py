"""One vocabulary of disjoint id ranges: text, tags, locations, image codes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import parse_json
from unified_vl.languages.tags import canonical, distinct

PAD_ID, EOS_ID, UNK_ID = 0, 1, 2  # of the tokenizers that this project trains
_USUAL_IDS = {"pad_id": PAD_ID, "eos_id": EOS_ID, "unk_id": UNK_ID}
_LANGUAGE = "language:"
PADDED_TO = 128  # embedding rows: a multiple that matrix units like
IMAGE_TAG = "image"


@dataclass(frozen=True)
class Vocabulary:
    """Which ids mean what.

    Attributes:
        text_size: ids of the text tokenizer, from 0.
        tags: names of single tokens (`image`, `language:de`, `task:easy_vqa`).
        location_bins: bins of an axis of an image.
        image_code_count: entries of an image tokenizer's codebook.
        image_tokenizer: the fingerprint of that tokenizer; None where there is none.
        pad_id: the text tokenizer's id that fills rows up behind their end.
        eos_id: its id that ends a sequence.
        unk_id: its id for what it cannot write.
    """

    text_size: int
    tags: tuple[str, ...]
    location_bins: int = 1000
    image_code_count: int = 0
    image_tokenizer: str | None = None
    pad_id: int = PAD_ID
    eos_id: int = EOS_ID
    unk_id: int = UNK_ID
    _tag_ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.tags)) != len(self.tags):
            raise ValueError(f"tags must be distinct: {self.tags}")
        ids = dict(zip(self.tags, self.tag_range, strict=True))
        for tag in self.tags:  # a language answers to its canonical form too
            ids.setdefault(in_one_form(tag), ids[tag])
        object.__setattr__(self, "_tag_ids", ids)

    @property
    def special(self) -> tuple[int, int, int]:
        """The ids of the text tokenizer that are no text."""
        return self.pad_id, self.eos_id, self.unk_id

    @property
    def text(self) -> range:
        return range(0, self.text_size)

    @property
    def tag_range(self) -> range:
        return range(self.text.stop, self.text.stop + len(self.tags))

    @property
    def locations(self) -> range:
        return range(self.tag_range.stop, self.tag_range.stop + self.location_bins)

    @property
    def image_codes(self) -> range:
        return range(self.locations.stop, self.locations.stop + self.image_code_count)

    @property
    def size(self) -> int:
        """Rows of the embedding: all ids, padded to a multiple of 128."""
        return -(-self.image_codes.stop // PADDED_TO) * PADDED_TO

    def tag_id(self, name: str) -> int:
        """The id of a tag; that of a language in any spelling.

        Raises:
            UserError: when the vocabulary has no such tag.
        """
        found = self._tag_ids.get(name)
        if found is None:
            found = self._tag_ids.get(in_one_form(name))
        if found is None:
            raise UserError(f"the vocabulary has no tag {name!r}", nearest=nearest(name, self.tags))
        return found

    def tag_name(self, token_id: int) -> str:
        return self.tags[token_id - self.tag_range.start]

    def to_json(self) -> str:
        values: dict[str, object] = {
            "text_size": self.text_size,
            "tags": list(self.tags),
            "location_bins": self.location_bins,
            "image_code_count": self.image_code_count,
        }
        if self.image_tokenizer is not None:
            values["image_tokenizer"] = self.image_tokenizer
        own = {"pad_id": self.pad_id, "eos_id": self.eos_id, "unk_id": self.unk_id}
        values |= {key: own[key] for key in own if own[key] != _USUAL_IDS[key]}
        return json.dumps(values, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        values = parse_json(text)
        return cls(
            values["text_size"],
            tuple(values["tags"]),
            values["location_bins"],
            values["image_code_count"],
            values.get("image_tokenizer"),
            **{key: values.get(key, usual) for key, usual in _USUAL_IDS.items()},
        )

    @property
    def fingerprint(self) -> str:
        """Changes whenever an id would mean something else; goes into checkpoints."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def in_one_form(tag: str) -> str:
    """The tag of a language in the form that all its spellings have; others as they are."""
    if not tag.startswith(_LANGUAGE):
        return tag
    return _LANGUAGE + canonical(tag.removeprefix(_LANGUAGE))


def standard_tags(
    languages: Iterable[str],
    tasks: Iterable[str],
    families: Iterable[str] = (),
    others: Iterable[str] = (),
) -> tuple[str, ...]:
    """The tags of a model: the image placeholder, its languages, tasks and their families.

    `others` (of noise: the mask, sentinels) follow in their order, each once. A language that
    tasks spell differently is one tag, in the spelling that sorts first.
    """
    return (
        IMAGE_TAG,
        *(f"{_LANGUAGE}{code}" for code in distinct(sorted(languages))),
        *(f"task:{name}" for name in sorted(set(tasks))),
        *(f"family:{name}" for name in sorted(set(families))),
        *dict.fromkeys(others),
    )
