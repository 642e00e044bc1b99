"""How well an image and a text belong together, by what a task of the model says.

That is how likely a captioning task finds the text as the image's caption, or a matching task
the answer that says yes. Images come as features, so their files need not be read again.

Legend: N images, P places of an image, T tokens, S source length, M width, R pairs of a
batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as PILImage
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED, EncodedExample, encode_example, pad
from unified_vl.data.rows.row import Row
from unified_vl.decoding.choice_scoring import ChoiceScorer
from unified_vl.decoding.protocol import Memory, encode, read_targets
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.errors import UserError
from unified_vl.inference.inputs import (
    chunks,
    input_language,
    is_captioning,
    is_matching,
    source_fields,
    target_fields,
)
from unified_vl.inference.retrieval.features import BATCH
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

REMEMBERED = 1 << 16  # encoded texts
YES = "yes"

Pair = tuple[int, int]
"""Numbers of an image and of a text."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the tag of its language."""

    text: str
    language: str


class PairScorer:
    """Scores pairs of an image and a text by a task of a model.

    Args:
        predictor: the model.
        task: a captioning task (its source has an image and no other field, its target is a
            text) or a matching task (its source has an image and a text too); name, spec
            or spec file. None takes the model's only captioning task.
        yes: the answer of a matching task that says that image and text belong together.

    Raises:
        UserError: when there is no such task, or it is neither.
    """

    def __init__(
        self, predictor: UnifiedVL, task: str | Path | TaskSpec | None = None, yes: str = YES
    ) -> None:
        self.predictor = predictor
        self.spec = _only_captioning(predictor) if task is None else predictor.spec(task)
        self.matches = is_matching(self.spec)
        read = [self.spec.fields[name] for name in source_fields(self.spec)]
        may_lack = any(field.missing == "allow" for field in read)
        if may_lack or not (self.matches or is_captioning(self.spec)):
            raise UserError(
                f"the task {self.spec.task!r} neither describes an image nor compares it with "
                "a text",
                field="task",
                expected="a source of an image, or of an image and a text, and a text as target",
            )
        text_fields = source_fields(self.spec) if self.matches else target_fields(self.spec)
        self._text_field = next(n for n in text_fields if self.spec.fields[n].of_kind.free_text)
        self._builder = predictor.builder(self.spec, root=None)
        self._blank = PILImage.new("RGB", predictor.codec.image_size[::-1])
        self._encode = lru_cache(REMEMBERED)(self._encoded)
        start = SpecialIds.of(predictor.model.config).start
        ids = [*predictor.codec.text.encode(yes), predictor.codec.vocabulary.eos_id]
        self._yes = ChoiceScorer([ids], start, predictor.model.device)

    @torch.inference_mode()
    def log_probability(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> np.ndarray:
        """How well each pair belongs together, (len(pairs),) float64; 0 is certain.

        Of a captioning task the mean log-probability of the text's tokens, given the image
        and the text's language; of a matching task the log-probability of `yes`.

        Raises:
            UserError: for a language that the task does not have, or an empty text.
        """
        score = self._yes_of_pairs if self.matches else self._likelihood_of_pairs
        found = np.empty(len(pairs))
        for places, values in score(images, texts, pairs):
            found[places] = values.double().cpu().numpy()
        return found

    def _likelihood_of_pairs(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Some pairs at a time: the encoder reads each image once a language."""
        wanted: dict[tuple[str, int], list[int]] = {}
        for place, (image, text) in enumerate(pairs):
            wanted.setdefault((texts[text].language, image), []).append(place)
        targets = {text: self._target(texts[text]) for _, text in pairs}
        for sources in chunks(sorted(wanted), BATCH):
            memory = self._memory(
                images[[image for _, image in sources]],
                [self._encode(None, language).source.ids for language, _ in sources],
            )
            row = {place: r for r, source in enumerate(sources) for place in wanted[source]}
            ordered = sorted(row, key=lambda place: len(targets[pairs[place][1]]))
            for batch in chunks(ordered, BATCH):
                rows = torch.tensor([row[place] for place in batch], device=memory.mask_AS.device)
                yield (
                    batch,
                    self._likelihood(memory.rows(rows), [targets[pairs[p][1]] for p in batch]),
                )

    def _likelihood(self, memory: Memory, targets: Sequence[list[int]]) -> torch.Tensor:
        """Mean log-probabilities (R,) of a target each, eos included."""
        model = self.predictor.model
        labels_RT = torch.from_numpy(pad(targets, IGNORED, 1)[0]).to(model.device)
        logits_RTV = read_targets(model, memory, labels_RT)
        lost_X = F.cross_entropy(
            logits_RTV.flatten(0, 1).float(), labels_RT.flatten(), reduction="none"
        )
        return -lost_X.view_as(labels_RT).sum(1) / (labels_RT != IGNORED).sum(1)

    def _yes_of_pairs(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Some pairs at a time, those of like length together."""
        ids = {t: self._encode(texts[t].text, texts[t].language).source.ids for _, t in pairs}
        ordered = sorted(range(len(pairs)), key=lambda place: len(ids[pairs[place][1]]))
        for batch in chunks(ordered, BATCH):
            memory = self._memory(
                images[[pairs[p][0] for p in batch]], [ids[pairs[p][1]] for p in batch]
            )
            yield batch, self._yes(self.predictor.model, memory)[:, 0]

    def _memory(self, images: Features, sources: Sequence[list[int]]) -> Memory:
        """What the encoder makes of an image in each source."""
        model, pad_id = self.predictor.model, self.predictor.codec.vocabulary.pad_id
        others = {}
        if images.grid_A2 is not None:
            grids = images.grid_A2.tolist()
            sources = [self._with_grid(ids, g) for ids, g in zip(sources, grids, strict=True)]
            others = {"image_grids": images.grid_A2.to(model.device)}
        ids_NS, mask_NS = (torch.from_numpy(x).to(model.device) for x in pad(sources, pad_id, 1))
        feature_NPM = images.vectors_ATM.to(model.device, model.dtype)
        return encode(model, ids_NS, mask_NS.long(), image_features=feature_NPM, **others)

    def _with_grid(self, ids: list[int], grid: tuple[int, int]) -> list[int]:
        """A blank image's source with as many places as an image of this grid has."""
        blank = self.predictor.codec.image_ids()
        first = ids.index(blank[0])
        own = self.predictor.codec.image_ids(grid)
        return [*ids[:first], *own, *ids[first + len(blank) :]]

    def _target(self, sentence: Sentence) -> list[int]:
        encoded = self._encode(sentence.text, sentence.language)
        assert encoded.target is not None
        return encoded.target.ids

    def _encoded(self, text: str | None, language: str) -> EncodedExample:
        """The task's example of a blank image and a text; without a text, its source alone."""
        language = input_language(self.spec, language)
        fields, columns = self.spec.fields, {}
        values = {self.spec.image_field: self._blank, self._text_field: text}
        for name, value in values.items():
            if name is not None and value is not None:
                column = fields[name].column_in(language)
                columns[column] = [value] if fields[name].many else value
        with_target = not self.matches and text is not None
        row = Row(columns, repr(text), 0, language)
        example = self._builder.build(row, seed=None, with_target=with_target)
        return encode_example(example, self.predictor.codec)


def _only_captioning(predictor: UnifiedVL) -> TaskSpec:
    """The task of a model that describes an image and reads nothing else."""
    found = [spec for spec in predictor.specs.values() if is_captioning(spec)]
    if len(found) != 1:
        names = ", ".join(spec.task for spec in found) or "none"
        raise UserError(
            f"the model has {len(found)} captioning tasks ({names})",
            field="task",
            expected="the name of one, or of a matching task",
        )
    return found[0]
