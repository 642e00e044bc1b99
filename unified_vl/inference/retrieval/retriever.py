"""Find images and videos by a sentence, texts by an image or a video, and images by an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import OneValue
from unified_vl.data.videos.video_loader import VideoLoader
from unified_vl.errors import UserError
from unified_vl.inference.inputs import Shown, input_language
from unified_vl.inference.pair_scoring import YES, Pair, PairScorer, Sentence, clip_field
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.corpus import Item, is_utf8, read_corpus
from unified_vl.inference.retrieval.features import clip_features, image_features, text_features
from unified_vl.inference.retrieval.index import Index, build_index, load_index
from unified_vl.inference.retrieval.late_interaction import Features, late_interaction
from unified_vl.inference.retrieval.ranking import CANDIDATES, Rerank, best, rerank, scorer_of
from unified_vl.languages.tags import distinct
from unified_vl.specs.task import TaskSpec

TOP = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that was found.

    Attributes:
        key: what the collection calls it.
        score: by which the hits are ordered; higher is better.
        similarity: of the first stage, in [-2, 2].
        log_probability: what the second stage added; None where it did not look.
        path: the file of an image or a video, or the folder of its frames.
        text: of a text, with its language.
    """

    key: str
    score: float
    similarity: float
    log_probability: float | None
    path: Path | None = None
    text: str | None = None
    language: str | None = None

    def as_row(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "score": self.score,
            "similarity": self.similarity,
            "log_probability": self.log_probability,
            "path": None if self.path is None else str(self.path),
            "text": self.text,
            "language": self.language,
        }


class Retriever:
    """A model and an index that it made.

    >>> model = UnifiedVL.from_pretrained("runs/demo/model")  # doctest: +SKIP
    >>> photos = Retriever.build(model, "photos")  # doctest: +SKIP
    >>> photos.search("ein Schwan und ein Schlüssel", "de")[0].path  # doctest: +SKIP

    Args:
        predictor: the model.
        index: of this very model.
        task, yes: how pairs are scored; see `PairScorer`.
        rerank: whether it is a task that scores them, or the model's matching head.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        index: str | Path | Index,
        task: str | Path | TaskSpec | None = None,
        yes: str = YES,
        rerank: Rerank = "task",
    ) -> None:
        self.predictor = predictor
        self.index = index if isinstance(index, Index) else load_index(index, predictor)
        self._task = task
        self._yes = yes
        self._rerank: Rerank = rerank
        self._scorers: dict[Shown, PairScorer] = {}

    @classmethod
    def build(
        cls,
        predictor: UnifiedVL,
        corpus: str | Path,
        language: str | None = None,
        task: str | Path | TaskSpec | None = None,
        yes: str = YES,
        rerank: Rerank = "task",
    ) -> Retriever:
        """A retriever of a collection without an index; `.index.save` keeps what it computes.

        Raises:
            UserError: as `read_corpus` and `build_index`.
        """
        read = read_corpus(corpus, known_languages(predictor), language)
        return cls(predictor, build_index(predictor, read, task=task), task, yes, rerank)

    def scorer(self, shown: Shown) -> PairScorer:
        """Of the second stage; a search that has none needs no task.

        Raises:
            UserError: when there is no task of images, or of videos.
        """
        if shown not in self._scorers:
            asked = (self._task, self._yes, shown, self._rerank)
            self._scorers[shown] = scorer_of(self.predictor, *asked)
        return self._scorers[shown]

    def search(
        self,
        text: str | None = None,
        language: str | None = None,
        *,
        image: Any = None,
        video: Any = None,
        top: int = TOP,
        candidates: int = CANDIDATES,
    ) -> list[Hit]:
        """The items that fit a text, an image or a video best.

        The first stage compares features. Where an image or a video meets texts, or a text images
        or videos, the `candidates` best are scored again by what the model says.

        Args:
            text: the query, or
            image: a path, the bytes of a file or a `PIL.Image`, or
            video: a path of a file or of a folder of frames, or a list of images.
            language: of a text; may be left out where the task has one.
            top: most hits.
            candidates: that are scored again, at least `top`; 0 leaves the order of the first
                stage.

        Raises:
            UserError: for none or several, an unknown language, or what cannot be read.
        """
        if sum(query is not None for query in (text, image, video)) != 1:
            raise UserError("the query is a text, an image or a video", expected="one of them")
        if text is not None and not text.strip():
            raise UserError("is empty", field="text", expected="a text")
        if text is not None and not is_utf8(text):
            raise UserError("is not UTF-8 text", field="text", expected="a text")
        of_texts = self.index.modality == "text"
        again = max(candidates, top) if candidates and (text is None) == of_texts else 0
        query: Features
        if text is not None:
            if again:
                language = input_language(self._second_stage(video).spec, language)
            query = text_features(self.predictor, [text])
        else:
            query = self._shown(image, video)
        similarity_1C = late_interaction(query, self.index.features)
        chosen_1K = best(similarity_1C, again)
        chosen = chosen_1K[0].tolist()
        said = np.empty(0)
        if again:
            scorer = self._second_stage(video)
            said = self._log_probability(scorer, query, text, language, chosen)
        score_C = rerank(similarity_1C, chosen_1K, said[None])[0]
        added = dict(zip(chosen, said.tolist(), strict=True))
        order = (-score_C).argsort(kind="stable")[:top].tolist()
        return [
            self._hit(self.index.items[i], float(score_C[i]), similarity_1C[0, i], added.get(i))
            for i in order
        ]

    def _second_stage(self, video: Any) -> PairScorer:
        """That of the index, or where it is of texts, of the query."""
        of_video = self.index.modality == "video" or video is not None
        return self.scorer("video" if of_video else "image")

    def _shown(self, image: Any, video: Any) -> Features:
        """The features of a query that is no text."""
        codec = self.predictor.codec
        loader = ImageLoader(None, codec.image_size, fit=codec.fit)
        if video is None:
            return image_features(self.predictor, [loader.load(image, "image")])
        field = clip_field(self.predictor, self._task)
        clip = VideoLoader(loader).load(OneValue({}, "video", 0, None), video, field, random=None)
        return clip_features(self.predictor, [tuple(frame.image for frame in clip.frames)])

    def _log_probability(
        self,
        scorer: PairScorer,
        query: Features,
        text: str | None,
        language: str | None,
        chosen: list[int],
    ) -> Any:
        """Of the query with each chosen item."""
        pairs: list[Pair]
        if text is not None:
            sentences = [Sentence(text, language or "")]
            pairs = [(place, 0) for place in range(len(chosen))]
            return scorer.log_probability(self.index.features[chosen], sentences, pairs)
        items = [self.index.items[i] for i in chosen]
        sentences = [Sentence(item.text or "", item.language or "") for item in items]
        pairs = [(0, place) for place in range(len(chosen))]
        return scorer.log_probability(query, sentences, pairs)

    def _hit(self, item: Item, score: float, similarity: Any, added: float | None) -> Hit:
        path = self.index.path(item)
        return Hit(item.key, score, float(similarity), added, path, item.text, item.language)


def known_languages(predictor: UnifiedVL) -> list[str]:
    """The languages of all tasks of a model."""
    return distinct(tag for spec in predictor.specs.values() for tag in spec.data.languages)
