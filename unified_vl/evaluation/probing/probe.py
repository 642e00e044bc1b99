"""What a model's image branch knows of classes: a linear probe (arXiv 1610.01644).

A logistic regression, and nothing else, is learnt on features of the train split and scored on the
test split (VirTex, arXiv 2006.06666, section 4.1; ICMLM, 2008.01392). Beside it stand the same
regression on the pixels, and on a branch of the same form whose weights are drawn at random: what
is above these is what training has taught.

Legend: N rows.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unified_vl.errors import UserError
from unified_vl.evaluation.probing.probed_rows import Features, probed_rows
from unified_vl.extras import require
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.metrics.intervals import RESAMPLES, compare, intervals
from unified_vl.metrics.statistics import RowStatistics, mean_of_rows, per_row
from unified_vl.model.backbone import Backbone
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

TOWER, RANDOM, PIXELS = "image branch", "random branch", "pixels"
STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # inverse regularisation, chosen on a fifth of the train rows
MOST_STEPS = 1000


def probe(
    predictor: UnifiedVL,
    spec: TaskSpec,
    data: Path,
    *,
    train_limit: int | None = None,
    limit: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Probe a model's image branch on a task that asks for the class of an image.

    Args:
        predictor: the model.
        spec: any task with one image in its source and a class as its target.
        data: the folder that its paths are relative to.
        train_limit, limit: rows of train and test, a fixed random choice; all unless given.
        resamples: of the intervals.
        seed: of the branch at random.

    Returns:
        `{"task", "train_rows", "rows", "split", "classes", "most_frequent", "accuracy": {NAME:
        {"accuracy", "interval": [low, high], "strength"}}, "above": {NAME: {"difference",
        "interval", "p"}}}`: percentages, NAME those of the branch and of what stands beside it;
        `above` is the branch minus each of these, paired by row.

    Raises:
        UserError: for a model without images, a task that does not fit, or without scikit-learn.
    """
    require("sklearn")
    if predictor.model.image_branch is None:
        raise UserError("the model reads no images", field="model")
    if "train" not in spec.data.splits:
        raise UserError(
            f"the task {spec.task!r} has no train split", file=spec.file, field="data.splits"
        )
    split: SplitName = "test" if "test" in spec.data.splits else "validation"
    if split not in spec.data.splits:
        raise UserError(
            f"the task {spec.task!r} has neither test nor validation rows",
            file=spec.file,
            field="data.splits",
        )
    towers = {TOWER: predictor.model, RANDOM: _at_random(predictor.model, seed)}
    train = probed_rows(predictor, towers, spec, "train", data, train_limit)
    test = probed_rows(predictor, towers, spec, split, data, limit)
    counts = Counter(train.classes)
    if len(counts) < 2 or len(counts) > len(train.classes) / 2:
        raise UserError(
            f"the task {spec.task!r} has {len(counts)} answers in {len(train.classes)} rows",
            file=spec.file,
            expected="a few classes, each of several rows",
        )
    right: dict[str, RowStatistics] = {}
    strengths: dict[str, float] = {}
    for name in (TOWER, RANDOM, PIXELS):
        found, strengths[name] = _answers(train.features[name], train.classes, test.features[name])
        values = [float(a == b) for a, b in zip(found, test.classes, strict=True)]
        nothing = np.zeros(len(values), np.int64)
        right[name] = RowStatistics(per_row(values), mean_of_rows, nothing)
    ends = intervals(right, resamples)
    usual = counts.most_common(1)[0][0]
    return {
        "task": spec.task,
        "train_rows": len(train.classes),
        "rows": len(test.classes),
        "split": split,
        "skipped": train.skipped + test.skipped,
        "classes": len(counts),
        "most_frequent": 100 * test.classes.count(usual) / len(test.classes),
        "accuracy": {
            name: {"accuracy": each.score(), "interval": ends[name], "strength": strengths[name]}
            for name, each in right.items()
        },
        "above": {name: _above(right[name], right[TOWER], resamples) for name in (RANDOM, PIXELS)},
    }


def _above(other: RowStatistics, own: RowStatistics, resamples: int) -> dict[str, Any]:
    found = compare(other, own, resamples)
    return {"difference": found.b - found.a, "interval": [found.low, found.high], "p": found.p}


def _at_random(model: Backbone, seed: int) -> Backbone:
    """A model of the same form that has learnt nothing."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    fresh: Any = type(model)(model.config)
    torch.random.set_rng_state(state)
    found: Backbone = fresh.to(model.device).eval()
    return found


def _answers(train: Features, classes: list[str], test: Features) -> tuple[list[str], float]:
    """The classes that a logistic regression gives test rows, and its strength."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fitted(strength: float, rows: slice) -> Any:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=MOST_STEPS))
        return model.fit(train[rows], classes[rows])

    part = len(classes) * 4 // 5
    best = 1.0
    if len(set(classes[:part])) > 1 and part < len(classes):
        rest = slice(part, None)
        scores = {c: fitted(c, slice(part)).score(train[rest], classes[rest]) for c in STRENGTHS}
        best = max(scores, key=lambda c: (scores[c], -c))
    return list(fitted(best, slice(None)).predict(test)), best
