"""Captions as COCO's evaluation scores them (Chen et al., 2015), on words.

Parity with the published Python (`pycocoevalcap`) is tested to 1e-6. A row is the words of
its caption and of each of its references.

N rows, K statistics, R choices of rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats, per_row
from unified_vl.metrics.words import words_of

Words = Sequence[str]
NGram = tuple[str, ...]
LONGEST = 4  # words of an n-gram
SIGMA = 6.0  # of CIDEr-D's penalty for a difference in length
CIDER_SCALE = 10.0
ROUGE_BETA = 1.2  # recall counts more
TINY, SMALL = 1e-15, 1e-9  # COCO's guards against a division by zero


def ngrams(words: Words, longest: int = LONGEST) -> Counter[NGram]:
    """All n-grams of 1 to `longest` words with their counts."""
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, longest + 1)
        for start in range(len(words) - n + 1)
    )


def cider(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each row, 0 to 10 (Vedantam et al., 2015; n to 4, sigma 6, times 10).

    An n-gram weighs the logarithm of the number of rows over the number of rows whose
    references have it: the references given are the corpus. With one row all weigh 0.
    """
    found = [ngrams(words) for words in captions]
    right = [[ngrams(words) for words in row] for row in references]
    seen: Counter[NGram] = Counter()
    for row in right:
        seen.update({gram for reference in row for gram in reference})
    most = math.log(max(len(captions), 1))
    rarity = {gram: most - math.log(count) for gram, count in seen.items()}
    scores = []
    for caption, row in zip(found, right, strict=True):
        weighted = _weighted(caption, rarity, most)
        likeness = sum(_likeness(weighted, _weighted(r, rarity, most)) for r in row)
        scores.append(CIDER_SCALE * likeness / LONGEST / len(row))
    return scores


def coco_bleu_statistics(
    captions: Sequence[Words], references: Sequence[Sequence[Words]]
) -> Floats:
    """Of each row: its length, that of the nearest reference, then of n = 1 to 4 the number
    of n-grams and of those that are right, (N, 2 + 2 * 4)."""
    rows = []
    for words, row in zip(captions, references, strict=True):
        most: Counter[NGram] = Counter()
        for reference in row:
            most |= ngrams(reference)
        right = [0] * LONGEST
        for gram, count in (ngrams(words) & most).items():
            right[len(gram) - 1] += count
        nearest = min((abs(len(r) - len(words)), len(r)) for r in row)[1]
        written = [max(0, len(words) - n) for n in range(LONGEST)]
        rows.append([len(words), nearest, *written, *right])
    return np.asarray(rows, np.float64).reshape(-1, 2 + 2 * LONGEST)


def coco_bleu(sums_RK: Floats, order: int) -> Floats:
    """Corpus BLEU of n-grams up to `order`, 0 to 100, of sums of `coco_bleu_statistics`."""
    written = sums_RK[:, 2 : 2 + order] + SMALL
    right = sums_RK[:, 2 + LONGEST : 2 + LONGEST + order] + TINY
    precision_R = np.prod(right / written, axis=1) ** (1 / order)
    ratio_R = (sums_RK[:, 0] + TINY) / (sums_RK[:, 1] + SMALL)
    brevity_R = np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio_R))
    return 100.0 * precision_R * brevity_R


def rouge_l(caption: Words, references: Sequence[Words]) -> float:
    """ROUGE-L of one row, 0 to 1: F of the longest common subsequence (Lin, 2004; beta 1.2).

    Precision and recall are each the best over the references.
    """
    words = caption or [""]  # as the published code, which cuts an empty text into one word
    common = [(common_words(words, r or [""]), len(r or [""])) for r in references]
    precision = max(shared for shared, _ in common) / len(words)
    recall = max(shared / length for shared, length in common)
    if not precision or not recall:
        return 0.0
    square = ROUGE_BETA**2
    return (1 + square) * precision * recall / (recall + square * precision)


def common_words(left: Words, right: Words) -> int:
    """Length of the longest common subsequence, by bits (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(left)) - 1
    open_places = everything
    for word in right:
        met = open_places & places.get(word, 0)
        open_places = ((open_places + met) | (open_places - met)) & everything
    return len(left) - open_places.bit_count()


_Weighted = tuple[list[dict[NGram, float]], list[float], int]


def _weighted(counts: Counter[NGram], rarity: dict[NGram, float], most: float) -> _Weighted:
    """TF-IDF weights and their norm for each n, and the length (in pairs of words)."""
    weights: list[dict[NGram, float]] = [{} for _ in range(LONGEST)]
    squares = [0.0] * LONGEST
    for gram, count in counts.items():
        weight = count * rarity.get(gram, most)
        weights[len(gram) - 1][gram] = weight
        squares[len(gram) - 1] += weight * weight
    length = sum(count for gram, count in counts.items() if len(gram) == 2)
    return weights, [math.sqrt(square) for square in squares], length


def _likeness(caption: _Weighted, reference: _Weighted) -> float:
    """Sum over n of the clipped cosine, lowered where the lengths differ."""
    total = 0.0
    pairs = zip(caption[0], reference[0], caption[1], reference[1], strict=True)
    for found, right, norm, other in pairs:
        if norm and other:
            shared = sum(min(w, right[g]) * right[g] for g, w in found.items() if g in right)
            total += shared / (norm * other)
    return total * math.exp(-((caption[2] - reference[2]) ** 2) / (2 * SIGMA**2))


_Sentences = Sequence[Words]


def _on_words(
    rule: Callable[[_Sentences, Sequence[_Sentences]], Floats],
) -> Callable[[Answers], Floats]:
    """Statistics of captions, cut into words by their language."""

    def rows(answers: Answers) -> Floats:
        languages = answers.languages
        pairs = zip(answers.predictions, answers.references, languages, strict=True)
        cut = [(words_of(p, tag), [words_of(r, tag) for r in refs]) for p, refs, tag in pairs]
        return rule([found for found, _ in cut], [right for _, right in cut])

    return rows


METRICS = (
    Metric(
        name="cider",
        label="CIDEr-D",
        about="CIDEr-D (Vedantam et al., 2015; n = 1 to 4, sigma 6), 100 × what `pycocoevalcap` "
        'prints: "CIDEr 120.3" of papers; best with several references',
        bounds=(0.0, 100.0 * CIDER_SCALE),
        rows=_on_words(lambda found, right: per_row(cider(found, right))),
        by_language=True,
    ),
    Metric(
        name="rouge_l",
        label="ROUGE-L",
        about="ROUGE-L (Lin, 2004; beta 1.2) as in COCO's evaluation",
        rows=_on_words(lambda found, right: per_row(list(map(rouge_l, found, right)))),
    ),
    *(
        Metric(
            name=f"coco_bleu_{order}",
            label=f"BLEU-{order}",
            about=f"BLEU-{order} as in COCO's evaluation (nearest reference length)",
            rows=_on_words(coco_bleu_statistics),
            finish=partial(coco_bleu, order=order),
            by_language=True,
        )
        for order in range(1, LONGEST + 1)
    ),
)
# Metrics of captions that specs may ask for, and why there are none.
REFUSED = {
    "meteor": "another metric, such as cider: METEOR is what its Java program makes of WordNet "
    "and paraphrase tables, and cannot be computed exactly without it",
    "spice": "another metric, such as cider: SPICE is what its Java program's scene graphs give, "
    "and cannot be computed exactly without it",
}
