"""Tokenizers of mBART, M2M100 and NLLB: the ids and languages are those of `transformers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import transformers

from tests.public_tokenizers import NUMBERS, TEXTS, sentence_piece
from unified_vl.codecs.texts.published import PublishedText, published_text
from unified_vl.errors import UserError

IDS = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
KINDS = ("MBart", "MBart50", "Nllb", "M2M100")
LOST = "▁1999"  # a piece that `vocab.json` has no id for
ELSEWHERE = "▁elsewhere"  # one of `vocab.json` that the model does not have


def write(folder: Path, kind: str) -> Any:
    """A tokenizer as it is published, and that of `transformers`."""
    model_type = "bpe" if kind in ("Nllb", "M2M100") else "unigram"
    content = sentence_piece(model_type=model_type, **IDS)
    file = folder / "sentencepiece.bpe.model"
    file.write_bytes(content)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({"tokenizer_class": f"{kind}Tokenizer"}))
    made = getattr(transformers, f"{kind}Tokenizer")
    if kind != "M2M100":
        return made.from_pretrained(folder)
    one = sentencepiece.SentencePieceProcessor(model_proto=content)
    pieces = [one.IdToPiece(i) for i in reversed(range(3, len(one)))]
    assert LOST in pieces
    names = ["<s>", "<pad>", "</s>", "<unk>", *pieces, ELSEWHERE]
    names.remove(LOST)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({name: i for i, name in enumerate(names)}))
    return made(str(vocabulary), str(file))


def languages(published: PublishedText) -> dict[int, str]:
    start = "tag:language:"
    names = enumerate(published.names)
    return {i: n.removeprefix(start) for i, n in names if n is not None and n.startswith(start)}


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_the_weights(tmp_path: Path, kind: str) -> None:
    theirs = write(tmp_path, kind)
    published = published_text(tmp_path)
    assert published.special == {"pad_id": 1, "eos_id": 2, "unk_id": 3}
    pieces = published.text.pieces(range(len(published.text)))
    lost = {i for i, name in enumerate(pieces) if name == LOST}
    compared = 0
    for text in [*TEXTS.values(), *NUMBERS]:
        if kind == "MBart" and "\u200c" in text:
            continue  # which transformers 5.23 reads with other rules than the model has
        ids = [3 if kind == "M2M100" and i in lost else i for i in published.text.encode(text)]
        assert ids == theirs(text, add_special_tokens=False).input_ids, text
        compared += len(ids)
    assert compared > 100


@pytest.mark.parametrize(
    ("kind", "code", "language"),
    [
        ("MBart", "de_DE", "de"),
        ("MBart", "en_XX", "en"),
        ("MBart50", "zh_CN", "zh"),
        ("MBart50", "sl_SI", "sl"),
        ("M2M100", "__ja__", "ja"),
    ],
)
def test_a_language_has_the_row_of_its_code(
    tmp_path: Path, kind: str, code: str, language: str
) -> None:
    theirs = write(tmp_path, kind)
    found = {name: i for i, name in languages(published_text(tmp_path)).items()}
    assert found[language] == theirs.convert_tokens_to_ids(code)


def test_the_languages_of_nllb_are_numbered_as_they_are_published(tmp_path: Path) -> None:
    """NllbTokenizer numbers them from a published tokenizer.json alone: 256047 is eng_Latn, of a
    SentencePiece model of 256,000 pieces."""
    write(tmp_path, "Nllb")
    published = published_text(tmp_path)
    found = {name: i for i, name in languages(published).items()}
    pieces = len(published.text) - 1
    assert found["en"] - pieces == 256047 - 256000
    assert {found["zh"], found["zh-Hant"]} < set(range(pieces + 1, pieces + 203))
    assert {"ak", "apc", "zh", "de", "fa", "sr"} <= set(found)
    assert found["apc"] == pieces + 1 + 9  # apc_Arab, and not ajp_Arab, which CLDR has as the same


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", {"<s>": 0, "a": 2}, "is no vocabulary; expected pieces and their ids"),
        ("vocab.json", {"<s>": "x"}, "is no vocabulary"),
        ("sentencepiece.bpe.model", None, "the SentencePiece model begins with <pad>, </s>, <unk>"),
    ],
)
def test_what_is_none_of_them_is_told(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    write(tmp_path, "M2M100")
    if content is None:
        (tmp_path / name).write_bytes(sentence_piece())
    else:
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        published_text(tmp_path)
