"""From a batch of sources to answers, by the method that a spec names.

Legend: B rows, S source length, C choices, K draws of a row, T ids of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.decoding.answer_rules import AnswerRules
from unified_vl.decoding.choice_scoring import ChoiceScorer
from unified_vl.decoding.finite import refuse_made_up
from unified_vl.decoding.grammars.grammar import Grammar
from unified_vl.decoding.protocol import Memory, encode
from unified_vl.decoding.sampling import Sampler, uniform_numbers
from unified_vl.decoding.search import Guidance, Hypothesis, beam_search, write
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.errors import UserError
from unified_vl.model.backbone import Backbone
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec


@dataclass(frozen=True, slots=True)
class Generated:
    """What the model answered, row by row.

    Attributes:
        hypotheses: of each row, the best first; at least one.
    """

    hypotheses: list[list[Hypothesis]]

    @property
    def ids(self) -> list[list[int]]:
        """Of each row's best answer, without the start id and padding; they end in eos
        unless cut at the limit."""
        return [row[0].ids for row in self.hypotheses]

    @property
    def scores(self) -> list[float]:
        """Of each row's best answer: the mean log-probability (natural) of its ids, eos
        included, before the grammar removed any: 0 is certain."""
        return [row[0].score for row in self.hypotheses]


class Generator:
    """Answers batches of one task; what does not depend on the rows is made once.

    Args:
        model: put into evaluation mode.
        how: the spec's `generate`.
        codec: the model's.
        choices: the closed answers, for the methods that have them.
        form: the spec's `answer_form`.
        languages: those that rows may be in, where there are choices and `language: enforce`.

    Raises:
        UserError: when `max_tokens` has no room for what must be written, the choices are not
            known, or a language has none of them in its scripts.
    """

    def __init__(
        self,
        model: Backbone,
        how: GenerateSpec,
        codec: SequenceCodec,
        choices: Sequence[str] = (),
        form: AnswerForm = AnswerForm(),  # noqa: B008 (frozen)
        languages: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.how = how
        self.rules = AnswerRules(how, codec, model.config, model.device, choices, form, languages)
        self._grammar: Grammar | None = None
        self._scorer: ChoiceScorer | None = None
        if how.method == "score_choices":
            start_id = SpecialIds.of(model.config).start
            self._scorer = ChoiceScorer(self.rules.choice_ids, start_id, model.device)
        else:
            self._grammar = self.rules.grammar()

    def __call__(
        self, batch: Batch, alternatives: int = 1, without: Batch | None = None
    ) -> Generated:
        """Answer the rows of a batch.

        Args:
            batch: on the model's device.
            without: the same rows without what guidance compares with, where the spec asks
                for guidance.
            alternatives: how many answers a row gets, where there are as many: the best
                of a beam search at least as wide, of as many draws, or of the choices.

        Raises:
            UserError: when the model computes NaN or infinity.
        """
        if self.model.training:
            self.model.eval()
        with torch.inference_mode():
            guidance = None
            if without is not None and self.how.guidance is not None:
                guidance = Guidance(self._memory(without), self.how.guidance)
            memory = self._memory(batch)
            hypotheses = self._answer(memory, batch, alternatives, guidance)
            refuse_made_up(self.model, memory, hypotheses)
        return Generated([row[:alternatives] for row in hypotheses])

    def _memory(self, batch: Batch) -> Memory:
        regions_XV = batch.region_values_XV
        return encode(
            self.model,
            batch.input_ids_BS,
            batch.attention_mask_BS,
            batch.pixel_values_NCHW,
            **({} if regions_XV is None else {"region_values": regions_XV}),
        )

    def _answer(
        self, memory: Memory, batch: Batch, alternatives: int, guidance: Guidance | None
    ) -> list[list[Hypothesis]]:
        how = self.how
        grammar = None if self._grammar is None else self._grammar.of(batch.examples)
        if self._scorer is not None:
            sum_BC = self._scorer(self.model, memory)
            if self.rules.fits is not None:
                fits_BC = np.stack([self.rules.fits[e.language] for e in batch.examples])
                sum_BC = sum_BC.where(torch.from_numpy(fits_BC).to(sum_BC.device), -torch.inf)
            return self._ranked(sum_BC, alternatives)
        if how.method == "sample":
            draws = max(how.best_of or 1, alternatives)
            uniform_BKT = uniform_numbers(batch.examples, draws, how.max_tokens, how.seed or 0)
            uniform_BKT = uniform_BKT.to(memory.mask_AS.device)
            sampler = Sampler(uniform_BKT, how.temperature or 1.0, how.top_k, how.top_p)
            return write(
                self.model,
                memory,
                how.max_tokens,
                grammar,
                width=draws,
                choose=sampler,
                guidance=guidance,
                prefix=self.rules.prefix,
                of_logits=how.repetition_penalty is not None,
            )
        width = max(how.beams, alternatives)
        if width == 1:
            return write(
                self.model,
                memory,
                how.max_tokens,
                grammar,
                guidance=guidance,
                prefix=self.rules.prefix,
                of_logits=how.repetition_penalty is not None,
            )
        if guidance is not None:
            raise UserError(
                "greedy decoding with guidance gives one answer",
                field="generate.method",
                expected="sample, for several",
            )
        penalty = 1.0 if how.length_penalty is None else how.length_penalty
        return beam_search(
            self.model,
            memory,
            how.max_tokens,
            width,
            grammar,
            length_penalty=penalty,
            prefix=self.rules.prefix,
        )

    def _ranked(self, sum_BC: torch.Tensor, most: int) -> list[list[Hypothesis]]:
        assert self._scorer is not None
        score_BC = sum_BC
        if self.how.normalize != "none":
            score_BC = sum_BC / self._scorer.lengths_C
        order_BC = score_BC.sort(dim=1, descending=True, stable=True).indices[:, :most]
        scores = score_BC.gather(1, order_BC).tolist()
        return [
            [
                Hypothesis(self.rules.choice_ids[c], s)
                for c, s in zip(row, values, strict=True)
                if s > -math.inf  # of another language
            ]
            for row, values in zip(order_BC.tolist(), scores, strict=True)
        ]
