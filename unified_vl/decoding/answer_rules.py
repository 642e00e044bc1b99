"""What a task lets its answers be: its grammar, its closed answers, the ids that they begin with.

No model computes here, so that other searches than this project's can keep to the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unified_vl.codecs.segments import Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.decoding.grammars.choices import ChoiceGrammar
from unified_vl.decoding.grammars.grammar import Grammar
from unified_vl.decoding.grammars.language import (
    LanguageChoiceGrammar,
    LanguageGrammar,
    ScriptMasks,
    choices_of_languages,
)
from unified_vl.decoding.grammars.trie import build_trie
from unified_vl.decoding.grammars.values import grammar_of
from unified_vl.decoding.grammars.word_rules import WordRules
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.errors import UserError
from unified_vl.model.backbone import BackboneConfig
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec


class AnswerRules:
    """The rules of a task's answers.

    Args:
        how: the spec's `generate`.
        codec: the model's.
        config: the model's.
        device: where scores will be.
        choices: the closed answers, for the methods that have them.
        form: the spec's `answer_form`.
        languages: those that rows may be in, where there are choices and `language: enforce`.

    Attributes:
        prefix: the ids that every answer begins with.
        choice_ids: of the closed answers, in their order.
        fits: which of the closed answers a language has, where it is enforced.

    Raises:
        UserError: when `max_tokens` has no room for what must be written, the choices are not
            known, or a language has none of them in its scripts.
    """

    def __init__(
        self,
        how: GenerateSpec,
        codec: SequenceCodec,
        config: BackboneConfig,
        device: torch.device,
        choices: Sequence[str] = (),
        form: AnswerForm = AnswerForm(),  # noqa: B008 (frozen)
        languages: Sequence[str] = (),
    ) -> None:
        self.how = how
        self.prefix: tuple[int, ...] = ()
        self.choice_ids: list[list[int]] = []
        self.fits: dict[str, np.ndarray] | None = None
        self._codec = codec
        self._config = config
        self._device = device
        self._choices: dict[tuple[int, ...], str] = {}
        self._free: Grammar | None = None
        if how.choices is None:
            self._free = self._ruled(grammar_of(how, form, codec, device))
            return
        if not choices:
            raise UserError("the choices are not known", field="generate.choices")
        self.choice_ids = _encode(choices, codec, how.max_tokens)
        self._choices = dict(zip(map(tuple, self.choice_ids), choices, strict=True))
        if how.language == "enforce":
            self.fits = choices_of_languages(choices, languages)

    def grammar(self) -> Grammar:
        """Which id may come next in an answer."""
        if self._free is not None:
            return self._free
        trie, size = build_trie(self.choice_ids), int(self._config.vocab_size)
        if self.fits is None:
            return ChoiceGrammar(trie, size, self._device)
        return LanguageChoiceGrammar(trie, size, self._device, self.fits)

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer; a choice is given back word for word."""
        choice = self._choices.get(tuple(ids))
        return self._codec.decode_text(ids) if choice is None else choice

    def _ruled(self, grammar: Grammar) -> Grammar:
        """A grammar with what else the spec says of an answer's words."""
        how, codec = self.how, self._codec
        if how.language == "enforce":
            masks = ScriptMasks(codec.vocabulary, codec.text, self._device)
            grammar = LanguageGrammar(grammar, masks)
        rules = (how.min_tokens, how.no_repeat_ngram, how.repetition_penalty)
        if any((*rules, how.prefix, how.bad_words)):
            self.prefix = tuple(codec.text.encode(how.prefix or ""))
            bad = [ids for word in how.bad_words or () for ids in codec.text.writings(word)]
            special = SpecialIds.of(self._config)
            grammar = WordRules(grammar, how, special, self.prefix, bad)
        return grammar


def _encode(choices: Sequence[str], codec: SequenceCodec, max_tokens: int) -> list[list[int]]:
    """The ids of each choice; one that would be cut could not be told from another."""
    encoded = []
    for choice in choices:
        found = codec.encode_target([Text(choice)])
        most = min(max_tokens, codec.max_target)
        if found.truncated or len(found.ids) > most:
            raise UserError(
                f"the choice {choice!r} does not fit into {most} tokens",
                field="generate.max_tokens",
            )
        encoded.append(found.ids)
    return encoded
