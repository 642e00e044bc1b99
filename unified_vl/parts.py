"""What all parts of spec files share: they are frozen, and what is wrong with them has a place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

KeyPath = tuple[str | int, ...]

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]  # files are called by it

FOLLOWERS: list[Callable[[], object]] = []
"""What is made anew, in this order, when something is registered that has keys of its own."""


def keys_changed() -> None:
    """Let all who follow know that the keys which specs may have are others."""
    for follow in FOLLOWERS:
        follow()


REFUSALS: list[Callable[[ValidationError, type[BaseModel]], Exception]] = []
"""What makes a message for authors of pydantic's error; none until specs are imported."""


class Part(BaseModel):
    """A mapping of a spec file: immutable, and no key but its own.

    Raises:
        UserError: naming the key, where one is made in Python of what a file would be refused for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            self.__pydantic_validator__.validate_python(values, self_instance=self)
        except ValidationError as error:
            if not REFUSALS:
                raise
            raise REFUSALS[0](error, type(self)) from error

    # pydantic calls an `__init__` of somebody's own for what it reads from files, too; not this one
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Problem:
    """Something wrong at one place of a spec, which types alone cannot tell."""

    path: KeyPath
    message: str
    expected: str | None = None
    nearest: str | None = None


@dataclass(frozen=True)
class OneOf:
    """The type of a name that a registry knows, as a `Literal` would be if it never grew.

    Attributes:
        names: gives those that are known now.
    """

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._known)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(self.names()), "type": "string"}

    def _known(self, found: object) -> str:
        names = list(self.names())
        if not isinstance(found, str) or found not in names:
            raise PydanticKnownError("literal_error", {"expected": one_of(names)})
        return found


@dataclass(frozen=True)
class WordOr:
    """The type of a key that holds one of a few words, or the keys of a part.

    A union would do; but what is wrong would be told of each of its members.

    Attributes:
        part: the class of the keys.
        words: those that may stand in their place.
    """

    part: type[Part]
    words: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            self._validated,
            handler.generate_schema(self.part),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.model_dump(mode="json") if isinstance(value, Part) else value
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words), "type": "string"}, handler(schema)]}

    def _validated(self, found: object, part: Callable[[object], object]) -> object:
        if isinstance(found, Part):
            return part(found)
        if isinstance(found, Mapping):  # no longer JSON, in which a list would be a tuple
            lists = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
            return part(lists)
        if found not in self.words:
            raise PydanticKnownError("literal_error", {"expected": one_of(self.words)})
        return found


def key_of(keys: type[Part], key: str) -> str:
    """`the key 'lr' of MyKeys (plugin.py)`, for whoever wrote the class."""
    file = getattr(sys.modules.get(keys.__module__), "__file__", None)
    where = keys.__module__ if file is None else Path(file).name
    return f"the key {key!r} of {keys.__qualname__} ({where})"


def dotted(path: Iterable[str | int]) -> str:
    """`score.0.metric` for ("score", 0, "metric")."""
    return ".".join(str(part) for part in path)


def one_of(names: Iterable[str], word: str = "or") -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(name) for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"
