"""Retrieval over a task's images, or videos, and captions: recall and ranks, by language.

Text to image: each caption looks for its image among all of the split; an image that has the
same caption is right too. Image to text: each image looks for a caption of its own among the
distinct captions of the language.

Legend: Q queries, C candidates.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unified_vl.codecs.segments import Image
from unified_vl.data.example import Example
from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.features import (
    Frames,
    clip_features,
    image_features,
    text_features,
)
from unified_vl.inference.retrieval.late_interaction import Features, late_interaction
from unified_vl.inference.retrieval.ranking import CANDIDATES, best, rerank, score_pairs
from unified_vl.metrics.retrieval import (
    DEPTHS,
    DIRECTIONS,
    STAGES,
    median_rank,
    ranks,
    recall_at,
)
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

Ranks = dict[tuple[str, str], np.ndarray]
"""The rank of every query, by direction and stage."""

Progress = Callable[[str, int, int], None]
"""Called as (language, languages done, languages in total)."""


@dataclass
class Gallery:
    """The images, or videos, of a split and their captions.

    Attributes:
        images: the frames of each, once; an image is one.
        captions: by language: (number of an image, text).
    """

    images: list[Frames] = field(default_factory=list)
    captions: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


def evaluate_retrieval(
    scorer: PairScorer,
    captions: TaskSpec,
    split: SplitName,
    data_root: Path,
    *,
    model_name: str,
    images: int | None = None,
    candidates: int = CANDIDATES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Both directions, before and after the second stage, in every language.

    Args:
        scorer: scores pairs by its task.
        captions: the captioning task whose images and captions are looked for.
        split: of its data.
        data_root: the folder that the spec's paths are relative to.
        model_name: how the report calls the model.
        images: at most so many, the first of the split.
        candidates: of each query that are scored again.
        progress: told what is done.

    Returns:
        `{"model", "version", "task", "captions", "split", "shown" ("image" or "video"), "images"
        (how many of them), "candidates", "seconds", "all": SCORES, "by": {"language": {TAG:
        SCORES}}}`; SCORES are
        `{DIRECTION: {STAGE: {"count", "recall_at_1", "recall_at_5", "recall_at_10",
        "median_rank"}}}`, recall in percent.

    Raises:
        UserError: when data are missing, or a row is bad and its spec says `stop`.
    """
    started = time.perf_counter()
    gallery = read_gallery(scorer.predictor, captions, split, data_root, images)
    features = features_of(scorer, gallery.images)
    found: dict[str, Ranks] = {}
    for done, (language, pairs) in enumerate(gallery.captions.items(), start=1):
        found[language] = rank_language(scorer, features, language, pairs, candidates)
        if progress:
            progress(language, done, len(gallery.captions))
    return {
        "model": model_name,
        "version": version("unified_vl"),
        "task": scorer.spec.task,
        "captions": captions.task,
        "split": split,
        "shown": scorer.shown,
        "images": len(gallery.images),
        "candidates": candidates,
        "seconds": round(time.perf_counter() - started, 3),
        "all": _scores(list(found.values())),
        "by": {"language": {language: _scores([of]) for language, of in found.items()}},
    }


def read_gallery(
    predictor: UnifiedVL,
    spec: TaskSpec,
    split: SplitName,
    data_root: Path,
    most: int | None = None,
) -> Gallery:
    """The distinct images of a split, in the order of its rows, with all their captions."""
    data = TaskData(spec, split, data_root)
    builder = predictor.builder(spec, data_root)
    gallery = Gallery()
    numbers: dict[bytes, int] = {}
    for _, example in good_examples(builder, data):
        if example is None:
            continue
        frames = frames_of(example)
        digest = hashlib.blake2b(digest_size=16)
        for frame in frames:
            digest.update(repr(frame.pixels_HWC.shape).encode())  # of packed images, each its own
            digest.update(frame.pixels_HWC.tobytes())
        name = digest.digest()
        if name not in numbers:
            if most is not None and len(numbers) >= most:
                continue
            numbers[name] = len(numbers)
            gallery.images.append(frames)
        texts = gallery.captions.setdefault(example.language, [])
        texts += [(numbers[name], str(text)) for text in example.references[spec.primary.against]]
    if not gallery.images:
        raise UserError(f"the task {spec.task!r} has no row to look for", file=spec.file)
    return gallery


def frames_of(example: Example) -> Frames:
    """The image of a captioning task's example, or the frames of its video."""
    return tuple(segment.image for segment in example.source if isinstance(segment, Image))


def features_of(scorer: PairScorer, several: Sequence[Frames]) -> Features:
    """Of images or of videos, whatever the task of a scorer is about."""
    if scorer.shown == "video":
        return clip_features(scorer.predictor, several)
    return image_features(scorer.predictor, [image for (image,) in several])


def rank_language(
    scorer: PairScorer,
    images: Features,
    language: str,
    captions: Sequence[tuple[int, str]],
    candidates: int,
) -> Ranks:
    """The ranks of both directions in one language.

    Args:
        scorer: scores pairs by its task.
        images: the features of all images.
        language: its tag.
        captions: (number of an image, text).
        candidates: of each query that are scored again.
    """
    texts = list(dict.fromkeys(text for _, text in captions))
    number = {text: n for n, text in enumerate(texts)}
    images_of: list[set[int]] = [set() for _ in texts]
    texts_of: dict[int, set[int]] = {}
    for image, text in captions:
        images_of[number[text]].add(image)
        texts_of.setdefault(image, set()).add(number[text])
    asking = sorted(texts_of)  # an image may have no caption in this language
    similarity_TI = late_interaction(text_features(scorer.predictor, texts), images)
    similarity_IT = similarity_TI.T[asking].contiguous()
    chosen_TK, chosen_IK = (best(s, candidates) for s in (similarity_TI, similarity_IT))
    said_T, said_I = score_pairs(
        scorer,
        images,
        [Sentence(text, language) for text in texts],
        [(int(image), text) for text, row in enumerate(chosen_TK) for image in row],
        [(asking[row], int(text)) for row, texts_K in enumerate(chosen_IK) for text in texts_K],
    )
    asked = [number[text] for _, text in captions]  # a caption is asked as often as it stands
    found: Ranks = {}
    for direction, similarity_QC, chosen_QK, said, right, times in (
        ("text_to_image", similarity_TI, chosen_TK, said_T, images_of, asked),
        (
            "image_to_text",
            similarity_IT,
            chosen_IK,
            said_I,
            [texts_of[image] for image in asking],
            range(len(asking)),
        ),
    ):
        wanted = [sorted(of) for of in right]
        none = torch.empty((len(similarity_QC), 0), dtype=torch.long)
        first = rerank(similarity_QC, none, np.empty((len(similarity_QC), 0)))
        second = rerank(similarity_QC, chosen_QK, said.reshape(chosen_QK.shape))
        for stage, score_QC in zip(STAGES, (first, second), strict=True):
            found[direction, stage] = ranks(score_QC, wanted)[list(times)]
    return found


def _scores(found: Sequence[Ranks]) -> dict[str, Any]:
    """Scores over the queries of some languages."""
    scores: dict[str, Any] = {direction: {} for direction in DIRECTIONS}
    for direction in DIRECTIONS:
        for stage in STAGES:
            ranks_Q = np.concatenate([of[direction, stage] for of in found])
            scores[direction][stage] = {
                "count": len(ranks_Q),
                **{f"recall_at_{k}": round(recall_at(ranks_Q, k), 4) for k in DEPTHS},
                "median_rank": median_rank(ranks_Q),
            }
    return scores
