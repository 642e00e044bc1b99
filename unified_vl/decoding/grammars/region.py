"""The grammar of answers that name a region of the image that was read.

Legend: R hypotheses, V vocabulary, A sources, F numbers that a grammar remembers of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unified_vl.codecs.segments import Regions
from unified_vl.codecs.vocabulary import Vocabulary, region_ids
from unified_vl.data.example import Example
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.errors import UserError


class RegionGrammar(Grammar):
    """One name of a region that the source has, then eos. The state is the number of the source,
    and whether the name is written.

    Args:
        vocabulary: the id ranges.
        device: of the model.

    Raises:
        UserError: when the vocabulary names no regions.
    """

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        self._names = list(region_ids(vocabulary))
        if not self._names:
            raise UserError("the vocabulary names no regions", field="generate.allow")
        self._end_V = torch.ones(vocabulary.size, dtype=torch.bool, device=device)
        self._end_V[vocabulary.eos_id] = False
        self._forbidden_AV = torch.empty(0, device=device)

    def of(self, examples: Sequence[Example]) -> RegionGrammar:
        of_rows = object.__new__(RegionGrammar)
        of_rows.__dict__.update(self.__dict__)
        forbidden_AV = torch.ones_like(self._end_V).expand(len(examples), -1).clone()
        for place, example in enumerate(examples):
            regions = next(each for each in example.source if isinstance(each, Regions))
            forbidden_AV[place, self._names[: len(regions)]] = False
        of_rows._forbidden_AV = forbidden_AV
        return of_rows

    def start(self, rows: int) -> torch.Tensor:
        sources = len(self._forbidden_AV)
        source_A = torch.arange(sources, device=self._end_V.device)
        source_R = source_A.repeat_interleave(rows // sources)
        return torch.stack([source_R, torch.zeros_like(source_R)], 1)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        named_R1 = state_RF[:, 1:].bool()
        forbidden_RV = torch.where(named_R1, self._end_V, self._forbidden_AV[state_RF[:, 0]])
        return Scored(scores_RV.masked_fill(forbidden_RV, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        return torch.stack([state_RF[:, 0], torch.ones_like(place_R)], 1)
