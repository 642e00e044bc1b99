"""Scores of generated text, 0 to 100.

Every function takes the predictions, the references of each (one or more), and where
the language matters, the language tag of each (or None).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sacrebleu.metrics import BLEU, CHRF

from unified_vl.evaluation.metrics.averages import mean

TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
DEFAULT_TOKENIZER = "13a"  # mteval-v13a, what sacrebleu uses for languages that write spaces


def normalise(text: str) -> str:
    """Unicode NFC, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def normalise_case(text: str) -> str:
    """As `normalise`, with upper and lower case made the same in every script."""
    return normalise(normalise(text).casefold())


def matches(
    prediction: str, references: Sequence[str], rule: Callable[[str], str] = normalise
) -> bool:
    """Whether the prediction equals any reference under `rule`."""
    found = rule(prediction)
    return any(found == rule(reference) for reference in references)


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Percentage equal to any of their references, case included, spacing not."""
    return 100.0 * mean([matches(p, r) for p, r in zip(predictions, references, strict=True)])


def accuracy(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Percentage equal to any of their references, neither case nor spacing included."""
    pairs = zip(predictions, references, strict=True)
    return 100.0 * mean([matches(p, r, normalise_case) for p, r in pairs])


def bleu(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None],
) -> float:
    """Corpus BLEU (Papineni et al., 2002) as sacrebleu computes it.

    Chinese, Japanese and Korean are cut into words by sacrebleu's tokenizers of those
    languages. A corpus of several languages is scored language by language, and the
    result is the mean of these scores weighted by their numbers of sentences.
    """
    return _by_language(_bleu_of_language, predictions, references, languages)


def chrf(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None],
) -> float:
    """Corpus chrF (Popović, 2015; character 6-grams, beta 2) as sacrebleu computes it.

    A corpus of several languages is scored language by language, and the result is the
    mean of these scores weighted by their numbers of sentences.
    """
    return _by_language(_chrf_of_language, predictions, references, languages)


def bleu_tokenizer(language: str | None) -> str:
    """The sacrebleu tokenizer of a language tag (`zh-Hant` counts as `zh`)."""
    return TOKENIZERS.get((language or "").split("-")[0].lower(), DEFAULT_TOKENIZER)


def _by_language(
    score: Callable[[list[str], list[Sequence[str]], str | None], float],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None],
) -> float:
    rows_of: dict[str | None, list[int]] = defaultdict(list)
    for index, language in enumerate(languages):
        rows_of[language].append(index)
    scores: list[float] = []
    for language, rows in rows_of.items():
        kept = [predictions[i] for i in rows]
        value = score(kept, [references[i] for i in rows], language)
        scores += [value] * len(rows)
    return mean(scores)


def _bleu_of_language(
    predictions: list[str], references: list[Sequence[str]], language: str | None
) -> float:
    scorer = _bleu_scorer(bleu_tokenizer(language))
    return float(scorer.corpus_score(predictions, _streams(references)).score)


@cache
def _bleu_scorer(tokenizer: str) -> BLEU:
    return BLEU(tokenize=tokenizer, force=True)  # force: no advice about detokenised input


def _chrf_of_language(
    predictions: list[str], references: list[Sequence[str]], language: str | None
) -> float:
    return float(CHRF().corpus_score(predictions, _streams(references)).score)


def _streams(references: Sequence[Sequence[str]]) -> Any:
    """References as sacrebleu wants them: stream k holds the k-th of every row, or None.

    (Its annotations leave the None out, though it documents and handles it.)
    """
    width = max(map(len, references))
    return [[r[k] if k < len(r) else None for r in references] for k in range(width)]
