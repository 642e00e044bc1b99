"""How well an image or a video and a text belong together, by what a task of the model says.

That is how likely a captioning task finds the text as the image's caption, or a matching task
the answer that says yes. Images come as features, so their files need not be read again.

Legend: N images or videos, P places of an image or of all frames of a video, T tokens, S source
length, M width, R pairs of a batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

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
    Shown,
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
from unified_vl.specs.tasks.fields import FieldSpec

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

REMEMBERED = 1 << 16  # encoded texts
YES = "yes"
_A: dict[Shown, str] = {"image": "an image", "video": "a video"}

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
        task: a captioning task (its source has an image or a video and no other field, its target
            is a text) or a matching task (its source has an image or a video, and a text too);
            name, spec or spec file. None takes the model's only captioning task: that of images,
            if it has one.
        yes: the answer of a matching task that says that image and text belong together.
        shown: what the task must be about; None for either.

    Attributes:
        shown: what the task is about.

    Raises:
        UserError: when there is no such task, or it is neither.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        task: str | Path | TaskSpec | None = None,
        yes: str = YES,
        shown: Shown | None = None,
    ) -> None:
        self.predictor = predictor
        self.spec = _only_captioning(predictor, shown) if task is None else predictor.spec(task)
        self.shown: Shown = "image" if self.spec.video_field is None else "video"
        self.matches = is_matching(self.spec, self.shown)
        read = [self.spec.fields[name] for name in source_fields(self.spec)]
        may_lack = any(field.missing == "allow" for field in read)
        other = shown is not None and shown != self.shown
        if other or may_lack or not (self.matches or is_captioning(self.spec, self.shown)):
            what = shown or "image"
            raise UserError(
                f"the task {self.spec.task!r} neither describes {_A[what]} nor compares it with "
                "a text",
                field="task",
                expected=f"a source of {_A[what]}, or of {_A[what]} and a text, and a text as "
                "target",
            )
        text_fields = source_fields(self.spec) if self.matches else target_fields(self.spec)
        self._text_field = next(n for n in text_fields if self.spec.fields[n].of_kind.free_text)
        self._builder = predictor.builder(
            self.spec if self.clip is None else _timeless(self.spec), root=None
        )
        self._blank = PILImage.new("RGB", predictor.codec.image_size[::-1])
        self._encode = lru_cache(REMEMBERED)(self._encoded)
        start = SpecialIds.of(predictor.model.config).start
        ids = [*predictor.codec.text.encode(yes), predictor.codec.vocabulary.eos_id]
        self._yes = ChoiceScorer([ids], start, predictor.model.device)

    @property
    def clip(self) -> FieldSpec | None:
        """The task's field of videos."""
        name = self.spec.video_field
        return None if name is None else self.spec.fields[name]

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
        found = np.empty(len(pairs))
        for places, values in self.scored(images, texts, pairs):
            found[places] = values.double().cpu().numpy()
        return found

    def scored(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Some pairs at a time: their places among all, and how well each belongs together."""
        score = self._yes_of_pairs if self.matches else self._likelihood_of_pairs
        return score(images, texts, pairs)

    def _likelihood_of_pairs(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Some pairs at a time: the encoder reads each image once a language."""
        frames = self._frames(images)
        wanted: dict[tuple[str, int], list[int]] = {}
        for place, (image, text) in enumerate(pairs):
            wanted.setdefault((texts[text].language, image), []).append(place)
        targets = {text: self.target(texts[text]) for _, text in pairs}
        for sources in chunks(sorted(wanted), BATCH):
            memory = self._memory(
                images[[image for _, image in sources]],
                [self._source(None, language, frames[image]) for language, image in sources],
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
        frames = self._frames(images)
        ids = {(i, t): self._source(texts[t].text, texts[t].language, frames[i]) for i, t in pairs}
        ordered = sorted(range(len(pairs)), key=lambda place: len(ids[pairs[place]]))
        for batch in chunks(ordered, BATCH):
            memory = self._memory(
                images[[pairs[p][0] for p in batch]], [ids[pairs[p]] for p in batch]
            )
            yield batch, self._yes(self.predictor.model, memory)[:, 0]

    def _memory(self, images: Features, sources: Sequence[list[int]]) -> Memory:
        """What the encoder makes of an image, or of a video's frames, in each source."""
        model, pad_id = self.predictor.model, self.predictor.codec.vocabulary.pad_id
        others = {}
        if images.grid_A2 is not None:
            grids = images.grid_A2.tolist()
            sources = [self._with_grid(ids, g) for ids, g in zip(sources, grids, strict=True)]
            others = {"image_grids": images.grid_A2.to(model.device)}
        ids_NS, mask_NS = (torch.from_numpy(x).to(model.device) for x in pad(sources, pad_id, 1))
        feature_NPM = images.vectors_ATM
        if self.clip is not None:
            feature_NPM = feature_NPM[images.norm_AT > 0]  # of all frames, one behind the other
            feature_NPM = feature_NPM.unflatten(0, (-1, self.predictor.codec.image_tokens))
        feature_NPM = feature_NPM.to(model.device, model.dtype)
        return encode(model, ids_NS, mask_NS.long(), image_features=feature_NPM, **others)

    def _with_grid(self, ids: list[int], grid: tuple[int, int]) -> list[int]:
        """A blank image's source with as many places as an image of this grid has."""
        blank = self.predictor.codec.image_ids()
        first = ids.index(blank[0])
        own = self.predictor.codec.image_ids(grid)
        return [*ids[:first], *own, *ids[first + len(blank) :]]

    def _frames(self, images: Features) -> list[int]:
        """How many frames each has; an image is one."""
        if self.clip is None:
            return [1] * len(images)
        found: list[int] = (
            (images.norm_AT > 0).sum(1) // self.predictor.codec.image_tokens
        ).tolist()
        return found

    def _source(self, text: str | None, language: str, frames: int) -> list[int]:
        return self._encode(text, language, frames).source.ids

    def target(self, sentence: Sentence) -> list[int]:
        """The ids of a caption, and its end, as the captioning task writes it."""
        encoded = self._encode(sentence.text, sentence.language, 1)
        assert encoded.target is not None
        return encoded.target.ids

    def _encoded(self, text: str | None, language: str, frames: int) -> EncodedExample:
        """The task's example of a blank image, or of a video of so many, and a text; without a
        text, its source alone."""
        language = input_language(self.spec, language)
        fields, columns = self.spec.fields, {}
        values: dict[str | None, Any] = {self._text_field: text}
        if self.clip is None:
            values[self.spec.image_field] = self._blank
        else:
            values[self.spec.video_field] = [self._blank] * frames
        for name, value in values.items():
            if name is not None and value is not None:
                column = fields[name].column_in(language)
                columns[column] = [value] if fields[name].many else value
        with_target = not self.matches and text is not None
        row = Row(columns, repr(text), 0, language)
        example = self._builder.build(row, seed=None, with_target=with_target)
        return encode_example(example, self.predictor.codec)


def clip_field(predictor: UnifiedVL, task: str | Path | TaskSpec | None) -> FieldSpec:
    """The field that says which frames of a video are read.

    Args:
        predictor: the model.
        task: about videos, as of `PairScorer`; None takes the only captioning task of videos.

    Raises:
        UserError: when there is no such task.
    """
    field = PairScorer(predictor, task, shown="video").clip
    assert field is not None
    return field


def _timeless(spec: TaskSpec) -> TaskSpec:
    """The task with videos whose frames are all read: these were chosen before."""
    assert spec.video_field is not None
    clip = spec.fields[spec.video_field].model_copy(update={"rate": None, "frame_rate": None})
    return spec.model_copy(update={"fields": {**spec.fields, spec.video_field: clip}})


def _only_captioning(predictor: UnifiedVL, shown: Shown | None) -> TaskSpec:
    """The task of a model that describes an image, or else a video, and reads nothing else."""
    found: list[TaskSpec] = []
    for what in get_args(Shown) if shown is None else (shown,):
        found = found or [s for s in predictor.specs.values() if is_captioning(s, what)]
    if len(found) != 1:
        names = ", ".join(spec.task for spec in found) or "none"
        of_what = "" if shown is None else f" of {shown}s"
        raise UserError(
            f"the model has {len(found)} captioning tasks{of_what} ({names})",
            field="task",
            expected="the name of one, or of a matching task",
        )
    return found[0]
