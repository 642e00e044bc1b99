"""Two stages: all candidates by late interaction, the best of them by what the model says.

A candidate's score in the second stage is the log-probability of its pair plus its
similarity in units of the temperature that the contrastive loss trained with: a
likelihood of the pair from either reading, multiplied. What is not scored again stays
behind, in the order of the first stage.

Legend: Q queries, C candidates, K candidates that are scored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from unified_vl.errors import UserError
from unified_vl.inference.inputs import Shown
from unified_vl.inference.matching_scoring import MatchingScorer
from unified_vl.inference.pair_scoring import YES, Pair, PairScorer, Sentence
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE, Features
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

Rerank = Literal["task", "matching"]
CANDIDATES = 10
BEHIND = 1e6


def scorer_of(
    predictor: UnifiedVL,
    task: str | Path | TaskSpec | None = None,
    yes: str = YES,
    shown: Shown | None = None,
    rerank: Rerank = "task",
) -> PairScorer:
    """What scores pairs in the second stage.

    Args:
        predictor: the model.
        task, yes, shown: as of a `PairScorer`.
        rerank: `task` for what a task says, `matching` for the model's matching head.

    Raises:
        UserError: as of `PairScorer` and `MatchingScorer`, and for an answer that no task gives.
    """
    if rerank == "task":
        return PairScorer(predictor, task, yes, shown)
    if yes != YES:
        raise UserError("the matching head writes no answer", field="yes", expected="none")
    return MatchingScorer(predictor, task, shown)


def best(similarity_QC: torch.Tensor, count: int) -> torch.Tensor:
    """The candidates most similar to each query, (Q, K), K at most `count`."""
    return similarity_QC.topk(min(count, similarity_QC.shape[1]), dim=1).indices


def rerank(
    similarity_QC: torch.Tensor, chosen_QK: torch.Tensor, log_probability_QK: np.ndarray
) -> np.ndarray:
    """The scores of the second stage, (Q, C) float64.

    Args:
        similarity_QC: of the first stage.
        chosen_QK: the candidates that were scored again.
        log_probability_QK: of their pairs.
    """
    score_QC = similarity_QC.double().numpy() / TEMPERATURE
    if not chosen_QK.shape[1]:
        return score_QC
    rows_Q1 = np.arange(len(score_QC))[:, None]
    second_QK = score_QC[rows_Q1, chosen_QK.numpy()] + log_probability_QK
    score_QC -= BEHIND
    score_QC[rows_Q1, chosen_QK.numpy()] = second_QK
    return score_QC


def score_pairs(
    scorer: PairScorer,
    images: Features,
    texts: Sequence[Sentence],
    *chosen: Sequence[Pair],
) -> list[np.ndarray]:
    """Log-probabilities of several lists of pairs; a pair that recurs is computed once."""
    distinct = list(dict.fromkeys(pair for pairs in chosen for pair in pairs))
    found = dict(zip(distinct, scorer.log_probability(images, texts, distinct), strict=True))
    return [np.array([found[pair] for pair in pairs]) for pairs in chosen]
