"""What all parts of spec files share: they are frozen, and what is wrong with them has a place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
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


class Part(BaseModel):
    """A mapping of a spec file: immutable, and no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


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


def dotted(path: Iterable[str | int]) -> str:
    """`score.0.metric` for ("score", 0, "metric")."""
    return ".".join(str(part) for part in path)


def one_of(names: Iterable[str], word: str = "or") -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(name) for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"
