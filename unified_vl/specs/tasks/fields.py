"""The values of a row: where each is stored, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.kinds.kind import Kind, Writing
from unified_vl.kinds.registry import KINDS, SharedKeys, kind_of
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.reading.document import OneOf, Part
from unified_vl.specs.tasks.template import fill


def as_one(columns: Iterable[object]) -> str:
    """The name, as a template has it, of the column that several make."""
    return ", ".join(map(str, columns)).replace("{", "{{").replace("}", "}}")


class GeneralKeys(Part):
    """The keys of fields of all kinds."""

    kind: Annotated[str, OneOf(lambda: KINDS)] = Field(
        description="What the value means to the model.", examples=["box"]
    )
    column: str = Field(
        default="",
        min_length=1,
        description="The column that holds it; may contain {language}, the tag of the row's "
        "language.",
        examples=["caption_{language}"],
    )
    many: bool = Field(
        default=False, description="Whether the column holds a list of values.", examples=[True]
    )
    missing: Literal["drop", "allow"] | None = Field(
        default=None,
        description="What becomes of a row whose value is missing or empty, which otherwise is a "
        "bad row. `drop`: the row is left out and counted, and so are the empty values of a list "
        "beside others. `allow`: nothing stands in the slot (for what only the source reads: an "
        "image that not all rows have).",
        examples=["drop"],
    )


class FieldSpec(SharedKeys, GeneralKeys):
    """A value of a row: the column it is stored in, apart from what it means."""

    @property
    def of_kind(self) -> Kind:
        """What its kind is to the rest of the project."""
        return kind_of(self.kind)

    @model_validator(mode="after")
    def _one_column(self) -> FieldSpec:
        """Several columns are read as one, whose name says theirs."""
        if self.columns and not self.column:
            object.__setattr__(self, "column", as_one(self.columns))  # it is frozen
        return self

    @property
    def writing(self) -> Writing:
        """What its values are written in."""
        return kind_of(self.kind).writing

    def column_in(self, language: str) -> str:
        """The column that holds it in a language, given by its tag (or the name of a file's)."""
        return fill(self.column, language=language)

    @property
    def beside(self) -> tuple[str, ...]:
        """The other fields that it names, which are read with it."""
        named = (getattr(self, key) for key in self.of_kind.beside)
        return tuple(name for name in named if name is not None)

    @property
    def in_codes(self) -> bool:
        """Whether the model meets it as codes of the image tokenizer."""
        return self.writing == "codes" or self.as_ == "codes"


GENERAL = frozenset(GeneralKeys.model_fields)


def _follow_kinds() -> None:
    """Let fields have the keys of the kinds that are registered now, and of no others."""
    fields = FieldSpec.__pydantic_fields__
    for name in set(fields) - GENERAL - set(SharedKeys.model_fields):
        del fields[name]
    for kind in KINDS.values():
        fields.update(kind.keys.model_fields if kind.keys is not None else {})
    FieldSpec.model_rebuild(force=True)


FOLLOWERS.append(_follow_kinds)
if any(kind.keys is not None for kind in KINDS.values()):  # registered before specs were imported
    _follow_kinds()
