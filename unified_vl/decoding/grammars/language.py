"""Answers in the scripts of the language that was asked for (`generate.language: enforce`).

Legend: R hypotheses, X some of them, A sources, V vocabulary, M sets of scripts, P places within a
character, L bytes of the longest fragment, N nodes of a trie or fragments, C choices, F numbers
that a grammar remembers of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import regex
import torch

from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.example import Example
from unified_vl.decoding.grammars.choices import ChoiceGrammar
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.grammars.script_bytes import NEVER, WHOLE, byte_places
from unified_vl.decoding.grammars.trie import Trie
from unified_vl.decoding.grammars.values import TextGrammar
from unified_vl.errors import UserError
from unified_vl.languages.scripts import class_of, scripts_of, strange_parts

NO_BYTE = -1


class ScriptMasks:
    """Which pieces are of which scripts; of each set of scripts it is found out once.

    Args:
        vocabulary: the id ranges.
        text: the pieces.
        device: of the model.
    """

    def __init__(self, vocabulary: Vocabulary, text: TextCodec, device: torch.device) -> None:
        self._size = vocabulary.size
        self._device = device
        self._texts = text.texts
        self._fragments = text.fragments
        self._ids = {written: i for i, written in enumerate(self._texts) if written}
        self._longest = max(map(len, self._ids), default=0)
        self._numbers: dict[tuple[tuple[str, ...], bool], int] = {}
        most = max(map(len, self._fragments.values()), default=1)
        byte_LV = np.full((most, vocabulary.size), NO_BYTE, np.int64)
        for token, written in self._fragments.items():
            byte_LV[: len(written), token] = list(written)
        self.byte_LV = torch.from_numpy(byte_LV).to(device)
        """The bytes of fragments, one behind the other."""
        self.forbidden_MV = torch.empty((0, vocabulary.size), dtype=torch.bool, device=device)
        self.first_M256 = torch.empty((0, 256), dtype=torch.long, device=device)
        """Where the first byte of a character leads to, as a place of any set."""
        self.next_P256 = torch.full((1, 256), NEVER, dtype=torch.long, device=device)
        ids = list(self._fragments)
        self.fragment_ids = torch.tensor(ids, dtype=torch.long, device=device)

    def number(self, scripts: tuple[str, ...], any_bytes: bool = False) -> int:
        """The row of a set of scripts; with what bytes may spell free, or of the scripts too."""
        key = (scripts, any_bytes)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            places_P256 = byte_places(None if any_bytes else scripts).copy()
            places_P256[places_P256 > WHOLE] += len(self.next_P256) - 1
            forbidden_V = self._forbidden(scripts, places_P256)
            self.forbidden_MV = self._grown(self.forbidden_MV, forbidden_V[None])
            self.first_M256 = self._grown(self.first_M256, places_P256[:1])
            self.next_P256 = self._grown(self.next_P256, places_P256[1:])
        return self._numbers[key]

    def copying(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """The pieces that words can be copied with, and whether that takes bytes too."""
        ids: set[int] = set()
        spelt = False
        for text in texts:
            for start in range(len(text)):
                for stop in range(start + 1, min(start + self._longest, len(text)) + 1):
                    part = text[start:stop]
                    ids |= {self._ids[p] for p in (part, f" {part}") if p in self._ids}
            spelt = spelt or any(character not in self._ids for character in text)
        return sorted(ids), spelt

    def after(
        self, mask_R: torch.Tensor, place_R: torch.Tensor, byte_LR: torch.Tensor
    ) -> torch.Tensor:
        """Where bytes lead to from places of the sets of these rows, all three of one shape but
        for the bytes' first axis; `NEVER` where they may not stand."""
        place_R = self._behind(mask_R, place_R, byte_LR[0])
        for byte_R in byte_LR[1:]:
            next_R = self._behind(mask_R, place_R.clamp(min=0), byte_R)
            next_R = next_R.where(place_R != NEVER, NEVER)
            place_R = next_R.where(byte_R != NO_BYTE, place_R)
        return place_R

    def _behind(
        self, mask_R: torch.Tensor, place_R: torch.Tensor, byte_R: torch.Tensor
    ) -> torch.Tensor:
        """Where single bytes lead to; anywhere, where there is none."""
        byte_R = byte_R.clamp(min=0)
        first_R = self.first_M256[mask_R, byte_R]
        return torch.where(place_R == WHOLE, first_R, self.next_P256[place_R, byte_R])

    def _forbidden(self, scripts: tuple[str, ...], places_P256: np.ndarray) -> np.ndarray:
        strange = regex.compile(rf"[^{class_of(scripts)}]")
        forbidden_V = np.zeros(self._size, np.bool_)
        for token, written in enumerate(self._texts):
            forbidden_V[token] = strange.search(written) is not None
        moved = len(self.next_P256) - 1  # by so many the places within characters are
        for token, fragment in self._fragments.items():
            place = WHOLE
            for byte in fragment:
                place = int(places_P256[place - moved if place > WHOLE else WHOLE, byte])
                if place == NEVER:
                    break
            forbidden_V[token] = place == NEVER
        return forbidden_V

    def _grown(self, table: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return torch.cat([table, torch.from_numpy(rows).to(self._device)])


class LanguageGrammar(Grammar):
    """What another grammar allows, in the scripts of each row's language.

    Words of the row's own fields may be copied, whatever their script. The state is that of the
    other grammar, the number of the source, and the place within a character.

    Args:
        inner: the other grammar, over all ids.
        masks: of the model's pieces.
    """

    def __init__(self, inner: Grammar, masks: ScriptMasks) -> None:
        self._inner = inner
        self._masks = masks
        self._mask_A = torch.zeros(0, dtype=torch.long)
        self._forbidden_AV = torch.empty(0)
        self._alike = False
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None  # sources, what is forbidden

    def of(self, examples: Sequence[Example]) -> LanguageGrammar:
        of_rows = LanguageGrammar(self._inner.of(examples), self._masks)
        numbers: list[int] = []
        copied: dict[int, list[int]] = {}
        for place, example in enumerate(examples):
            strange = strange_parts("\n".join(example.copied), example.language)
            spelt = False
            if strange:
                copied[place], spelt = self._masks.copying(strange)
            numbers.append(self._masks.number(scripts_of(example.language), spelt))
        of_rows._mask_A = torch.tensor(numbers, device=self._masks.byte_LV.device)
        of_rows._alike = not copied and len(set(numbers)) == 1
        mask_A = of_rows._mask_A[:1] if of_rows._alike else of_rows._mask_A
        of_rows._forbidden_AV = self._masks.forbidden_MV[mask_A]
        for place, ids in copied.items():
            of_rows._forbidden_AV[place, ids] = False
        if isinstance(of_rows._inner, TextGrammar):  # both at once cost what one does
            of_rows._forbidden_AV |= of_rows._inner.forbidden_1V
        return of_rows

    def start(self, rows: int) -> torch.Tensor:
        inner_RF = self._inner.start(rows)
        own_R2 = inner_RF.new_zeros((rows, 2))
        sources = len(self._mask_A)
        source_A = torch.arange(sources, device=inner_RF.device)
        own_R2[:, 0] = source_A.repeat_interleave(rows // sources)
        return torch.cat([inner_RF, own_R2], 1)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        forbidden_RV = self._of_rows(state_RF[:, -2])
        place_R = state_RF[:, -1]
        if bool(place_R.any()):
            forbidden_RV = forbidden_RV.expand(len(place_R), -1).clone()
            inside_X = place_R.nonzero()[:, 0]
            forbidden_RV[inside_X] = self._within(place_R[inside_X], state_RF[inside_X, -2])
        if isinstance(self._inner, TextGrammar):
            return Scored(scores_RV.masked_fill(forbidden_RV, -torch.inf))
        scored = self._inner.allowed(scores_RV, state_RF[:, :-2], step)
        scored.scores_RC.masked_fill_(forbidden_RV, -torch.inf)  # a copy of the inner grammar's
        return scored

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        inner_RF = self._inner.advance(state_RF[:, :-2], place_R, step)
        byte_LR = self._masks.byte_LV[:, place_R]
        source_R, within_R = state_RF[:, -2], state_RF[:, -1]
        spelt_R = byte_LR[0] != NO_BYTE
        spelt = bool(spelt_R.any())
        if not spelt and state_RF.shape[1] == 2 and not bool(within_R.any()):
            return state_RF  # nearly always
        next_R = self._masks.after(self._mask_A[source_R], within_R, byte_LR)
        next_R = next_R.where(spelt_R & (next_R != NEVER), WHOLE)
        return torch.cat([inner_RF, source_R[:, None], next_R[:, None]], 1)

    def place_of(self, state_RF: torch.Tensor, ids_R: torch.Tensor) -> torch.Tensor:
        return self._inner.place_of(state_RF[:, :-2], ids_R)

    def _within(self, place_X: torch.Tensor, source_X: torch.Tensor) -> torch.Tensor:
        """What is forbidden (X, V) to rows that are within a character: all but fragments."""
        masks = self._masks
        byte_LN = masks.byte_LV[:, masks.fragment_ids]
        shape = len(place_X), byte_LN.shape[1]
        mask_XN = self._mask_A[source_X][:, None].expand(shape)
        byte_LXN = byte_LN[:, None].expand(-1, *shape)
        next_XN = masks.after(mask_XN, place_X[:, None].expand(shape), byte_LXN)
        width = masks.byte_LV.shape[1]
        forbidden_XV = torch.ones((len(place_X), width), dtype=torch.bool, device=place_X.device)
        forbidden_XV[:, masks.fragment_ids] = next_XN == NEVER
        return forbidden_XV

    def _of_rows(self, source_R: torch.Tensor) -> torch.Tensor:
        """What is forbidden between characters (R, V), or (1, V) where all sources are alike."""
        if self._alike:
            return self._forbidden_AV
        if self._last is None or not torch.equal(self._last[0], source_R):
            self._last = source_R.clone(), self._forbidden_AV[source_R]
        return self._last[1]


class LanguageChoiceGrammar(ChoiceGrammar):
    """One of the choices in the scripts of each row's language. The state is a node and the number
    of the language.

    Args:
        trie: of all choices.
        vocabulary_size: ids.
        device: of the model.
        fits: by language which choices (C) it may have.
    """

    def __init__(
        self,
        trie: Trie,
        vocabulary_size: int,
        device: torch.device,
        fits: dict[str, np.ndarray],
    ) -> None:
        super().__init__(trie, vocabulary_size, device)
        self._numbers = {language: number for number, language in enumerate(fits)}
        closed_MN = np.ones((len(fits), len(trie.token_N) + 1), np.bool_)
        closed_MN[:, -1] = False  # behind an end
        for number, fits_C in enumerate(fits.values()):
            node_C = trie.leaf_C[fits_C]
            while len(node_C) and node_C[0] >= 0:
                closed_MN[number, node_C] = False
                node_C = np.unique(trie.parent_N[node_C])
                node_C = node_C[node_C >= 0]
        self._closed_MN = torch.from_numpy(closed_MN).to(device)
        self._language_A = torch.zeros(0, dtype=torch.long)

    def of(self, examples: Sequence[Example]) -> LanguageChoiceGrammar:
        of_rows = object.__new__(LanguageChoiceGrammar)
        of_rows.__dict__.update(self.__dict__)
        numbers = [self._numbers[example.language] for example in examples]
        of_rows._language_A = torch.tensor(numbers, device=self._closed_MN.device)
        return of_rows

    def start(self, rows: int) -> torch.Tensor:
        language_R = self._language_A.repeat_interleave(rows // len(self._language_A))
        return torch.cat([super().start(rows), language_R[:, None]], 1)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        scored = super().allowed(scores_RV, state_RF, step)
        node_R1 = state_RF[:, :1]
        child_RC = self._first_N[node_R1] + self._range_C[: scored.scores_RC.shape[1]]
        child_RC = torch.minimum(child_RC, self._last_N[node_R1])
        closed_RC = self._closed_MN[state_RF[:, 1:], child_RC]
        return scored._replace(scores_RC=scored.scores_RC.masked_fill(closed_RC, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        return torch.cat([super().advance(state_RF, place_R, step), state_RF[:, 1:]], 1)


def choices_of_languages(choices: Sequence[str], languages: Sequence[str]) -> dict[str, np.ndarray]:
    """By language which choices (C) are in its scripts.

    Raises:
        UserError: for a language without any.
    """
    fits = {}
    for tag in languages:
        fits[tag] = np.array([not strange_parts(choice, tag) for choice in choices], np.bool_)
        if not fits[tag].any():
            raise UserError(
                f"no choice is written in the scripts of {tag!r}", field="generate.language"
            )
    return fits
