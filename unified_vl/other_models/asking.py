"""What another model is asked about a row, in words: from the spec's own, or its `prompt`.

Unless a spec has `example.prompt`, the parts of a prompt are

1. `about` of the spec,
2. its source in its order, images in their places, tags left out and places in numbers,
3. how to answer: the language, the choices, the form of numbers and places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image as PILImage

from unified_vl.codecs.segments import Image, ImageCodes, Regions, Segment, Shape, Text
from unified_vl.data.example import Example
from unified_vl.errors import BadRow
from unified_vl.inference.inputs import target_fields
from unified_vl.kinds.hooks.cells import Size
from unified_vl.kinds.places import PlaceKind
from unified_vl.languages.tags import language_name
from unified_vl.other_models.place_conventions import PlaceConvention
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.generate import MIXED

MOST_CHOICES = 64  # more would not be read; the answer is looked up among all of them all the same
IMAGE = "<image>"
_FORMS = {2: "[x, y]", 4: "[x1, y1, x2, y2]"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one row.

    Attributes:
        key: of the row.
        parts: texts, and images at their own size, in their order.
        size: (width, height) of the image that places are measured in.
        task: the name of the task.
        language: the tag of the row's language.
    """

    key: str
    parts: tuple[str | PILImage.Image, ...]
    size: Size | None = None
    task: str = ""
    language: str = ""

    @property
    def text(self) -> str:
        """The prompt as people read it, `<image>` for each image."""
        return "\n".join(part if isinstance(part, str) else IMAGE for part in self.parts)

    @property
    def images(self) -> list[PILImage.Image]:
        """Its images, in their order."""
        return [part for part in self.parts if not isinstance(part, str)]


class Asker:
    """Asks about the rows of a task.

    Args:
        spec: the task, its choices known.
        places: how the model writes places in an image.
        bare: ask by the source alone, without `about` and how to answer.
    """

    def __init__(self, spec: TaskSpec, places: PlaceConvention, *, bare: bool = False) -> None:
        self._spec = spec
        self._places = places
        self._bare = bare
        self._fields = [spec.fields[name] for name in target_fields(spec)]

    def question(self, example: Example) -> Question:
        """What is asked about a row.

        Raises:
            BadRow: for an image in codes alone, or regions, which no other model reads.
        """
        size = example.image_size
        parts = list(self._parts(example.source, example.where, size or (1, 1)))
        if not self._bare:
            parts = [self._spec.about, *parts, *self._how(example.language, size)]
        return Question(example.key, tuple(_joined(parts)), size, self._spec.task, example.language)

    def _parts(
        self, source: Iterable[Segment], where: str, size: Size
    ) -> Iterator[str | PILImage.Image]:
        for segment in source:
            match segment:
                case Text(text):
                    yield text
                case Image(image):
                    yield PILImage.fromarray(image.pixels_HWC)
                case ImageCodes(image=image) if image is not None:
                    yield PILImage.fromarray(image.pixels_HWC)
                case ImageCodes():
                    raise BadRow("other models read no image codes", file=where)
                case Regions():
                    raise BadRow("other models read no regions", file=where)
                case Shape():
                    sides = self._places.scale(size)
                    numbers = (v * sides[i % 2] for i, v in enumerate(segment.coordinates))
                    yield f"[{', '.join(f'{number:.5g}' for number in numbers)}]"

    def _how(self, language: str, size: Size | None) -> Iterator[str]:
        """How to answer, in words."""
        spec, names = self._spec, {field.kind: field for field in self._fields}
        places = [f for f in self._fields if f.writing == "places"]
        if places:
            yield self._how_places(places[0].of_kind, size or (1, 1))
            if spec.generate.allow != MIXED:
                return
        if spec.generate.choices is not None:
            if len(spec.choices) <= MOST_CHOICES:
                yield f"Answer with one of these alone: {'; '.join(spec.choices)}."
            else:
                yield f"Answer in {language_name(language)}, with a word or two alone."
        elif "number" in names and len(self._fields) == 1:
            decimals = spec.answer_form.decimals
            behind = f" with {decimals} decimals" if decimals else ""
            yield f"Answer with a number in digits{behind} alone."
        else:
            yield f"Answer in {language_name(language)}. Give the answer alone."

    def _how_places(self, kind: object, size: Size) -> str:
        assert isinstance(kind, PlaceKind)
        if not self._places.ask:
            return ""
        units = self._places.ask.format(width=size[0], height=size[1])
        form = "[[x, y], [x, y], ...]" if kind.is_open else _FORMS.get(kind.count, "[x, y, ...]")
        if self._places.y_first:
            form = form.replace("x1, y1, x2, y2", "y1, x1, y2, x2").replace("x, y", "y, x")
        if not self._spec.answer_form.many:
            return f"Answer with the {kind.name} alone: {form}, {units}."
        labelled = any(field.labels is not None for field in self._fields)
        label = ', "label": what it is' if labelled else ""
        return (
            f'Answer with a JSON list alone, of {{"{kind.name}": {form}{label}}} for each, {units}.'
        )


def _joined(parts: Iterable[str | PILImage.Image]) -> Iterator[str | PILImage.Image]:
    """Neighbouring texts as one, a line each."""
    text: list[str] = []
    for part in parts:
        if isinstance(part, str):
            text += [part] if part else []
            continue
        if text:
            yield "\n".join(text)
            text = []
        yield part
    if text:
        yield "\n".join(text)
