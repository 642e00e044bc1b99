"""Which of several images shows a text best, by what another task of the model says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unified_vl.codecs.images import LoadedImage, resize
from unified_vl.errors import UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.retrieval.features import image_features

if TYPE_CHECKING:
    from PIL.Image import Image

    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.task import TaskSpec


class Reranker:
    """Ranks the images of a row by how likely a task finds its text.

    Args:
        predictor: the model.
        spec: a task whose `generate.rerank` names the other.

    Raises:
        UserError: when the model has no such task, or it does not describe images.
    """

    def __init__(self, predictor: UnifiedVL, spec: TaskSpec) -> None:
        assert spec.generate.rerank is not None
        self._predictor = predictor
        try:
            self._scorer = PairScorer(predictor, spec.generate.rerank.task)
        except UserError as error:
            place = ("generate", "rerank", "task")
            raise spec.error(
                place, error.message, expected=error.expected, nearest=error.nearest
            ) from error

    def __call__(
        self, images: Sequence[Sequence[Image]], texts: Sequence[str], languages: Sequence[str]
    ) -> list[list[float]]:
        """The mean log-probability of a row's text given each of its images; 0 is certain.

        Args:
            images: of each row.
            texts: what a row's images shall show.
            languages: tags of the texts' languages.
        """
        pairs = [(i, row) for row, several in enumerate(images) for i in range(len(several))]
        codec = self._predictor.codec
        loaded: list[LoadedImage] = [
            resize(images[row][i], codec.image_size, fit=codec.fit) for i, row in pairs
        ]
        if not loaded:
            return [[] for _ in images]
        sentences = [Sentence(t, tag) for t, tag in zip(texts, languages, strict=True)]
        numbered = [(place, row) for place, (_, row) in enumerate(pairs)]
        features = image_features(self._predictor, loaded)
        found = self._scorer.log_probability(features, sentences, numbered)
        ends = np.cumsum([len(several) for several in images])[:-1]
        return [part.tolist() for part in np.split(found, ends)]
