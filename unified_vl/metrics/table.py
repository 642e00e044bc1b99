"""Every metric by the name that a task spec uses.

A new metric is one pure function beside this file, one line in `METRICS`, and its name in
the spec (`specs/score.py` and `specs/score_rules.py`).

N rows, K statistics, R choices of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from unified_vl.metrics import (
    boxes,
    captions,
    classes,
    correlation,
    detection,
    pictures,
    shapes,
    text,
    translation,
    vqa,
)
from unified_vl.metrics.consistency import (
    consistency,
    finish_consistency,
    group_accuracy,
)
from unified_vl.metrics.statistics import (
    Finish,
    Floats,
    RowStatistics,
    mean_of_rows,
    per_row,
)
from unified_vl.metrics.words import words_of


@dataclass(frozen=True, slots=True)
class Answers:
    """What was predicted, what was right, and in which language, row by row.

    Attributes:
        predictions: a text each, or several of which the best counts; a box or point or None
            (nothing predicted) each, all detections, all polygons, or a picture (uint8 HWC) each.
        references: the right answers of each row, at least one.
        languages: the language tag of each row, or None.
        threshold: the overlap from which a box counts as found, or the distance up to which
            a point does.
        keys: what each row is called; consistency alone needs it.
        implied: the keys of the rows whose answers follow from each row's; likewise.
        groups: what is the same for rows of a group; group_accuracy alone needs it.
        top: how many of the nearest count, or of a row's texts.
        positive: the class that binary_f1 looks for.
    """

    predictions: Sequence[Any]
    references: Sequence[Sequence[Any]]
    languages: Sequence[str | None]
    threshold: float = 0.5
    keys: Sequence[str] = ()
    implied: Sequence[Sequence[str]] = ()
    groups: Sequence[str] = ()
    top: int = 1
    positive: str = ""

    def __len__(self) -> int:
        return len(self.predictions)

    def of(self, rows: Sequence[int]) -> Answers:
        """Some of the rows."""
        return Answers(
            [self.predictions[i] for i in rows],
            [self.references[i] for i in rows],
            [self.languages[i] for i in rows],
            self.threshold,
            [self.keys[i] for i in rows] if self.keys else (),
            [self.implied[i] for i in rows] if self.implied else (),
            [self.groups[i] for i in rows] if self.groups else (),
            self.top,
            self.positive,
        )


@dataclass(frozen=True, slots=True)
class Metric:
    """A named score.

    Attributes:
        rows: the statistics of each row, (N, K).
        finish: what sums of them score.
        by_language: whether each language is a corpus of its own; the score then is the
            mean of the languages', weighted by their numbers of rows.
        higher_is_better: whether more is better.
    """

    rows: Callable[[Answers], Floats]
    finish: Finish = mean_of_rows
    by_language: bool = False
    higher_is_better: bool = True

    def measure(self, answers: Answers) -> RowStatistics:
        """All that the metric needs to know of the rows."""
        groups_N = _groups(answers.languages if self.by_language else [None] * len(answers))
        if not self.by_language or not len(answers):
            return RowStatistics(self.rows(answers), self.finish, groups_N)
        members = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
        parts = [self.rows(answers.of(rows.tolist())) for rows in members]
        values_NK = np.empty((len(answers), parts[0].shape[1]))
        values_NK[np.concatenate(members)] = np.concatenate(parts)
        return RowStatistics(values_NK, self.finish, groups_N)

    def score(self, answers: Answers) -> float:
        """The score of all rows.

        Raises:
            ValueError: when there is none.
        """
        return self.measure(answers).score()


@dataclass(frozen=True, slots=True)
class CorpusMetric:
    """A score that does not follow from sums over rows; so it has no interval.

    Attributes:
        score: the score of all rows.
        higher_is_better: whether more is better.
    """

    score: Callable[[Answers], float]
    higher_is_better: bool = True


def _groups(languages: Sequence[str | None]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each row, the same for rows of the same language."""
    numbers: dict[str | None, int] = {}
    found = [numbers.setdefault(language, len(numbers)) for language in languages]
    return np.asarray(found, np.int64)


def _marks(
    rule: Callable[[Any, Sequence[Any], str | None], float],
    finish: Finish = mean_of_rows,
    *,
    higher_is_better: bool = True,
) -> Metric:
    """The mean of what `rule` gives each answer, in percent unless `finish` says otherwise.

    The rule knows the language of the row. Of several answers to it the best of the first `top`
    counts.
    """

    def rows(answers: Answers) -> Floats:
        rows = zip(answers.predictions, answers.references, answers.languages, strict=True)
        return per_row(
            [max(rule(one, r, tag) for one in _several(p, answers.top)) for p, r, tag in rows]
        )

    return Metric(rows, finish, higher_is_better=higher_is_better)


def _several(prediction: Any, top: int) -> Sequence[Any]:
    return prediction[:top] if isinstance(prediction, tuple) else (prediction,)


def _pictures(rule: Callable[..., Floats], *how: str) -> Callable[[Answers], Floats]:
    """What a rule makes of all pictures and of the true ones, of which a row has one."""

    def rows(answers: Answers) -> Floats:
        true = [references[0] for references in answers.references]
        return rule(answers.predictions, true, *(getattr(answers, name) for name in how))

    return rows


def mask_iou(prediction: Any, references: Sequence[Any]) -> float:
    """The overlap of outlines, or of a picture that is a mask, with the true one."""
    if isinstance(prediction, np.ndarray):
        return pictures.mask_iou(prediction, references[0])
    return shapes.mask_iou(prediction, references)


def _mean(sums_RK: Floats) -> Floats:
    """The mean over rows as it is."""
    return sums_RK[:, 0] / sums_RK[:, 1]


def _f1(answers: Answers) -> Floats:
    rows = zip(answers.predictions, answers.references, answers.languages, strict=True)
    return per_row([text.token_f1(p, r, language) for p, r, language in rows])


def _sacrebleu(name: translation.Name, *, higher_is_better: bool = True) -> Metric:
    def rows(answers: Answers) -> Floats:
        if not len(answers):
            return np.empty((0, 1))
        language = answers.languages[0]  # by_language: they are all the same
        return translation.statistics(name, answers.predictions, answers.references, language)

    return Metric(rows, partial(translation.finish, name), True, higher_is_better)


_Sentences = Sequence[captions.Words]


def _on_words(rule: Callable[[_Sentences, Sequence[_Sentences]], Floats]) -> Callable[..., Floats]:
    """Statistics of captions, cut into words by their language."""

    def rows(answers: Answers) -> Floats:
        languages = answers.languages
        pairs = zip(answers.predictions, answers.references, languages, strict=True)
        cut = [(words_of(p, tag), [words_of(r, tag) for r in refs]) for p, refs, tag in pairs]
        return rule([found for found, _ in cut], [right for _, right in cut])

    return rows


def _classes(answers: Answers) -> Floats:
    return classes.class_statistics(answers.predictions, answers.references, answers.languages)


def _binary_f1(answers: Answers) -> Floats:
    rows = answers.predictions, answers.references, answers.languages
    return classes.positive_statistics(*rows, answers.positive)


def _on_texts(rule: Callable[[Sequence[str], Sequence[Sequence[str]]], Any]) -> Callable[..., Any]:
    """What a rule makes of all predictions and references at once."""
    return lambda answers: rule(answers.predictions, answers.references)


def _overlaps(answers: Answers) -> list[float]:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return [boxes.best_iou(p, r) for p, r in pairs]


def _points(answers: Answers) -> Floats:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return per_row([shapes.point_fits(p, r, answers.threshold) for p, r in pairs])


def _right(answers: Answers) -> list[bool]:
    rows = zip(answers.predictions, answers.references, answers.languages, strict=True)
    return [text.matches_in_any_case(*row) for row in rows]


def _consistency(answers: Answers) -> Floats:
    return consistency(_right(answers), answers.keys, answers.implied)


def _group_accuracy(answers: Answers) -> Floats:
    return group_accuracy(_right(answers), answers.groups)


def _map(answers: Answers) -> float:
    truths = [[(box, box.label or "") for box in row] for row in answers.references]
    return detection.coco_map(answers.predictions, truths)


METRICS: dict[str, Metric | CorpusMetric] = {
    "exact_match": _marks(lambda p, r, _: text.matches(p, r)),
    "accuracy": _marks(text.matches_in_any_case),
    "vqa_accuracy": _marks(lambda p, r, _: vqa.vqa_accuracy(p, r)),
    "anls": _marks(text.anls),
    "f1": Metric(_f1),
    "macro_f1": Metric(_classes, classes.macro_f1),
    "binary_f1": Metric(_binary_f1, classes.binary_f1),
    "matthews_correlation": Metric(_classes, classes.matthews_correlation),
    "pearson": Metric(_on_texts(correlation.pearson_statistics), correlation.pearson),
    "spearman": CorpusMetric(_on_texts(correlation.spearman)),
    "pearson_spearman": CorpusMetric(_on_texts(correlation.pearson_spearman)),
    "bleu": _sacrebleu("bleu"),
    "chrf": _sacrebleu("chrf"),
    "ter": _sacrebleu("ter", higher_is_better=False),
    "cider": Metric(_on_words(lambda c, r: per_row(captions.cider(c, r))), by_language=True),
    "rouge_l": Metric(
        _on_words(lambda c, r: per_row([captions.rouge_l(*row) for row in zip(c, r, strict=True)]))
    ),
    **{
        f"coco_bleu_{order}": Metric(
            _on_words(captions.coco_bleu_statistics),
            partial(captions.coco_bleu, order=order),
            by_language=True,
        )
        for order in range(1, captions.LONGEST + 1)
    },
    "box_accuracy": Metric(lambda a: per_row([found >= a.threshold for found in _overlaps(a)])),
    "mean_iou": Metric(lambda a: per_row(_overlaps(a))),
    "coco_map": CorpusMetric(_map),
    "mean_absolute_error": _marks(
        lambda p, r, _: text.absolute_error(p, r), _mean, higher_is_better=False
    ),
    "point_accuracy": Metric(_points),
    "mask_iou": _marks(lambda p, r, _: mask_iou(p, r)),
    "psnr": Metric(_pictures(pictures.psnr_rows), _mean),
    "ssim": Metric(_pictures(pictures.ssim_rows)),
    "nearest_reference": Metric(_pictures(pictures.nearest_rows, "top")),
    "consistency": Metric(_consistency, finish_consistency),
    "group_accuracy": Metric(_group_accuracy, finish_consistency),
}
