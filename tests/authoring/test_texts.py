"""What `check` says of all rows of a split together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.public_tokenizers import byte_level_bpe, sentence_piece
from unified_vl.authoring.checking.check import CheckResult, check_paths
from unified_vl.authoring.checking.tokens import load_codec
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.byte_level_bpe import ByteLevelBPE
from unified_vl.codecs.texts.byte_text import ByteText
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary

BPE_IDS = {"pad_id": 1, "eos_id": 2, "unk_id": 3}

SPEC = """\
task: ground
version: 1
about: Answer.
data: {reader: jsonl, path: "{split}.jsonl", splits: {train: rows}, languages: [en]}
fields:
  text: {kind: text, column: text}
  answers: {kind: text, column: answers, many: true}
example: {source: "{text}", target: "{answers}", pick: {answers: random}}
generate: {max_tokens: 24}
score: [{metric: chrf, against: answers, primary: true}]
"""


@pytest.fixture
def codec(tokenizer: Path) -> SequenceCodec:
    found = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, max_source=24, max_target=24)
    assert found is not None
    return found


def check(root: Path, rows: list[dict[str, Any]], codec: SequenceCodec | None) -> CheckResult:
    write(root, rows, SPEC)
    return check_paths([root], data=root, codec=codec)


def write(root: Path, rows: list[dict[str, Any]], spec: str) -> None:
    (root / "spec.yaml").write_text(spec)
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(text: str, *answers: str) -> dict[str, Any]:
    return {"text": text, "answers": list(answers or ["a"])}


def test_truncation_is_one_finding_with_its_rate_and_what_would_do(
    tmp_path: Path, codec: SequenceCodec
) -> None:
    rows = [row("a cat"), row("a dog " * 30), row("a cat " * 20), row("a dog")]
    (finding,) = check(tmp_path, rows, codec).findings
    assert finding.message.startswith("the source of 2 of 4 rows (50.0 %) is cut to 24 tokens; the")
    needed = len(codec.text.encode(rows[1]["text"].strip())) + 1
    assert finding.message.endswith(f"longest has {needed}")
    assert finding.remedy == f"max_source_tokens: {needed} in the run file (--max-source here)"
    assert (finding.rate, finding.row, finding.field) == (0.5, 2, "source")


def test_characters_that_become_bytes_are_named_with_their_rate(
    tmp_path: Path, codec: SequenceCodec
) -> None:
    rows = [row("a cat"), row("a ß and 猫 cat"), row("a dog", "a", "ß"), row("a dog x")]
    (finding,) = check(tmp_path, rows[:3], codec).findings
    assert finding.message.startswith("2 of 3 rows (66.7 %) hold characters that the tokenizer")
    assert "'ß' (U+00DF LATIN SMALL LETTER SHARP S)" in finding.message
    assert "'猫' (U+732B CJK UNIFIED IDEOGRAPH-732B)" in finding.message
    assert (finding.rate, finding.row) == (2 / 3, 2)
    assert finding.remedy is not None
    assert "unified-vl tokenizer train" in finding.remedy


@pytest.mark.parametrize(
    ("splits", "text", "remedy"),
    [
        ("{train: rows}", "a ß", "(unified-vl tokenizer train --spec SPEC)"),
        ("{test: rows}", "a ß", "--input TEXTS"),  # which no train split of the spec teaches
        ("{train: rows}", "a \u2585", "none: SentencePiece reserves the character"),
    ],
)
def test_the_remedy_for_such_characters_is_one_that_helps(
    tmp_path: Path, codec: SequenceCodec, splits: str, text: str, remedy: str
) -> None:
    write(tmp_path, [row(text)], SPEC.replace("{train: rows}", splits))
    (finding,) = check_paths([tmp_path], data=tmp_path, codec=codec).findings
    assert remedy in str(finding.remedy)


def test_texts_that_do_not_come_back_are_found_in_all_right_answers(
    tmp_path: Path, codec: SequenceCodec
) -> None:
    result = check(tmp_path, [row("a cat", "a", "a  dog")], codec)
    found = [str(finding) for finding in result.findings]
    if codec.text.decode(codec.text.encode("a  dog")) == "a  dog":
        assert found == []
    else:
        assert any("of 'a  dog'" in each for each in found)


def test_rows_that_read_alike_and_write_something_else_are_found(tmp_path: Path) -> None:
    rows = [row("a", "x"), row("b", "x"), row("a", "y"), row("a", "x"), row("c", "z")]
    (finding,) = check(tmp_path, rows, None).findings
    assert finding.message == (
        "3 of 5 rows (60.0 %) of train read the same as another and write something else (first: "
        "rows.jsonl:1 and rows.jsonl:3)"
    )
    assert (finding.severity, finding.line, finding.field) == ("warning", 8, "example.source")
    assert finding.remedy is not None


@pytest.mark.parametrize("text", ["\u200b", "\ufeff\u2060", "\u0001"])
def test_a_target_that_nobody_can_see_is_empty(tmp_path: Path, text: str) -> None:
    (finding,) = check(tmp_path, [row("a", text)], None).findings
    assert str(finding) == "error: rows.jsonl:1: target: is empty; expected something to be written"


def test_a_target_of_marks_alone_is_not_empty(tmp_path: Path) -> None:
    assert check(tmp_path, [row("a", "!"), row("b", "🙂"), row("c", "ि")], None).findings == ()


@pytest.mark.parametrize(
    ("text", "written", "told"),
    [
        (SentencePieceText(sentence_piece()), "dogs play", []),
        (SentencePieceText(sentence_piece()), "ﬁ play", ["reads 'ﬁ play' as 'fi play'"]),
        (
            SentencePieceText(sentence_piece()),
            "dogs 🙂",
            ["makes 'dogs  ⁇ ' of 'dogs 🙂'", "does not know and cannot write at all: '🙂'"],
        ),
        (
            SentencePieceText(sentence_piece(byte_fallback=True)),
            "dogs 🙂",
            ["does not know and writes byte by byte: '🙂'"],
        ),
        (ByteLevelBPE(byte_level_bpe()), "dogs 🙂 ﬁ", []),
        (ByteText(), "dogs 🙂 ﬁ", []),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_an_adopted_tokenizer_does_to_a_text_is_said(
    tmp_path: Path, text: TextCodec, written: str, told: list[str]
) -> None:
    rows = [row("two dogs"), row(written, written), row("dogs")]
    special = {} if isinstance(text, ByteText | SentencePieceText) else BPE_IDS
    vocabulary = Vocabulary(len(text), ("image", "task:ground"), **special)
    codec = SequenceCodec(vocabulary, text, image_tokens=4, image_size=(8, 8))
    found = [finding.message for finding in check(tmp_path, rows, codec).findings]
    assert len(found) == len(told), found
    assert all(any(part in message for message in found) for part in told), found
