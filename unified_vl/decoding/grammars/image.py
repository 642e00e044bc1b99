"""The grammar of an image in codes.

Legend: R hypotheses, A sources, V vocabulary, N places of an image, F numbers that a grammar
remembers of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.example import Example
from unified_vl.decoding.grammars.grammar import Grammar, Scored


class ImageGrammar(Grammar):
    """Exactly the codes of one image, then eos or, where the task goes on, text.

    Of an image that is to be completed the codes that are known are written as they are. The
    state is the number of the source.

    Args:
        vocabulary: the id ranges.
        places: codes of an image.
        device: of the model.
        texts: which ids (V) may come behind the image; None for none but eos.
        given: codes of each source's image, -1 where they are to be written (A, `places`).
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        places: int,
        device: torch.device,
        *,
        texts: torch.Tensor | None = None,
        given: torch.Tensor | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._places = places
        self._ids_1V = torch.arange(vocabulary.size, device=device)[None]
        codes = vocabulary.image_codes
        self._codes_1V = (self._ids_1V >= codes.start) & (self._ids_1V < codes.stop)
        self._texts_V = texts
        self._behind_1V = self._ids_1V == vocabulary.eos_id
        if texts is not None:
            self._behind_1V = self._behind_1V | texts[None]
        self._given_AN = given

    def of(self, examples: Sequence[Example]) -> ImageGrammar:
        if not any(example.given for example in examples):
            return self
        none = (None,) * self._places
        rows = [[-1 if c is None else c for c in e.given or none] for e in examples]
        given_AN = torch.tensor(rows, device=self._ids_1V.device)
        return ImageGrammar(
            self._vocabulary,
            self._places,
            self._ids_1V.device,
            texts=self._texts_V,
            given=given_AN,
        )

    def start(self, rows: int) -> torch.Tensor:
        sources = rows if self._given_AN is None else len(self._given_AN)
        source_A = torch.arange(sources, device=self._ids_1V.device)
        return source_A.repeat_interleave(rows // sources)[:, None]

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        allowed_RV = self._codes_1V if step < self._places else self._behind_1V
        if self._given_AN is not None and step < self._places:
            given_R1 = self._given_AN[state_RF[:, 0], step][:, None]
            written_RV = self._ids_1V == given_R1 + self._vocabulary.image_codes.start
            allowed_RV = torch.where(given_R1 < 0, allowed_RV, written_RV)
        return Scored(scores_RV.masked_fill(~allowed_RV, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        return state_RF
