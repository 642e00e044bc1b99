"""Captions taken from the nearest image: what a collection alone is worth (Im2Text, NIPS 2011).

The caption of an image is that of the most similar training image which has one in the
language asked for. The same metrics score it and the model's own captions, at growing sizes
of the collection.

Legend: Q queries, C images of the collection.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from unified_vl.data.example import Example
from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.evaluation.answering import chosen_rows
from unified_vl.evaluation.retrieval_evaluation import Gallery, features_of, frames_of, read_gallery
from unified_vl.evaluation.scoring import Scored, measure, score_task
from unified_vl.inference.inputs import chunks
from unified_vl.inference.pair_scoring import PairScorer
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.retrieval.late_interaction import Features, late_interaction
from unified_vl.specs.tasks.data import SplitName

SIZES = (100, 300, 1_000, 3_000, 10_000)
SEED = 0
AT_ONCE = 64  # queries

Progress = Callable[[str], None]
"""Told what begins."""


def evaluate_transfer(
    scorer: PairScorer,
    split: SplitName,
    data_root: Path,
    *,
    model_name: str,
    sizes: Sequence[int] = SIZES,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score transferred captions at each size of the collection, and the model's own.

    Args:
        scorer: of a captioning task, whose train split is the collection; its
            features say which image is near.
        split: whose rows are captioned.
        data_root: the folder that the spec's paths are relative to.
        model_name: how the report calls the model.
        sizes: images of the collection; each smaller one is part of the next. Where there
            are fewer images, all of them are the last size.
        limit: at most so many rows, a fixed random choice.
        progress: told what begins.

    Returns:
        `{"model", "version", "task", "split", "count", "primary", "seconds", "own": SCORES,
        "transferred": {SIZE: SCORES}}`; SCORES as a task's in a report: `{"metrics", "by"}`.

    Raises:
        UserError: for a matching task, missing data or no rows.
    """
    started = time.perf_counter()
    spec = scorer.spec
    if scorer.matches:
        raise UserError(f"the task {spec.task!r} writes no captions", field="task")
    tell = progress or (lambda what: None)
    tell("reading the collection")
    collection = _shuffled(read_gallery(scorer.predictor, spec, "train", data_root, max(sizes)))
    features = features_of(scorer, collection.images)
    examples = _examples(scorer, split, data_root, limit)
    tell(f"looking for {len(examples)} rows among {len(features)} images")
    held = sorted({min(size, len(features)) for size in sizes})
    answers = _transferred(scorer, collection, features, examples, held)
    tell("the model's own captions")
    own = list(scorer.predictor.predict_examples(spec, examples, 128))
    first = score_task(spec, *_measured(scorer, examples, own), resamples=0)
    return {
        "model": model_name,
        "version": version("unified_vl"),
        "task": spec.task,
        "split": split,
        "count": len(examples),
        "primary": first["primary"],
        "own": _scores(first),
        "transferred": {
            str(size): _scores(score_task(spec, *_measured(scorer, examples, found), resamples=0))
            for size, found in answers.items()
        },
        "seconds": round(time.perf_counter() - started, 3),
    }


def _shuffled(gallery: Gallery) -> Gallery:
    """The same in a fixed random order, so that a part of it is a fair sample."""
    order = list(range(len(gallery.images)))
    random.Random(SEED).shuffle(order)
    place = {number: at for at, number in enumerate(order)}
    captions = {
        language: [(place[number], text) for number, text in pairs]
        for language, pairs in gallery.captions.items()
    }
    return Gallery([gallery.images[number] for number in order], captions)


def _examples(
    scorer: PairScorer, split: SplitName, data_root: Path, limit: int | None
) -> list[Example]:
    spec = scorer.spec
    data = TaskData(spec, split, data_root)
    builder = scorer.predictor.builder(spec, data_root)
    found = good_examples(builder, data.rows(chosen_rows(len(data), limit)))
    examples = [example for _, example in found if example is not None]
    if not examples:
        raise UserError(f"the task {spec.task!r} has no row to caption", file=spec.file)
    return examples


def _transferred(
    scorer: PairScorer,
    collection: Gallery,
    features: Features,
    examples: Sequence[Example],
    sizes: Sequence[int],
) -> dict[int, list[Prediction]]:
    """By size, an answer a row: the caption of the nearest image that has one.

    An image is compared once, for all languages that its rows ask for.
    """
    first_caption: dict[str, dict[int, str]] = {}
    for language, pairs in collection.captions.items():
        for number, text in pairs:
            first_caption.setdefault(language, {}).setdefault(number, text)
    rows_of: dict[int, list[int]] = {}
    for row, example in enumerate(examples):
        rows_of.setdefault(id(frames_of(example)[0]), []).append(row)
    answers: dict[int, list[Prediction]] = {size: [_nothing(e) for e in examples] for size in sizes}
    for groups in chunks(rows_of.values(), AT_ONCE):
        images = [frames_of(examples[rows[0]]) for rows in groups]
        similarity_QC = late_interaction(features_of(scorer, images), features)
        for language, captions in first_caption.items():
            known = torch.tensor(sorted(captions))
            for size in sizes:
                within = known[known < size]
                if not len(within):
                    continue
                nearest_Q = within[similarity_QC[:, within].argmax(1)].tolist()
                for rows, nearest in zip(groups, nearest_Q, strict=True):
                    for row in rows:
                        if examples[row].language == language:
                            found = replace(answers[size][row], text=captions[nearest])
                            answers[size][row] = found
    return answers


def _nothing(example: Example) -> Prediction:
    return Prediction(key=example.key, text="", score=None)


def _measured(
    scorer: PairScorer, examples: Iterable[Example], answers: Iterable[Prediction]
) -> tuple[Scored, Any]:
    scored = Scored(list(examples), list(answers))
    return scored, measure(scorer.spec, scored)


def _scores(report: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": report["metrics"], "by": report["by"]}
