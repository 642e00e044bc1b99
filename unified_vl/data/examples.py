"""Rows to examples: the typed pieces that a task's templates ask for.

All that is drawn at random is a function of the example's seed; without one, which is
evaluation, of the row alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from pathlib import Path

from unified_vl.codecs.noise import settle
from unified_vl.codecs.segments import Image, Segment
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.task_tags import refuse_unknown_tags
from unified_vl.data.draws import Draws
from unified_vl.data.example import Example
from unified_vl.data.images.augmenting import Augmenter
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.noising import FieldNoise, Parts, as_read
from unified_vl.data.rows.inputs import Inputs, Perturber
from unified_vl.data.rows.other_rows import OtherRows, Shot, Shots
from unified_vl.data.rows.references import References
from unified_vl.data.rows.row import Row, check_readable
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.rows.values import Value, ValueReader, unlisted
from unified_vl.data.shapes import Noted
from unified_vl.data.templates import (
    Part,
    Plan,
    filled,
    joined,
    make_plan,
    merged,
    slot_parts,
)
from unified_vl.errors import BadRow
from unified_vl.geometry import Shape
from unified_vl.kinds.fitted import onto_network
from unified_vl.kinds.hooks.fits import WHOLE, Content
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.task import TaskSpec, TaskTags
from unified_vl.specs.tasks.example import SHOTS


def seen_in(content: Content, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """Values of fields with their places in what the network reads."""
    if content == WHOLE:
        return values
    return {
        name: tuple(onto_network(v, content) if isinstance(v, Shape) else v for v in each)
        for name, each in values.items()
    }


class ExampleBuilder:
    """Turns the rows of a task into examples.

    Args:
        spec: the task.
        images: reads its images.
        tags: what {task} stands for.
        codec: settles noise on pieces, and how many shots fit; without it noise stays
            `Noised` and all shots are there.
        rows: the rows that are built, which wrong partners come from.
        train: the rows that shots come from.
        shots: those of evaluation, where they are known already (from a saved model).
        code_cache: where codes of images are kept; None keeps none.
        augment: what is done to pictures of examples that are drawn at random.
        region_labels: as of `ValueReader`.

    Raises:
        UserError: when the codec's vocabulary lacks what the task's noise needs.
    """

    def __init__(
        self,
        spec: TaskSpec,
        images: ImageLoader,
        tags: TaskTags = "task",
        *,
        codec: SequenceCodec | None = None,
        rows: TaskData | None = None,
        train: TaskData | None = None,
        shots: Shots | None = None,
        code_cache: Path | None = None,
        augment: Sequence[AugmentSpec] = (),
        region_labels: bool = False,
    ) -> None:
        self.spec = spec
        self._augmenter = Augmenter(spec, augment) if augment else None
        self._perturber: Perturber | None = None
        self.codec = codec
        self._main = spec.image_field
        code_images = None if codec is None else codec.code_images
        self._values = ValueReader(spec, images, code_images, code_cache, region_labels)
        self._plan = cache(lambda language: make_plan(spec, language, tags))
        self._source_fields = spec.fields_of(spec.source)
        self._source_texts = [n for n in self._source_fields if spec.fields[n].writing == "text"]
        self._target_fields = spec.fields_of(spec.target)
        self._references = References(spec, codec)
        read = (*self._source_fields, *self._target_fields, *self._references.fields)
        self._all_fields = tuple(dict.fromkeys(read))
        self._may_be_none = any(spec.fields[name].empty for name in self._target_fields)
        self._noise = FieldNoise(spec)
        self._others = OtherRows(spec, self._values, self._plan_of, rows, train, shots)
        if codec is not None:  # before any row is read
            refuse_unknown_tags(spec, codec)

    def build(self, row: Row, *, seed: int | None, with_target: bool = True) -> Example:
        """The example of a row.

        Args:
            row: the row.
            seed: decides what is drawn at random; None, for scoring, takes the first of what
                `pick` and wordings have, and draws the rest for the row once and for all.
            with_target: whether the row holds the answer too. Without, its texts are taken
                as they are: nothing is noised or exchanged.

        Raises:
            BadRow: for a value that is missing, empty or of the wrong kind, a box
                outside its image, an unknown language, or an image that cannot be read.
            UserError: when there are too few rows for its shots.
        """
        plan = self._plan_of(row)
        draws = Draws(seed, f"{self.spec.task} {row.where}")
        names = self._all_fields if with_target else self._source_fields
        values, size = self._values.read(row, names, plan.columns, plan.language, draws=draws)
        own: Mapping[str, Value] = values
        asked, matches = own, True
        if with_target:
            asked, matches = self._others.exchanged(row, plan, own, draws)
        if self._augmenter is not None:
            asked, own = self._augmenter.both(asked, own, draws)
        perturbed = False
        if self._perturber is not None:
            inputs = Inputs(row, plan, asked, own, self._others)
            found = self._perturber(inputs)
            plan, asked, own = found.plan, found.asked, found.own
            perturbed = found is not inputs
        content = self._content_of(asked, own)
        seen = seen_in(content, asked)
        parts = slot_parts(self.spec, plan, row.where, seen, draws, matches)
        source_parts, target_parts, read = self._noise.both_sides(
            parts, plan.language, draws, with_target=with_target
        )
        if not matches and self.spec.example.mismatch is not None:
            name = self.spec.example.mismatch.field
            read[name] = " ".join(part for part in parts[name] if isinstance(part, str))
        others = self._others.shots(row, plan, draws)
        shots = [self._shown(shot, plan, parts, draws) for shot in others]
        given = self._noise.given(source_parts)
        source_parts, without = self._dropped(source_parts, draws)
        source, shown = self._source(plan, source_parts, shots)
        target = merged(filled(plan.target, target_parts)) if with_target else ()
        if self.codec is not None and with_target and self.spec.example.on_pieces:
            settled = settle(source, target, self.codec)
            source, target = settled.source, settled.target
            read |= {name: as_read(kept, self.codec) for name, kept in settled.kept.items()}
        for name, side in (("source", source), ("target", target)):
            if not side and (name == "source" or (with_target and not self._may_be_none)):
                raise BadRow(f"its {name} is empty", file=row.where)
        return Example(
            task=self.spec.task,
            language=plan.language,
            key=row.key(self.spec.data.key_column),
            source=source,
            target=target,
            references=self._references.of(plan, own, matches, target) if with_target else {},
            groups=self._groups(row, plan.language),
            where=row.where,
            image_size=size,
            read=read,
            shots=shown,
            without=() if without is None else self._source(plan, without, shots)[0],
            given=given,
            shows=self._shows(parts),
            copied=self._copied(parts) if seed is None else (),
            has_target=with_target,
            content=content,
            perturbed=perturbed,
        )

    def values_of(self, row: Row, names: Sequence[str]) -> Mapping[str, Value]:
        """Fields of a row as they are, without the image that places are measured in.

        Raises:
            BadRow: as for `build`.
        """
        plan = self._plan_of(row)
        return self._values.read(row, names, plan.columns, plan.language, sized=False)[0]

    def perturbed(self, perturber: Perturber) -> ExampleBuilder:
        """Builds the same examples of changed inputs; images are kept for both."""
        other = copy(self)
        other._perturber = perturber
        return other

    def unread(self) -> ExampleBuilder | None:
        """Builds examples of the same lengths from undecoded images and unread features; None for
        a task without either, whose examples are read at once."""
        if not any(field.of_kind.is_looked_up for field in self.spec.fields.values()):
            return None
        other = copy(self)
        other._values = self._values.unread()
        other._others = self._others.unread(other._values)
        if self._augmenter is not None and not self._augmenter.moves_places:
            other._augmenter = None  # pixels alone: no length is by them
        return other

    @property
    def shape_notes(self) -> list[Noted]:
        """What was found of shapes so far that is right by the spec, and may be meant otherwise."""
        return list(self._values.shapes.notes.values())

    def shots(self) -> Shots:
        """The shots of evaluation by language, as a saved model carries them; none for a task
        without.

        Raises:
            BadRow: for one that breaks the spec, where such rows stop the work.
        """
        if self.spec.example.shots is None:
            return {}
        return {tag: self._others.fixed(tag) for tag in self.spec.data.languages}

    def _plan_of(self, row: Row) -> Plan:
        check_readable(row)
        language = row.language
        languages = self.spec.data.languages
        if language is None and len(languages) == 1:
            language = languages[0]
        if language not in languages:
            known = self.spec.data.tag_of(language) if isinstance(language, str) else None
            if known is not None:
                return self._plan(known)
            column = self.spec.data.language_column or "language"
            raise unlisted(self.spec, row, column, language)
        return self._plan(language)

    def _shown(self, shot: Shot, plan: Plan, asked: Parts, draws: Draws) -> list[Part]:
        """The parts of a shot, in the wordings of the row that it stands before."""
        own = self._plan(shot.language)
        draws = draws.of("shot", shot.where)
        values = shot.values
        if self._augmenter is not None:
            values, _ = self._augmenter.both(values, values, draws)
        seen = seen_in(self._content_of(values), values)
        parts = slot_parts(self.spec, own, shot.where, seen, draws, shot.matches)
        if own.language == plan.language:
            parts |= {slot: asked[slot] for slot in plan.wordings}
        return filled(own.shot, parts)

    def _content_of(self, *several: Mapping[str, Value]) -> Content:
        """Where the image that places are measured in lies, in what the network reads."""
        name = self._main or ""
        images = (image for values in several for image in values.get(name, ()))
        found = next(images, None)
        return found.image.content if isinstance(found, Image) else WHOLE

    def _source(
        self, plan: Plan, parts: Parts, shots: Sequence[list[Part]]
    ) -> tuple[tuple[Segment, ...], int]:
        """The source with as many shots as fit, the last of them, and how many these are."""
        asked = self.spec.example.shots
        if asked is None:
            return merged(filled(plan.source, parts)), 0
        for first in range(len(shots) + 1):
            shown = joined(shots[first:], asked.between)
            source = merged(filled(plan.source, {**parts, SHOTS: shown}))
            if self.codec is None or self.codec.length(source) <= self.codec.max_source:
                break
        return source, len(shots) - first

    def _dropped(self, parts: Parts, draws: Draws) -> tuple[Parts, Parts | None]:
        """The parts of the source, now and then without what `drop` names; and in evaluation
        those without it, where guidance compares with them."""
        drop = self.spec.example.drop
        if drop is None:
            return parts, None
        without = {**parts, **dict.fromkeys(drop.fields, ())}
        random = draws.training("drop")
        if random is not None:
            return (without if random.random() < drop.rate else parts), None
        return parts, None if self.spec.generate.guidance in (None, 1.0) else without

    def _shows(self, parts: Parts) -> str | None:
        """What an image is ranked by."""
        rerank = self.spec.generate.rerank
        return None if rerank is None else " ".join(str(part) for part in parts[rerank.field])

    def _copied(self, parts: Parts) -> tuple[str, ...]:
        """The texts of the source's own fields."""
        names = self._source_texts
        return tuple(part for name in names for part in parts[name] if isinstance(part, str))

    def _groups(self, row: Row, language: str) -> dict[str, str]:
        return {
            name: language if name == "language" else str(row.columns.get(name))
            for name in self.spec.report_by
            if name == "language" or name in row.columns
        }
