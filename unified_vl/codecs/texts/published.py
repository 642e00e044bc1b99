"""The tokenizers of public checkpoints, as files of their directories say them.

What `transformers` adds to a tokenizer beside its pieces (T5's `<extra_id_7>`, Florence-2's
`<loc_7>`) lies at other ids than its texts and means what a tag or a location of this project
means: it is named so, and taken out of the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unified_vl.codecs.row_names import LOCATION, TAG, row_names
from unified_vl.codecs.texts import fairseq
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.loading import load_tokenizers_file
from unified_vl.codecs.texts.model_proto import ModelProto
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.texts.tokenizers_file import TokenizersText
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object
from unified_vl.specs.tasks.example import sentinel_tag

SPIECE = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
CONFIGURATION, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
EXTRA_IDS = 100  # of T5, where its configuration does not say
ROLES = {"pad_id": "pad_token", "eos_id": "eos_token", "unk_id": "unk_token"}
USUAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
_EXTRA = re.compile("\u2581?<extra_id_(\\d+)>")
_LOCATION = re.compile(r"<loc_(\d+)>")


@dataclass(frozen=True)
class PublishedText:
    """What a checkpoint reads and writes texts with.

    Attributes:
        text: its pieces, without what is named otherwise.
        names: what each of its ids stands for (`codecs.row_names`).
        special: the ids of `text` for padding, the end and the unknown, as `Vocabulary` names them.
    """

    text: TextCodec
    names: list[str | None]
    special: dict[str, int]

    @property
    def sentinels(self) -> int:
        """How many ids stand for spans that were taken out."""
        return sum((name or "").startswith(TAG + sentinel_tag(0)[:-1]) for name in self.names)


def has_text(directory: Path) -> bool:
    """Whether a tokenizer lies in a checkpoint's directory, of whatever kind."""
    files = (*SPIECE, TokenizersText.FILE, CONFIGURATION)
    return any((directory / name).is_file() for name in files)


def published_text(directory: Path) -> PublishedText:
    """Read the tokenizer of a public checkpoint.

    Raises:
        UserError: when there is none, or one of another kind.
    """
    config = _json(directory / CONFIGURATION)
    for name in SPIECE:
        if (directory / name).is_file():
            return _sentence_piece(directory, SentencePieceText.load(directory / name), config)
    if str(config.get("tokenizer_class", "")).startswith("ByT5"):
        return _bytes(directory, config)
    if (directory / TokenizersText.FILE).is_file():
        return _tokenizers_file(directory, config)
    beside = sorted(path.name for path in directory.glob("*")) if directory.is_dir() else []
    raise UserError(
        "there is no tokenizer here",
        file=directory,
        expected=f"{SPIECE[0]}, {TokenizersText.FILE} or a {CONFIGURATION} of ByT5",
        nearest=nearest(SPIECE[0], beside),
    )


def _sentence_piece(
    directory: Path, raw: SentencePieceText, config: Mapping[str, Any]
) -> PublishedText:
    kind = fairseq.class_of(directory, config)
    if kind is not None:
        return _fairseq(directory, raw, config, kind)
    special = raw.special_ids
    lacking = [name for name in ("pad_id", "eos_id") if special[name] < 0]
    if lacking:
        raise UserError(
            f"the SentencePiece model has no {' and no '.join(lacking)}",
            file=directory,
            expected="one that pads and ends texts, as that of T5",
        )
    pieces = raw.pieces(range(len(raw)))
    extra = {i: int(found[1]) for i, piece in enumerate(pieces) if (found := _EXTRA.match(piece))}
    names = _names_of(raw, special)
    for i, number in extra.items():
        names[i] = TAG + sentinel_tag(number)
    if not extra:
        ids = _extra_ids(directory, config, len(raw), EXTRA_IDS, from_top=True)
        names = _with(names, {i: TAG + sentinel_tag(number) for number, i in ids.items()})
        return PublishedText(raw, names, special)
    kept = [i for i in range(len(raw)) if i not in extra]
    text = SentencePieceText(ModelProto(raw.content).with_pieces(kept))
    return PublishedText(text, names, text.special_ids)


def _fairseq(
    directory: Path, raw: SentencePieceText, config: Mapping[str, Any], kind: str
) -> PublishedText:
    text = fairseq.renumbered(raw, directory, kind)
    languages = fairseq.language_ids(raw, directory, kind, config)
    names = _names_of(text, text.special_ids)[: min(languages)]  # the rest has no id of theirs
    of_languages = {i: f"{TAG}language:{language}" for i, language in languages.items()}
    return PublishedText(text, _with(names, of_languages), text.special_ids)


def _bytes(directory: Path, config: Mapping[str, Any]) -> PublishedText:
    text = ByteText()
    names = _names_of(text, text.special_ids)
    ids = _extra_ids(directory, config, len(text), 125, from_top=False)
    names = _with(names, {i: TAG + sentinel_tag(number) for number, i in ids.items()})
    return PublishedText(text, names, text.special_ids)


def _tokenizers_file(directory: Path, config: Mapping[str, Any]) -> PublishedText:
    raw = load_tokenizers_file(directory / TokenizersText.FILE)
    special_names = USUAL | {
        key: _content(value)
        for source in (_json(directory / SPECIAL), config)
        for key, value in source.items()
        if key in USUAL and value is not None
    }
    ids = {role: raw.id_of(special_names[key]) for role, key in ROLES.items()}
    for role in ("pad_id", "eos_id"):
        if ids[role] is None:
            key = ROLES[role]
            raise UserError(
                f"its tokenizer has no {special_names[key]!r}",
                file=directory / CONFIGURATION,
                field=key,
                expected="the name of a piece",
            )
    unknown = ids["unk_id"] if ids["unk_id"] is not None else ids["pad_id"]
    special = {"pad_id": ids["pad_id"], "eos_id": ids["eos_id"], "unk_id": unknown}
    found = {role: int(i) for role, i in special.items() if i is not None}
    names = _names_of(raw, found)
    pieces = raw.pieces(range(len(raw)))
    places = {i: int(m[1]) for i, piece in enumerate(pieces) if (m := _LOCATION.fullmatch(piece))}
    extra = {i: int(m[1]) for i, piece in enumerate(pieces) if (m := _EXTRA.fullmatch(piece))}
    for i, place in places.items():
        names[i] = f"{LOCATION}{place}/{len(places)}"
    for i, number in extra.items():
        names[i] = TAG + sentinel_tag(number)
    languages: dict[int, str] = {}
    if (kind := fairseq.class_of(directory, config)) is not None:
        codes = fairseq.languages_of(kind, config)
        known = {i: codes.get(piece) for i, piece in enumerate(pieces)}
        languages = {i: name for i, name in known.items() if name is not None}
    for i, language in languages.items():
        names[i] = f"{TAG}language:{language}"
    published = PublishedText(raw, names, found)
    named = {*places, *extra, *languages}
    if not named:
        return published
    kept = [i for i in range(len(raw)) if i not in named]
    number_of = {old: new for new, old in enumerate(kept)}
    text = raw.with_pieces(set(kept))
    return replace(published, text=text, special={r: number_of[i] for r, i in found.items()})


def _names_of(text: TextCodec, special: Mapping[str, int]) -> list[str | None]:
    pad, eos, unk = (special[role] for role in ROLES)
    vocabulary = Vocabulary(len(text), (), 0, pad_id=pad, eos_id=eos, unk_id=unk)
    return row_names(vocabulary, text)[: len(text)]


def _with(names: list[str | None], more: Mapping[int, str]) -> list[str | None]:
    found = [*names, *[None] * (max(more, default=-1) + 1 - len(names))]
    for i, name in more.items():
        found[i] = name
    return found


def _extra_ids(
    directory: Path, config: Mapping[str, Any], pieces: int, usual: int, *, from_top: bool
) -> dict[int, int]:
    """The id of each `<extra_id_...>` by its number, as far as the files say; else as T5 has them:
    the first is the last of all ids."""
    listed = config.get("added_tokens_decoder") or {}
    added = {int(i): _content(token) for i, token in listed.items() if str(i).isdecimal()}
    if not added:
        file = _json(directory / TokenizersText.FILE)
        added = {int(token["id"]): str(token["content"]) for token in file.get("added_tokens", [])}
    stated = {int(m[1]): i for i, name in added.items() if (m := _EXTRA.fullmatch(name))}
    if stated:
        return stated
    more = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    named = [m for name in more if (m := _EXTRA.fullmatch(_content(name)))]
    count = len(named) or int(config.get("extra_ids", usual))
    last = pieces + count - 1
    return {n: last - n if from_top else pieces + n for n in range(count)}


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)


def _json(path: Path) -> dict[str, Any]:
    return read_json_object(path) if path.is_file() else {}
