"""Whether what a caption names is where its boxes say: F1_all and F1_loc of grounded captions.

After Zhou et al., "Grounded Video Description" (arXiv 1812.06587, section 5 and its published
evaluation of Flickr30k Entities). A class is what a phrase is about: here its last word, singular
in English, where the paper takes a parser's lemmas and a list of frequent nouns.

N rows, C classes, R choices of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from unified_vl.geometry import Box
from unified_vl.metrics.answers import Answers, Predicted
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.places.boxes import iou
from unified_vl.metrics.statistics import Floats
from unified_vl.metrics.words import is_english, words_of

_IRREGULAR = {
    "children": "child",
    "buses": "bus",
    "cookies": "cookie",
    "movies": "movie",
    "hoodies": "hoodie",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "knives": "knife",
    "leaves": "leaf",
    "wolves": "wolf",
    "shelves": "shelf",
    "scarves": "scarf",
}


def singular(word: str) -> str:
    """An English noun as its singular, as far as its ending tells."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("men"):  # women, policemen
        return word.removesuffix("men") + "man"
    if word.endswith("ies") and len(word) > 4:
        return word.removesuffix("ies") + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word.removesuffix("es")
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word.removesuffix("s")
    return word


def class_of(label: str | None, language: str | None) -> str:
    """What a phrase, or the text up to its end, is about; nothing for no words."""
    words = _classes(label or "", language)
    return words[-1] if words else ""


def _classes(text: str, language: str | None) -> list[str]:
    words = words_of(text, language)
    return [singular(word) for word in words] if is_english(language) else words


class _Row:
    """What one caption says of each class: the first box counts."""

    def __init__(
        self,
        found: Sequence[Box],
        right: Sequence[Box],
        rest: str,
        language: str | None,
    ) -> None:
        self.found = _named(found, language)
        self.right = _named(right, language)
        objects = {name for name, _ in self.right}
        texts = [*(box.label or "" for box in right), rest]
        words = {word for text in texts for word in _classes(text, language)}
        self.mentioned = words - objects  # named without a box: no fault of the answer

    def precision(self, threshold: float, everything: bool) -> list[tuple[str, bool]]:
        """Of each box of the answer its class, and whether it fits."""
        first = _first(self.right)
        results = []
        for name, box in self.found:
            if name in first:
                results.append((name, iou(box, first[name]) > threshold))
            elif everything and name not in self.mentioned:
                results.append((name, False))
        return results

    def recall(self, threshold: float, everything: bool) -> list[tuple[str, bool]]:
        """Of each box that is right its class, and whether the answer has it."""
        first = _first(self.found)
        results = []
        for name, box in self.right:
            if name in first:
                results.append((name, iou(box, first[name]) > threshold))
            elif everything:
                results.append((name, False))
        return results


def _named(boxes: Sequence[Box], language: str | None) -> list[tuple[str, Box]]:
    named = [(class_of(box.label, language), box) for box in boxes]
    return [(name, box) for name, box in named if name]


def _first(named: Sequence[tuple[str, Box]]) -> dict[str, Box]:
    return dict(reversed(named))


def grounding_rows(answers: Answers, everything: bool) -> Floats:
    """Of each row and class of the references: right boxes of the answer, its boxes, right boxes
    that it has, boxes that it should have, and whether the row has the class, (N, 5 * C).

    Args:
        answers: boxes with labels; `rest` is the text behind the last box.
        everything: also of what the answer and the references do not both name (F1_all).
    """
    said = answers.columns.get("rest", ())
    inputs = zip(answers.predictions, answers.references, said, answers.languages, strict=True)
    rows = [_Row(found, right, _text(rest), tag) for found, right, rest, tag in inputs]
    names = sorted({name for row in rows for name, _ in row.right})
    place = {name: number for number, name in enumerate(names)}
    values_N5C = np.zeros((len(rows), 5, max(len(names), 1)))
    for values_5C, row in zip(values_N5C, rows, strict=True):
        for part, results in (
            (0, row.precision(answers.threshold, everything)),
            (2, row.recall(answers.threshold, everything)),
        ):
            for name, right in results:
                if name in place:  # of no class of the references: in no mean over these
                    values_5C[part, place[name]] += right
                    values_5C[part + 1, place[name]] += 1
        for name in Counter(name for name, _ in row.right):
            values_5C[4, place[name]] = 1
    return values_N5C.reshape(len(rows), 5 * values_N5C.shape[2])


def _text(rest: Any) -> str:
    return " ".join(map(str, rest)) if isinstance(rest, list | tuple) else str(rest or "")


def grounding_f1(sums_RK: Floats) -> Floats:
    """F1 of the means of precision and recall over the classes of the references, times 100."""
    found_RC, all_RC, had_RC, due_RC, there_RC = np.split(sums_RK, 5, axis=1)
    classes_R = np.maximum((there_RC > 0).sum(axis=1), 1)
    precision_R = _shares(found_RC, all_RC).sum(axis=1) / classes_R
    recall_R = _shares(had_RC, due_RC).sum(axis=1) / classes_R
    both_R = precision_R + recall_R
    f1_R = np.divide(
        2 * precision_R * recall_R, both_R, out=np.zeros_like(both_R), where=both_R > 0
    )
    return 100.0 * f1_R


def _shares(part_RC: Floats, whole_RC: Floats) -> Floats:
    return np.divide(part_RC, whole_RC, out=np.zeros_like(part_RC), where=whole_RC > 0)


def labelled_boxes(prediction: Predicted) -> list[Box]:
    """All boxes of an answer, with the text before each."""
    return [segment for segment in prediction.segments if isinstance(segment, Box)]


def _metric(name: str, label: str, about: str, everything: bool) -> Metric:
    return Metric(
        name=name,
        label=label,
        about=f"F1 of the boxes of what a caption names, by class and then the mean over classes "
        f"(Zhou et al., 2019), {about}; a class is the last word of a phrase",
        kinds=("box",),
        rows=partial(grounding_rows, everything=everything),
        finish=grounding_f1,
        answer=labelled_boxes,
        references="all",
        options=frozenset({"iou", "rest"}),
        may_be_primary=False,
    )


METRICS = (
    _metric("grounding_f1_all", "F1 all", "what is not named or named wrongly being wrong", True),
    _metric("grounding_f1_loc", "F1 loc", "of what the answer names rightly", False),
)
