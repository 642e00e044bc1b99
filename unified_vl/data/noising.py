"""What the noise of a task makes of a field: parts of the source, and parts of the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from unified_vl.codecs.noise import blocks_to_mask, mask_words, switch_words
from unified_vl.codecs.segments import ImageCodes, Noised, Pieces, Tag
from unified_vl.data.draws import Draws
from unified_vl.data.templates import Part
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.example import MASK_TAG, MEAN_SPAN, NoiseSpec, sentinel_tag
from unified_vl.specs.tasks.template import slots

if TYPE_CHECKING:
    from unified_vl.codecs.sequence import SequenceCodec

Parts = Mapping[str, Sequence[Part]]
"""What stands in each slot."""

MASK = "<mask>"  # how a person writes a place to be filled in


class FieldNoise:
    """What the noise of a task makes of its fields.

    Args:
        spec: the task.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._noised = tuple(name for name in slots(spec.source) if name in spec.example.noise)

    def both_sides(
        self, parts: Parts, language: str, draws: Draws, *, with_target: bool
    ) -> tuple[Parts, Parts, dict[str, str]]:
        """The parts of the source and of the target, and what of the noised fields is read."""
        if not self._noised:
            return parts, parts, {}
        source, target, read = dict(parts), dict(parts), {}
        numbered = sentinels()
        for name in self._noised:
            noise = self._spec.example.noise[name]
            image = parts[name][0]
            if isinstance(image, ImageCodes):
                random = draws.random("noise", name)
                masked = noised_image(noise, image, random) if with_target else given_image(image)
                source[name] = [masked]
                continue
            text = str(image)
            if not with_target:
                source[name] = given_parts(noise, text, numbered)
                continue
            random = draws.random("noise", name)
            source[name], target[name] = noised_parts(self._spec, name, text, language, random)
            read[name] = as_read(source[name], None)
        return source, target, read

    def given(self, parts: Parts) -> tuple[int | None, ...]:
        """The codes of the image that is to be completed."""
        for name in self._noised:
            image = parts[name][0]
            if isinstance(image, ImageCodes):
                return image.codes
        return ()


def noised_parts(
    spec: TaskSpec, field: str, text: str, language: str, random: Random
) -> tuple[Sequence[Part], Sequence[Part]]:
    """What the source and the target hold of a noised field.

    Args:
        spec: the task.
        field: the field.
        text: its value.
        language: of the row.
        random: decides what is changed.
    """
    noise = spec.example.noise[field]
    if noise.kind == "masking":
        pieces = mask_words(text, noise.share, random)
        return [Tag(MASK_TAG) if piece is None else piece for piece in pieces], [text]
    if noise.kind == "code_switch":
        dictionary = spec.dictionaries[field]
        into = noise.languages or dictionary.languages

        def translations(word: str) -> list[tuple[str, ...]]:
            return [found for _, found in dictionary.translations(word, language, into)]

        return [switch_words(text, translations, noise.share, random)], [text]
    seed = random.getrandbits(64)
    assert noise.kind in ("span_corruption", "prefix_lm")
    mean = MEAN_SPAN if noise.mean_span is None else noise.mean_span
    both = Noised(field, text, noise.kind, noise.share, mean, seed)
    return [both], [both]


def noised_image(noise: NoiseSpec, image: ImageCodes, random: Random) -> ImageCodes:
    """An image in codes with blocks of it masked."""
    rows = len(image.codes) // max(image.columns, 1)
    masked = blocks_to_mask(rows, image.columns, noise.share, random) if rows else frozenset()
    kept = (None if place in masked else code for place, code in enumerate(image.codes))
    return replace(image, codes=tuple(kept))


def given_image(image: ImageCodes) -> ImageCodes:
    """An image that a person gives to be completed: masked where it is transparent.

    A code is, where half of its square is.
    """
    hole_HW = None if image.image is None else image.image.hole_HW
    if hole_HW is None or not image.codes:
        return image
    rows = len(image.codes) // image.columns
    squares = hole_HW.reshape(rows, hole_HW.shape[0] // rows, image.columns, -1)
    masked = (squares.mean(axis=(1, 3)) >= 0.5).reshape(-1).tolist()
    kept = (None if m else code for m, code in zip(masked, image.codes, strict=True))
    return replace(image, codes=tuple(kept))


def sentinels() -> Iterator[Tag]:
    """Sentinels in their order, for the places that a person leaves open."""
    return (Tag(sentinel_tag(number)) for number in count())


def given_parts(noise: NoiseSpec, text: str, numbered: Iterator[Tag]) -> list[Part]:
    """What the source holds of a noised field whose text a person gives.

    `<mask>` in it is a place to be filled in, where the noise takes anything out.
    """
    if noise.kind not in ("masking", "span_corruption"):
        return [text]
    parts: list[Part] = []
    for number, piece in enumerate(text.split(MASK)):
        if number:
            parts.append(Tag(MASK_TAG) if noise.kind == "masking" else next(numbered))
        parts.append(piece)
    return parts


def as_read(parts: Sequence[Part], codec: SequenceCodec | None) -> str:
    """A noised text as a person would write it: `<mask>` for what was taken out."""
    said = ""
    for part in parts:
        match part:
            case str():
                said += part
            case Pieces(ids) if codec is not None:
                said += f" {codec.text.decode(ids)} "  # a span may end within a word
            case Tag():
                said += MASK
    return " ".join(said.split())
