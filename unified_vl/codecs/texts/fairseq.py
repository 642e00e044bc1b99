"""The numbers that fairseq gave to the pieces of mBART, M2M100 and NLLB, and their language codes.

Their SentencePiece models begin with the unknown, the start and the end, and have no padding. The
ids of their weights are others: start 0, padding 1, end 2, unknown 3; then the pieces, in the order
of the model or, for M2M100, of `vocab.json`; then a code for each language, and a mask. That is how
`transformers` (MBartTokenizer, MBart50Tokenizer, M2M100Tokenizer, NllbTokenizer) reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from unified_vl.codecs.texts.model_proto import CONTROL, UNUSED, piece
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.languages.tags import canonical, subtags

VOCABULARY = "vocab.json"  # of M2M100
FIRST = 4  # pieces before those of text
MODULES = {  # of `transformers`, by the class of the tokenizer
    "MBart": "mbart.tokenization_mbart",
    "MBart50": "mbart50.tokenization_mbart50",
    "M2M100": "m2m_100.tokenization_m2m_100",
    "Nllb": "nllb.tokenization_nllb",
}
OF_MODELS = {"mbart": "MBart", "m2m_100": "M2M100"}  # where no class is named, by `model_type`


def class_of(directory: Path, config: Mapping[str, Any]) -> str | None:
    """The tokenizer's class, as a key of `MODULES`; None of another kind.

    Args:
        directory: of the checkpoint.
        config: its `tokenizer_config.json`.
    """
    said = str(config.get("tokenizer_class", "")).removesuffix("Fast").removesuffix("Tokenizer")
    if said in MODULES:
        return said
    path = directory / "config.json"
    if said or not path.is_file():
        return None
    found = OF_MODELS.get(str(read_json_object(path).get("model_type")))
    if found == "M2M100" and not (directory / VOCABULARY).is_file():
        return "Nllb"
    return found


def renumbered(raw: SentencePieceText, directory: Path, kind: str) -> SentencePieceText:
    """The model with its pieces at the ids that the weights have.

    Raises:
        UserError: for a model that does not begin as theirs do, or a `vocab.json` that is none.
    """
    names = raw.pieces(range(len(raw)))
    place = {name: i for i, name in enumerate(names)}
    special = ["<unk>", "<s>", "</s>"]
    if names[:3] != special:
        raise UserError(
            f"the SentencePiece model begins with {', '.join(names[:3])}",
            file=directory,
            expected=f"{', '.join(special)}, as that of {kind}",
        )
    pad = piece("<pad>", 0.0, CONTROL)
    order: list[int | bytes] = [place["<s>"], pad, place["</s>"], place["<unk>"]]
    if kind != "M2M100":
        return SentencePieceText(raw.proto.in_order([*order, *range(3, len(raw))]))
    listed = _listed(directory / VOCABULARY)
    order += [place.get(name, piece(name, 0.0, UNUSED)) for name in listed]
    # a piece that has no id stays, behind: without it, texts would be cut in other ways
    known = {*listed, *special, "<pad>"}
    order += [i for i, name in enumerate(names) if name not in known]
    return SentencePieceText(raw.proto.in_order(order))


def _listed(path: Path) -> list[str]:
    """The pieces of a `vocab.json` behind the special ones, in the order of their ids."""
    values = read_json_object(path)
    ids = sorted(values.values()) if all(type(i) is int for i in values.values()) else []
    if ids != list(range(len(values))) or len(ids) < FIRST:
        raise UserError("is no vocabulary", file=path, expected="pieces and their ids, from 0 on")
    return sorted(values, key=lambda name: int(values[name]))[FIRST:]


def language_ids(
    raw: SentencePieceText, directory: Path, kind: str, config: Mapping[str, Any]
) -> dict[int, str]:
    """The language of each id behind the pieces, in the form that all spellings of it have.

    Args:
        raw: the model as it is published.
        directory: of the checkpoint.
        kind: of `class_of`.
        config: its `tokenizer_config.json`.
    """
    start = len(raw) + 1
    if kind == "M2M100":
        start = FIRST + len(_listed(directory / VOCABULARY))
    every = enumerate(languages_of(kind, config).values())
    return {start + i: language for i, language in every if language is not None}


def languages_of(kind: str, config: Mapping[str, Any]) -> dict[str, str | None]:
    """The codes in the order of their ids, and the language of each in the form of our tags; None
    where another code is of the same language (CLDR has `ajp` and `apc` as one)."""
    codes = import_module(f"transformers.models.{MODULES[kind]}").FAIRSEQ_LANGUAGE_CODES
    if kind == "M2M100":
        codes = codes.get(str(config.get("language_codes", "m2m100")), codes["m2m100"])
    of = dict(zip(codes, _languages(codes), strict=True))
    return {code: name if code == _own(name, of) else None for code, name in of.items()}


def _own(language: str, codes: Mapping[str, str]) -> str:
    """The code of a language, where several are the same to us: the one that begins like it."""
    same = [code for code, of in codes.items() if of == language]
    return next((code for code in same if code.startswith(language)), same[0])


def _languages(codes: Sequence[str]) -> list[str]:
    """Of `de_DE` the language alone, where no other code is of it; of `zho_Hant` all."""
    bare = [code.removesuffix("_XX") for code in codes]
    languages = [subtags(code).language for code in bare]
    country = [subtags(code).territory is not None for code in bare]
    return [
        canonical(language if has_country and languages.count(language) == 1 else code)
        for code, language, has_country in zip(bare, languages, country, strict=True)
    ]
