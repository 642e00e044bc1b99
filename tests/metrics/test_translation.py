"""unified_vl/metrics/texts/translation.py: parity with sacrebleu's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.words import sacrebleu_name

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
    command += ["-m", "bleu", "chrf", "-w", "8", "--tokenize", sacrebleu_name(language)]
    out = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return {entry["name"].lower().rstrip("2"): entry["score"] for entry in json.loads(out)}


@pytest.mark.parametrize("language", CORPORA)
def test_scores_are_those_of_sacrebleus_command_line(language: str, tmp_path: Path) -> None:
    predictions, references = CORPORA[language]
    expected = sacrebleu_command_line(tmp_path, language, predictions, references)
    rows = [[r] for r in references]
    languages = [language] * len(rows)
    answers = Answers(predictions, rows, languages)
    for name in ("bleu", "chrf"):
        assert METRICS[name].score(answers) == pytest.approx(expected[name], abs=1e-6)


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("zh", "zh"),
        ("zh-Hant", "zh"),
        ("ja", "ja-mecab"),
        ("ko", "ko-mecab"),
        ("de", "13a"),
        ("th", "char"),
        ("zh_TW", "zh"),
        ("zho_Hans", "zh"),
        ("zho", "zh"),
        ("cmn", "zh"),
        ("yue", "zh"),
        ("lzh", "zh"),
        ("zh_Latn", "13a"),
        ("jpn", "ja-mecab"),
        ("kor_Hang", "ko-mecab"),
        ("khm", "char"),
        ("mya_Mymr", "char"),
        ("lao", "char"),
        ("vie_Latn", "13a"),
        ("xx", "13a"),
    ],
)
def test_tokenizer_of_a_language(language: str, tokenizer: str) -> None:
    assert sacrebleu_name(language) == tokenizer


def test_the_tokenizer_of_the_language_matters() -> None:
    predictions, references = CORPORA["zh"]
    rows = [[r] for r in references]
    as_chinese = METRICS["bleu"].score(Answers(predictions, rows, ["zh", "zh"]))
    as_english = METRICS["bleu"].score(Answers(predictions, rows, ["en", "en"]))
    assert as_chinese != pytest.approx(as_english)


@pytest.mark.parametrize("tag", ["zh_CN", "zho_Hans", "zho", "cmn", "yue", "zh-Hant"])
@pytest.mark.parametrize("name", ["bleu", "chrf", "ter", "cider", "rouge_l", "f1"])
def test_scores_do_not_depend_on_how_a_tag_is_spelt(name: str, tag: str) -> None:
    predictions, references = CORPORA["zh"]
    rows = [[r] for r in references]
    usual = METRICS[name].score(Answers(predictions, rows, ["zh", "zh"]))
    assert METRICS[name].score(Answers(predictions, rows, [tag, tag])) == usual


def test_rare_characters_are_words_of_their_own() -> None:
    """sacrebleu's `zh` leaves those of Extension B together: one wrong is five wrong."""
    rows = Answers(["𠮷𠮷𠮷𠮷𠮷𠮷好"], [["𠮷𠮷𠮷𠮷𠮷𠮷坏"]], ["zh"])
    assert METRICS["bleu"].score(rows) == pytest.approx(80.91, abs=0.01)


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
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


def test_ter_is_sacrebleus_and_lower_is_better() -> None:
    from sacrebleu.metrics import TER

    predictions, references = CORPORA["en"]
    rows = [[r, "something else"] for r in references]
    expected = TER().corpus_score(predictions, [references, ["something else"] * 2]).score
    answers = Answers(predictions, rows, ["en", "en"])
    assert METRICS["ter"].score(answers) == pytest.approx(expected, abs=1e-6)
    assert METRICS["ter"].score(Answers(references, [[r] for r in references], ["en"] * 2)) == 0
    assert not METRICS["ter"].higher_is_better


def test_ter_counts_words_where_nobody_writes_spaces() -> None:
    """One wrong character of four is a quarter of the edits, not the whole sentence."""
    assert METRICS["ter"].score(Answers(["红苹果树"], [["红苹果子"]], ["zh"])) == pytest.approx(25)


def test_references_may_differ_in_number() -> None:
    references = [["a dog", "a hound"], ["one cat"]]
    answers = Answers(["a hound", "one cat"], references, ["en", "en"])
    assert METRICS["chrf"].score(answers) == pytest.approx(100)
    assert METRICS["ter"].score(answers) == 0


def test_an_empty_answer_scores_nothing() -> None:
    assert METRICS["bleu"].score(Answers([""], [["a dog"]], ["en"])) == 0
    assert METRICS["ter"].score(Answers([""], [["a dog"]], ["en"])) == 100
