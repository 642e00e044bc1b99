"""Specs that Python makes as well as files do, by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from unified_vl.specs.reading.document import Document, Origin, Problem, refuse
from unified_vl.specs.reading.include import INCLUDE, including
from unified_vl.specs.reading.parse import Parsed, make

MADE = "made in Python"  # stands for a document among values


class Spec(Document):
    """A spec file, or what would stand in one, given by its keys.

    >>> from unified_vl import TaskSpec
    >>> TaskSpec(task="caption_photos", version=1, about="Describe an image.")
    Traceback (most recent call last):
    ...
    unified_vl.specs.reading.parse.InvalidSpec: data: is missing; expected keys and values

    Args:
        values: of its keys, as a file has them: mappings, lists, texts, numbers, paths. What is
            not given is as in a file. Paths are relative to the working directory.

    Raises:
        UserError: naming the key, for whatever a file would be refused for.
    """

    def __init__(self, /, **values: Any) -> None:
        made: list[Document] = []
        parsed = Parsed(_plain(values, made), Origin())
        if INCLUDE in type(self).model_fields:
            parsed = including(parsed, None)
        make(type(self), parsed.values, parsed.origin, made, into=self)

    # pydantic calls an `__init__` of somebody's own for what it reads from files, too; not this one
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def _plain(value: Any, made: list[Document]) -> Any:
    """A value as a file would hold it, with documents by their number."""
    if isinstance(value, Document):
        made.append(value)
        return {MADE: len(made) - 1}
    if isinstance(value, BaseModel):
        names = {
            name: type(value).model_fields[name].alias or name for name in value.model_fields_set
        }
        return {alias: _plain(getattr(value, name), made) for name, alias in names.items()}
    if isinstance(value, Mapping):
        return {key: _plain(each, made) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, made) for each in value]
    return value


@dataclass(frozen=True)
class FileOrMade:
    """The type of a key that names a spec file and, in Python, may be the spec itself.

    Attributes:
        file: the type of the name, `str` or `Path`.
        kind: the name of the spec's class.
        written_as: the name of the file that would say the same, from the spec's name.
    """

    file: type
    kind: str
    written_as: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        name = handler.generate_schema(self.file)
        return core_schema.with_info_wrap_validator_function(
            self._find,
            name,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._file_of, when_used="json"
            ),
        )

    def _find(
        self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        if not isinstance(value, dict) or list(value) != [MADE] or not info.context:
            return handler(value)
        document = info.context[value[MADE]]
        if type(document).__name__ != self.kind:
            found = f"found a {type(document).__name__}"
            refuse([Problem((), found, expected=f"a {self.kind}, or the path of its file")])
        return document

    def _file_of(self, value: Any) -> str:
        if not isinstance(value, Document):
            return str(value)
        return self.written_as.format(getattr(value, "task", ""))
