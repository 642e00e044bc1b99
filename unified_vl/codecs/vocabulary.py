"""One vocabulary of disjoint id ranges: text, tags, locations, image codes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import parse_json
from unified_vl.kinds.hooks.segments import frame_tag, region_tag
from unified_vl.languages.tags import canonical, distinct

PAD_ID, EOS_ID, UNK_ID = 0, 1, 2  # of the tokenizers that this project trains
_USUAL_IDS = {"pad_id": PAD_ID, "eos_id": EOS_ID, "unk_id": UNK_ID}
_PLACES = ("locations_at", "image_codes_at")
_LANGUAGE = "language:"
PADDED_TO = 128  # embedding rows: a multiple that matrix units like
IMAGE_TAG = "image"
IdKind = Literal["piece", "tag", "location", "image code"]


@dataclass(frozen=True)
class Vocabulary:
    """Which ids mean what.

    As it is made, text comes first, then tags, locations and image codes. What is added later
    stands behind all that was there, so that no id ever means something else: new tags, then new
    pieces of text. The text tokenizer then has pieces that are never used where other ids are.

    Attributes:
        text_size: ids of the text tokenizer, from 0; tags, locations and codes may lie among them.
        tags: names of single tokens (`image`, `language:de`, `task:easy_vqa`).
        location_bins: bins of an axis of an image.
        image_code_count: entries of an image tokenizer's codebook.
        image_tokenizer: the fingerprint of that tokenizer; None where there is none.
        pad_id: the text tokenizer's id that fills rows up behind their end.
        eos_id: its id that ends a sequence.
        unk_id: its id for what it cannot write.
        tag_runs: where the tags are, in their order: the first id of a run, and how many; behind
            the text unless given.
        locations_at: the first location; behind the tags unless given.
        image_codes_at: the first image code; behind the locations unless given.
    """

    text_size: int
    tags: tuple[str, ...]
    location_bins: int = 1000
    image_code_count: int = 0
    image_tokenizer: str | None = None
    pad_id: int = PAD_ID
    eos_id: int = EOS_ID
    unk_id: int = UNK_ID
    tag_runs: tuple[tuple[int, int], ...] = ()
    locations_at: int | None = None
    image_codes_at: int | None = None
    _tag_ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.tags)) != len(self.tags):
            raise ValueError(f"tags must be distinct: {self.tags}")
        if len(self.tag_ids) != len(self.tags):
            raise ValueError("there must be an id for each tag")
        self._refuse_overlaps()
        ids = dict(zip(self.tags, self.tag_ids, strict=True))
        for tag in self.tags:  # a language answers to its canonical form too
            ids.setdefault(in_one_form(tag), ids[tag])
        object.__setattr__(self, "_tag_ids", ids)

    def _refuse_overlaps(self) -> None:
        taken = [*self.tag_ids, *self.locations, *self.image_codes]
        if len(set(taken)) != len(taken) or min(taken, default=0) < 0:
            raise ValueError("an id may stand for one thing alone")

    @property
    def special(self) -> tuple[int, int, int]:
        """The ids of the text tokenizer that are no text."""
        return self.pad_id, self.eos_id, self.unk_id

    @cached_property
    def tag_ids(self) -> tuple[int, ...]:
        """The ids of `tags`."""
        runs = self.tag_runs or ((self.text_size, len(self.tags)),)
        return tuple(i for start, count in runs for i in range(start, start + count))

    @property
    def locations(self) -> range:
        start = self.locations_at
        start = self.text_size + len(self.tags) if start is None else start
        return range(start, start + self.location_bins)

    @property
    def image_codes(self) -> range:
        start = self.locations.stop if self.image_codes_at is None else self.image_codes_at
        return range(start, start + self.image_code_count)

    @cached_property
    def text_ids(self) -> tuple[int, ...]:
        """The ids of pieces of text."""
        others = {*self.tag_ids, *self.locations, *self.image_codes}
        return tuple(i for i in range(self.text_size) if i not in others)

    @property
    def end(self) -> int:
        """The number behind the last id that means something."""
        tags = max(self.tag_ids, default=-1) + 1
        return max(self.text_size, tags, self.locations.stop, self.image_codes.stop)

    @property
    def size(self) -> int:
        """Rows of the embedding: all ids, padded to a multiple of 128."""
        return -(-self.end // PADDED_TO) * PADDED_TO

    def kind_of(self, token_id: int) -> IdKind | None:
        """What an id stands for; None for one that is only padding."""
        if token_id in self.locations:
            return "location"
        if token_id in self.image_codes:
            return "image code"
        if token_id in self._tag_names:
            return "tag"
        return "piece" if 0 <= token_id < self.text_size else None

    def extended(self, tags: Iterable[str], pieces: int = 0) -> Vocabulary:
        """This vocabulary with more tags, and then more pieces of text, behind all others.

        Args:
            tags: those that it has already are passed over.
            pieces: how many.
        """
        new: list[str] = []
        for tag in tags:
            if in_one_form(tag) not in map(in_one_form, (*self.tags, *new)):
                new.append(tag)
        runs = self.tag_runs or ((self.text_size, len(self.tags)),)
        behind = self.end + len(new)
        return replace(
            self,
            text_size=behind + pieces if pieces else self.text_size,
            tags=(*self.tags, *new),
            tag_runs=(*runs, (self.end, len(new))) if new else runs,
            locations_at=self.locations.start,
            image_codes_at=self.image_codes.start,
        )

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
        return self._tag_names[token_id]

    @cached_property
    def _tag_names(self) -> dict[int, str]:
        return dict(zip(self.tag_ids, self.tags, strict=True))

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
        if self.tag_runs:
            values["tag_runs"] = [list(run) for run in self.tag_runs]
        for key in _PLACES:
            if getattr(self, key) is not None:
                values[key] = getattr(self, key)
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
            tag_runs=tuple((int(start), int(count)) for start, count in values.get("tag_runs", ())),
            **{key: values.get(key) for key in _PLACES},
        )

    @property
    def fingerprint(self) -> str:
        """Changes whenever an id would mean something else; goes into checkpoints."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def frame_ids(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The ids of the tags of a video's frames, in their order; none without such."""
    return _numbered(vocabulary, frame_tag)


def region_ids(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The ids of the tags that name an image's regions, in their order; none without such."""
    return _numbered(vocabulary, region_tag)


def _numbered(vocabulary: Vocabulary, tag: Callable[[int], str]) -> tuple[int, ...]:
    found: list[int] = []
    while tag(len(found)) in vocabulary.tags:
        found.append(vocabulary.tag_id(tag(len(found))))
    return tuple(found)


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
