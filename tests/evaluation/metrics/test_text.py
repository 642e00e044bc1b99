"""unified_vl/evaluation/metrics/text.py: parity with sacrebleu's own command line, and laws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.evaluation.metrics import text
from unified_vl.evaluation.metrics.table import METRICS, Answers, is_correct

CORPORA = {
    "en": (
        ["a cat, a dog and a red apple", "the big house."],
        ["a cat, a dog and a green apple", "a big house."],
    ),
    "zh": (["红苹果、猫和狗", "房子"], ["红苹果、小猫和狗", "大房子"]),
    "ja": (["赤いりんごと猫の顔", "家"], ["赤いりんごと犬の顔", "大きな家"]),
    "ko": (["빨간 사과와 고양이 얼굴", "집"], ["빨간 사과와 강아지 얼굴", "큰 집"]),
}


def sacrebleu_command_line(
    folder: Path, language: str, predictions: list[str], references: list[str]
) -> dict[str, float]:
    (folder / "predictions").write_text("\n".join(predictions) + "\n", encoding="utf-8")
    (folder / "references").write_text("\n".join(references) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "references", "-i", "predictions"]
    command += ["-m", "bleu", "chrf", "-w", "8", "--tokenize", text.bleu_tokenizer(language)]
    out = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return {entry["name"].lower().rstrip("2"): entry["score"] for entry in json.loads(out)}


@pytest.mark.parametrize("language", CORPORA)
def test_scores_are_those_of_sacrebleus_command_line(language: str, tmp_path: Path) -> None:
    predictions, references = CORPORA[language]
    expected = sacrebleu_command_line(tmp_path, language, predictions, references)
    rows = [[r] for r in references]
    languages = [language] * len(rows)
    assert text.bleu(predictions, rows, languages) == pytest.approx(expected["bleu"], abs=1e-6)
    assert text.chrf(predictions, rows, languages) == pytest.approx(expected["chrf"], abs=1e-6)


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("zh", "zh"), ("zh-Hant", "zh"), ("ja", "ja-mecab"), ("ko", "ko-mecab"), ("de", "13a")],
)
def test_tokenizer_of_a_language(language: str, tokenizer: str) -> None:
    assert text.bleu_tokenizer(language) == tokenizer


def test_the_tokenizer_of_the_language_matters() -> None:
    predictions, references = CORPORA["zh"]
    rows = [[r] for r in references]
    as_chinese = text.bleu(predictions, rows, ["zh", "zh"])
    assert as_chinese != pytest.approx(text.bleu(predictions, rows, ["en", "en"]))


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_several_languages_are_averaged_by_their_counts(name: str) -> None:
    predictions, references, languages = [], [], []
    expected = 0.0
    for language, copies in (("en", 1), ("ja", 3)):
        found, right = CORPORA[language]
        rows = Answers(found * copies, [[r] for r in right * copies], [language] * 2 * copies)
        expected += copies * METRICS[name].score(rows) / 4
        predictions += rows.predictions
        references += rows.references
        languages += rows.languages
    mixed = METRICS[name].score(Answers(predictions, references, languages))
    assert mixed == pytest.approx(expected)


def test_any_reference_counts_and_their_number_may_differ() -> None:
    references = [["a dog", "a hound"], ["one cat"]]
    assert text.exact_match(["a hound", "one cat"], references) == 100
    assert text.chrf(["a hound", "one cat"], references, ["en", "en"]) == pytest.approx(100)


def test_unicode_forms_and_spacing_are_ignored_and_case_only_by_accuracy() -> None:
    composed, decomposed = "caf\u00e9  noir", " cafe\u0301 noir"
    assert text.exact_match([composed], [[decomposed]]) == 100
    assert text.exact_match(["Yes"], [["yes"]]) == 0
    assert text.accuracy(["Yes"], [["yes"]]) == 100
    assert text.accuracy(["STRASSE"], [["straße"]]) == 100
    assert text.exact_match(["می\u200cرود"], [["میرود"]]) == 0  # the joiner is a letter here


def test_nothing_to_score_is_an_error() -> None:
    for name in ("exact_match", "accuracy", "bleu", "chrf"):
        with pytest.raises(ValueError, match="nothing to score"):
            METRICS[name].score(Answers([], [], []))


def test_one_row_is_right_by_the_rule_of_its_metric() -> None:
    assert is_correct("accuracy", "YES", ["yes"])
    assert not is_correct("chrf", "YES", ["yes"])
    assert not is_correct("exact_match", None, ["yes"])


words = st.text(alphabet="abcé あ猫 \n", min_size=1).filter(lambda t: bool(t.strip()))


@settings(max_examples=30, deadline=None)
@given(st.lists(words, min_size=1, max_size=5), st.lists(words, min_size=1, max_size=5))
def test_scores_stay_between_0_and_100_and_a_copy_is_perfect(
    found: list[str], right: list[str]
) -> None:
    size = min(len(found), len(right))
    languages: list[str | None] = ["en"] * size
    rows = [[r] for r in right[:size]]
    for name in ("exact_match", "accuracy", "bleu", "chrf"):
        value = METRICS[name].score(Answers(found[:size], rows, languages))
        assert -1e-9 <= value <= 100 + 1e-9
    copy = Answers(right[:size], rows, languages)
    assert METRICS["exact_match"].score(copy) == 100
    assert METRICS["accuracy"].score(copy) == 100
    assert METRICS["chrf"].score(copy) == pytest.approx(100)
