"""The grammars that a spec's `generate.allow` names.

Legend: R hypotheses, V vocabulary, F numbers that a grammar remembers of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Collection

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.grammars.image import ImageGrammar
from unified_vl.decoding.grammars.region import RegionGrammar
from unified_vl.decoding.grammars.spelled import SpelledGrammar
from unified_vl.errors import UserError
from unified_vl.kinds.registry import KINDS, place_kind
from unified_vl.specs.tasks.example import SENTINELS, sentinel_tag
from unified_vl.specs.tasks.generate import MIXED, AnswerForm, GenerateSpec


def grammar_of(
    how: GenerateSpec, form: AnswerForm, codec: SequenceCodec, device: torch.device
) -> Grammar:
    """The grammar of a task's answers.

    Raises:
        UserError: when `max_tokens` has no room for what the grammar must write.
    """
    texts = [kind for kind in KINDS.values() if kind.writing == "text" and how.allow in kind.allows]
    if texts:
        automaton = texts[0].automaton(form)
        if automaton is None:
            return TextGrammar(
                codec.vocabulary, device, sentinels=form.sentinels, controls=codec.text.control_ids
            )
        return SpelledGrammar(codec.vocabulary, codec.text, automaton, device)
    if any(field.writing == "names" for field in form.fields):
        return RegionGrammar(codec.vocabulary, device)
    if form.image:
        return _image_grammar(how, form, codec, device)
    kind = place_kind(form.shape)
    size = kind.count
    if how.max_tokens < size and how.allow != MIXED:
        raise UserError(
            f"a {form.shape} does not fit into {how.max_tokens} tokens",
            field="generate.max_tokens",
            expected=f"at least {size}",
        )
    where = {kind.labelled: "before", MIXED: "anywhere"}.get(how.allow, "nowhere")
    if kind.is_open and form.many and where == "nowhere":
        where = "between"
    return ShapeGrammar(
        codec.vocabulary,
        form.shape,
        device,
        many=form.many,
        texts=where,
        sentinels=form.sentinels,
        empty=form.empty,
        controls=codec.text.control_ids,
    )


def _image_grammar(
    how: GenerateSpec, form: AnswerForm, codec: SequenceCodec, device: torch.device
) -> ImageGrammar:
    if codec.code_images is None:
        raise UserError("the model has no image tokenizer", field="generate.allow")
    places = codec.code_images.places
    if how.max_tokens <= places:
        raise UserError(
            f"an image of {places} codes does not fit into {how.max_tokens} tokens",
            field="generate.max_tokens",
            expected=f"at least {places + 1}",
        )
    controls = codec.text.control_ids
    texts = _text_ids(codec.vocabulary, device, sentinels=form.sentinels, controls=controls)
    return ImageGrammar(
        codec.vocabulary, places, device, texts=texts if how.allow == MIXED else None
    )


def _text_ids(
    vocabulary: Vocabulary,
    device: torch.device,
    *,
    sentinels: bool = False,
    controls: Collection[int] = (),
) -> torch.Tensor:
    """Which ids (V) are pieces of text, or sentinels between them."""
    text_V = torch.zeros(vocabulary.size, dtype=torch.bool, device=device)
    text_V[list(vocabulary.text_ids)] = True
    text_V[[*vocabulary.special, *controls]] = False
    if sentinels:
        text_V[[vocabulary.tag_id(sentinel_tag(number)) for number in range(SENTINELS)]] = True
    return text_V


class TextGrammar(Grammar):
    """Text, then eos: no locations, image codes, padding or unused embedding rows, and no tags
    but the sentinels of a task that has them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        device: torch.device,
        *,
        sentinels: bool = False,
        controls: Collection[int] = (),
    ) -> None:
        text_V = _text_ids(vocabulary, device, sentinels=sentinels, controls=controls)
        self.forbidden_1V = ~text_V[None]
        self.forbidden_1V[:, vocabulary.eos_id] = False

    def start(self, rows: int) -> torch.Tensor:
        return torch.empty((rows, 0), dtype=torch.long, device=self.forbidden_1V.device)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        return Scored(scores_RV.masked_fill(self.forbidden_1V, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        return state_RF


class ShapeGrammar(Grammar):
    """Whole places in an image, of one kind; nothing is cut short but by the limit of tokens.

    Of a box, x1 < x2 and y1 < y2. The state is [locations of the run, whether the last id
    was text, x1, y1 of the box that is being written], the latter of rising kinds alone.

    Args:
        vocabulary: the id ranges.
        kind: of shape.
        device: of the model.
        many: whether another shape may follow.
        texts: `nowhere`, `before` each shape (labels), `between` two, or `anywhere`.
        sentinels: whether texts hold sentinels.
        empty: whether there may be no shape at all.
        controls: ids of the text tokenizer that are no text.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        kind: str,
        device: torch.device,
        *,
        many: bool = False,
        texts: str = "nowhere",
        sentinels: bool = False,
        empty: bool = False,
        controls: Collection[int] = (),
    ) -> None:
        self._ids_1V = torch.arange(vocabulary.size, device=device)[None]
        text_V = _text_ids(vocabulary, device, sentinels=sentinels, controls=controls)
        self._text_1V = text_V[None]
        self._locations = vocabulary.locations
        self._end_id = vocabulary.eos_id
        places = place_kind(kind)
        self._size, self._fixed = places.count, not places.is_open
        self._half = places.count // 2 if places.rising else 0
        self._many = many
        self._texts = texts
        self._empty = empty

    def start(self, rows: int) -> torch.Tensor:
        state_RF = torch.zeros((rows, 2 + self._half), dtype=torch.long, device=self._ids_1V.device)
        if self._texts in ("nowhere", "between"):
            return state_RF
        state_RF[:, 1] = 2  # a text may come, and a location may not yet
        return state_RF

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        run_R1, text_R1 = state_RF[:, :1], state_RF[:, 1:2]
        begins_R1 = run_R1 == 0
        whole_R1 = self._whole(run_R1) & ~begins_R1
        first = (text_R1 == 2) & (self._texts == "before")
        wants_text = self._texts == "anywhere"
        another_R1 = whole_R1 & self._many & (self._texts in ("nowhere", "anywhere"))
        goes_on_R1 = (~whole_R1 & ~begins_R1) | (whole_R1 & (not self._fixed))
        location_R1 = goes_on_R1 | another_R1 | (begins_R1 & ~first)
        if self._texts == "between":
            location_R1 = location_R1 | (text_R1 == 1)
        open_R1 = whole_R1 & self._many & (self._texts in ("before", "between"))
        said_R1 = begins_R1 & (text_R1 > 0)  # a text has begun, or must
        written_R1 = open_R1 | said_R1 | (wants_text & (whole_R1 | begins_R1))
        ends_R1 = whole_R1 | (wants_text & begins_R1 & (step > 0))
        if self._empty and step == 0:
            ends_R1 = ends_R1 | begins_R1
        allowed_RV = self._location(state_RF) & location_R1
        allowed_RV = allowed_RV | (self._text_1V & written_R1)
        allowed_RV = allowed_RV | ((self._ids_1V == self._end_id) & ends_R1)
        return Scored(scores_RV.masked_fill(~allowed_RV, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        start = self._locations.start
        located_R = (place_R >= start) & (place_R < self._locations.stop)
        run_R = state_RF[:, 0]
        next_RF = state_RF.clone()
        next_RF[:, 0] = torch.where(located_R, run_R + 1, 0)
        next_RF[:, 1] = torch.where(located_R, 0, 1)
        for number in range(self._half):
            here_R = located_R & (run_R % self._size == number)
            next_RF[:, 2 + number] = torch.where(here_R, place_R, state_RF[:, 2 + number])
        return next_RF

    def _whole(self, run_R1: torch.Tensor) -> torch.Tensor:
        """Whether the locations of a run are whole shapes."""
        if self._fixed:
            return run_R1 % self._size == 0
        return (run_R1 >= self._size) & (run_R1 % 2 == 0)

    def _location(self, state_RF: torch.Tensor) -> torch.Tensor:
        """Which locations may come next (R, V), or (1, V) where that is the same for all."""
        start, last = self._locations.start, self._locations.stop - 1
        any_1V = (self._ids_1V >= start) & (self._ids_1V <= last)
        if not self._half:
            return any_1V
        place_R1 = state_RF[:, :1] % self._size
        second_R1 = place_R1 >= self._half
        own_R1 = (place_R1 - self._half).clamp(min=0)
        corner_R1 = state_RF.gather(1, 2 + own_R1)  # x1 of x2, y1 of y2
        above_RV = self._ids_1V > torch.where(second_R1, corner_R1, -1)
        room_RV = second_R1 | (self._ids_1V < last)  # for x2, y2
        return any_1V & above_RV & room_RV
