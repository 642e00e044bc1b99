"""What a kind of value is to the rest of the project. A new one is a class of its own file, and
one call of `unified_vl.kinds.registry.register`; docs/extending.md shows one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.automata import Automaton, longest_within
from unified_vl.kinds.hooks.cells import Cell, Size, texts_of
from unified_vl.kinds.hooks.drafts import Draft, Recognised
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.hooks.segments import Clip, ImageCodes, LoadedImage, Regions
from unified_vl.parts import KeyPath, Part, Problem

RowType = Literal["numbers", "labels", "texts"]
Writing = Literal["text", "names", "places", "codes", "nothing"]


class AnyField(Protocol):
    """A field of a spec, as a kind sees it: the keys that all kinds share."""

    @property
    def kind(self) -> str:
        """The name of its kind."""

    @property
    def many(self) -> bool:
        """Whether its column holds a list of values."""


class Rules(Protocol):
    """The rest of a spec, as the rules of a kind see it."""

    @property
    def has_image(self) -> bool:
        """Whether there is an image that places can be measured in."""

    def beside(self, place: KeyPath, name: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
        """What is wrong unless `name` is a list of values of one of these kinds."""

    def one_beside(self, place: KeyPath, name: str, kind: str) -> Iterator[Problem]:
        """What is wrong unless `name` is one value of this kind."""

    def template(self, place: KeyPath, text: str, known: tuple[str, ...]) -> Iterator[Problem]:
        """What is wrong with a text whose slots may be those `known`."""

    def repeated(self, values: Sequence[str]) -> tuple[int, int] | None:
        """The first of some texts that was there before, and where; None when all differ."""


class Reading(Protocol):
    """A row whose values are read, as a kind sees it."""

    @property
    def language(self) -> str:
        """The tag of the row's language."""

    def beside(self, name: str) -> Cell:
        """The cell of another field."""

    def values(self, cell: Cell) -> tuple[Any, ...]:
        """What a cell holds, by its own kind."""

    def class_names(self, name: str) -> tuple[str, ...]:
        """The names of a label's classes in the row's language."""

    def image(self, cell: Cell, value: object) -> LoadedImage:
        """An image file at the size that the network reads."""

    def video(self, cell: Cell, value: object) -> Clip:
        """A video's frames at the size that the network reads, as many as the field says."""

    def regions(self, cell: Cell, value: object) -> Regions:
        """The regions of an image that files of features have under a name."""

    def in_codes(self, cell: Cell, value: object) -> ImageCodes:
        """An image file, or the codes that the row has, in codes of the image tokenizer."""

    def places(self, cell: Cell) -> tuple[Shape, ...]:
        """The places that numbers mean in the row's image, by `PlaceKind.placed`."""

    def tag_of(self, cell: Cell) -> str:
        """The task's tag of a language that a cell names."""


class Kind:
    """A kind of value, with what most kinds have in common.

    Attributes:
        name: what `kind` says in a spec.
        writing: what it is written in: pieces of `text`, `names` of regions, location tokens
            (`places`), `codes` of an image, or `nothing`: the model reads it and never writes it.
        lists: whether a field may hold a list of such values.
        reads: keys of a field, among those of `FieldSpec`, that say something about it.
        mandatory: those of them that it must have, with what is expected.
        keys: the keys that it alone has, as a mapping of the spec; they are attributes of its
            fields, and None unless given, as they are in fields of other kinds.
        beside: those keys, and those of its own, that name another field, which is read with it.
        numbers: how many columns its numbers may be in, one each; None where they may not.
        number_columns: how people call such columns (in lower case, without `_`, `-` and `bbox`),
            and what keys of a drafted field say then.
        may_lack: whether `missing` says something about it.
        closed: whether its values may be the closed answers of a task, and labels of boxes.
        exchanged: whether a value means something beside those of another row.
        noises: kinds of `example.noise` that may be done to it.
        asks: whether what a cell holds tells people what the model was asked.
        free_text: whether a value is whatever people may say in a language.
        names_language: whether a value is a language.
        is_image: whether it is read from image files.
        is_video: whether a value is a clip, whose frames the model reads as images.
        has_features: whether a value is an image's regions, which the model reads as features.
        page_hint: what a text on the page looks like.
        reads_holes: whether the transparent parts of an image on the page say something.
        is_list: whether one value is itself a list, as those of `predict` are.
        allows: the grammars of its own that `generate.allow` names; of several, as boxes have
            with labels and without, `grammar` says which.
    """

    name: ClassVar[str]
    writing: ClassVar[Writing] = "text"
    lists: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ()
    mandatory: ClassVar[Mapping[str, str]] = MappingProxyType({})
    keys: ClassVar[type[Part] | None] = None
    beside: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[int | None] = None
    may_lack: ClassVar[bool] = True
    closed: ClassVar[bool] = False
    exchanged: ClassVar[bool] = False
    noises: ClassVar[tuple[str, ...]] = ()
    number_columns: ClassVar[tuple[tuple[tuple[str, ...], Mapping[str, str]], ...]] = ()
    asks: ClassVar[bool] = True
    free_text: ClassVar[bool] = False
    names_language: ClassVar[bool] = False
    is_image: ClassVar[bool] = False
    is_video: ClassVar[bool] = False
    has_features: ClassVar[bool] = False
    page_hint: ClassVar[str | None] = None
    reads_holes: ClassVar[bool] = False
    is_list: ClassVar[bool] = False
    allows: ClassVar[tuple[str, ...]] = ()

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of one value in a question to a server."""
        return {"type": "string"}

    @property
    def plural(self) -> str:
        """What people call several of them."""
        return f"{self.name}s"

    @property
    def has_pixels(self) -> bool:
        """Whether it is read from files of pictures."""
        return self.is_image or self.is_video

    @property
    def is_looked_up(self) -> bool:
        """Whether it is read from files of its own, which rows need not be measured by."""
        return self.has_pixels or self.has_features

    @property
    def is_seen(self) -> bool:
        """Whether it is an image or a video that the model reads, and never writes."""
        return self.has_pixels and self.writing == "nothing"

    @property
    def is_input_image(self) -> bool:
        """Whether it is an image that the model reads, and never writes: one that places can be
        measured in, and that features are made of."""
        return self.is_image and self.writing == "nothing"

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        """What is wrong with a field of this kind, beyond the types of its keys.

        Args:
            field: the field.
            place: of it in the spec.
            rules: the rest of the spec.
        """
        return iter(())

    def tags(self, field: Any) -> Sequence[str]:
        """The tags that a field of it needs in the vocabulary, beside those that all tasks have."""
        return ()

    def read(self, cell: Cell, reading: Reading) -> tuple[Any, ...]:
        """The values of a cell, one or those of its list: texts, or segments of other kinds.

        Args:
            cell: what a row has in the field's column.
            reading: the rest of the row.

        Raises:
            BadRow: for what is no value of this kind (`cell.bad`).
        """
        return texts_of(cell)

    def pieces(self, value: Any, number: int) -> Iterator[Any]:
        """What a value writes into a template: texts, and segments of other kinds.

        Args:
            value: one of those that `read` gave.
            number: of it in the field's list.
        """
        yield value

    def grammar(self, fields: Sequence[AnyField]) -> str | None:
        """Which of `allows` fits answers that are fields of this kind and nothing else.

        Args:
            fields: those that the target writes, of this kind each.
        """
        return self.allows[0] if self.allows else None

    def automaton(self, form: Any) -> Automaton | None:
        """How a value is spelt, where not every text is one: what the grammar of its name in
        `allows` obeys.

        Args:
            form: the `AnswerForm` of the task; its `fields` are those that the target writes.
        """
        return None

    def heard(self, text: str, form: Any) -> str | None:
        """A value that somebody wrote into a text in their own way, as this kind spells it: the
        longest part that its automaton reads; None where there is none.

        Args:
            text: the answer of another model.
            form: the `AnswerForm` of the task.
        """
        automaton = self.automaton(form)
        return text if automaton is None else longest_within(text, automaton)

    def answered(self, segments: Sequence[Any], fields: Sequence[Any]) -> Sequence[Any]:
        """The segments of an answer with what belongs to its values, as the label of a box that is
        a text before it.

        Args:
            segments: of the answer, as they were written.
            fields: those of the target that are of this kind.
        """
        return segments

    def located(self, segments: Sequence[Any], source: Sequence[Any]) -> Sequence[Any]:
        """The segments of an answer with the places that they name in what was read.

        Args:
            segments: of the answer, as they were written.
            source: of the example, as it was read.
        """
        return segments

    def row_types(self) -> Mapping[str, RowType]:
        """The keys that it adds to rows of predictions, each with a list of values: lists of
        `numbers`, `labels` of such, which the text of the answer is made of, or `texts`."""
        return {}

    def row(
        self, text: str, segments: Sequence[Any], size: Size, fields: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """What it adds to a row of predictions, by the keys of `row_types`.

        Args:
            text: of the answer.
            segments: of the answer.
            size: (width, height) of the user's image; (1, 1) where there is none.
            fields: those of the target that are of this kind.
        """
        return {}

    def said(self, row: Mapping[str, Any]) -> Iterator[tuple[str | None, Sequence[float]]]:
        """The label, where it has one, and the numbers of each of its values in a row of
        predictions, for people."""
        return iter(())

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        """Draw its values in a row of predictions, whose pixels are those of the picture."""

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        """What `unified-vl new` says of a column whose values look like those of this kind; None
        where they do not. Of several kinds that was registered last which says something.

        Args:
            column: its name, in lower case.
            values: those that are there, at least one; of a column of lists what these hold, each
                a list of numbers where numbers in a list may be one value.
        """
        return None

    def draft(self, name: str, many: bool, labelled: bool) -> Draft | None:
        """What `unified-vl new` writes for a field of it that is to be written, where it is not
        written as any text.

        Args:
            name: of the field.
            many: whether it holds a list.
            labelled: whether there are labels beside it.
        """
        return None

    def typed(self, text: str) -> Any:
        """A value as a person types it on the page; a row then holds it.

        Raises:
            ValueError: for a text that is none; the message says what was expected.
        """
        return text
