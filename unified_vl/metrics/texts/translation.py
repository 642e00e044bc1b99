"""BLEU, chrF and TER as sacrebleu computes them, through its statistics of each sentence.

Two methods of its metrics are used that it calls private: the statistics of a corpus, and
the score of their sums. They are what its own significance tests use, and parity with its
command line is tested.

N rows, K statistics, R choices of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Literal

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats
from unified_vl.metrics.words import DEFAULT, apart, sacrebleu_name, sacrebleu_tokenizer

Name = Literal["bleu", "chrf", "ter"]


def statistics(
    name: Name,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str | None,
) -> Floats:
    """sacrebleu's statistics of each sentence of one language, (N, K)."""
    tokenizer = sacrebleu_name(language)
    if tokenizer == "zh":
        predictions = [apart(text) for text in predictions]
        references = [[apart(text) for text in row] for row in references]
    if name == "ter" and tokenizer != DEFAULT:  # Tercom's own rules cut at spaces
        split = sacrebleu_tokenizer(tokenizer)
        predictions = [split(text) for text in predictions]
        references = [[split(text) for text in row] for row in references]
    rows = _scorer(name, tokenizer)._extract_corpus_statistics(predictions, _streams(references))
    return np.asarray(rows, np.float64)


def finish(name: Name, sums_RK: Floats) -> Floats:
    """Scores, 0 to 100 (TER: 0 and more), of sums of statistics, (R,)."""
    scorer = _scorer(name, DEFAULT)
    return np.asarray([scorer._compute_score_from_stats(row).score for row in sums_RK.tolist()])


@cache
def _scorer(name: Name, tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if name == "bleu":
        return BLEU(tokenize=tokenizer, force=True)  # force: no advice about detokenised input
    return CHRF() if name == "chrf" else TER()


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """References as sacrebleu wants them: stream k holds the k-th of every row, or None."""
    width = max(map(len, references))
    return [[r[k] if k < len(r) else None for r in references] for k in range(width)]


def _rows(name: Name, answers: Answers) -> Floats:
    if not len(answers):
        return np.empty((0, 1))
    language = answers.languages[0]  # by_language: they are all the same
    return statistics(name, answers.predictions, answers.references, language)


def _sacrebleu(
    name: Name, label: str, about: str, highest: float = 100.0, *, higher_is_better: bool = True
) -> Metric:
    return Metric(
        name=name,
        label=label,
        about=f"{about} by sacrebleu",
        bounds=(0.0, highest),
        higher_is_better=higher_is_better,
        rows=partial(_rows, name),
        finish=partial(finish, name),
        by_language=True,
    )


METRICS = (
    _sacrebleu("bleu", "BLEU", "corpus BLEU (Papineni et al., 2002)"),
    _sacrebleu("chrf", "chrF", "corpus chrF (Popović, 2015; character 6-grams, beta 2)"),
    _sacrebleu(
        "ter",
        "TER",
        "translation edit rate (Snover et al., 2006)",
        float("inf"),
        higher_is_better=False,
    ),
)
