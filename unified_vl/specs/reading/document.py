"""What all spec files share: frozen parts, their origin, and problems that have a place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr
from pydantic_core import PydanticCustomError

from unified_vl.errors import UserError
from unified_vl.parts import NAME_PATTERN, KeyPath, Name, OneOf, Part, Problem, dotted, one_of
from unified_vl.shown import heading, source

__all__ = ["KeyPath", "Name", "OneOf", "Part", "Problem", "dotted", "one_of"]  # beside its own

UNKNOWN_KEY = "is not a known key"
COMMAND_LINE = "command line"  # stands for the file in errors of overrides

# BCP 47, and the POSIX spelling of locales: `zh_CN`, `sr@latin`
LANGUAGE_PATTERN = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*(\.[A-Za-z0-9-]+)?(@[A-Za-z0-9]+)?$"
PATTERNS = {  # how a message says what a pattern asks for
    NAME_PATTERN: "a name of lower-case letters, digits and underscores",
    LANGUAGE_PATTERN: "a language tag such as en, de or pt-BR",
}

Version = Annotated[int, Field(ge=1, le=10**9)]
Steps = Annotated[int, Field(ge=1, le=10**12)]
Rows = Annotated[int, Field(ge=1, le=10**15)]
Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
WeightPattern = Annotated[str, Field(min_length=1, max_length=1000)]  # `*` and `?` over names
LanguageTag = Annotated[str, Field(pattern=LANGUAGE_PATTERN)]


KEYS_OF: dict[str, Callable[[], Mapping[str, Any]]] = {}
"""The keys of each kind of file, by what messages call it: where else a key may belong."""


@dataclass(frozen=True)
class Origin:
    """Where a spec was read: its file, its text (with all that it includes), the line of each
    key, the keys that the command line has set, and the files of keys that are included."""

    file: Path | None = None
    text: str | None = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    overridden: frozenset[KeyPath] = frozenset()
    files: Mapping[KeyPath, Path] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest key around it that the file has."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def is_overridden(self, path: KeyPath) -> bool:
        """Whether the command line has set a key, or one around it."""
        return any(path[:length] in self.overridden for length in range(1, len(path) + 1))

    def place(self, path: KeyPath) -> tuple[str | Path | None, int | None]:
        """The file and line of a key, or the command line."""
        within = any(key[: len(path)] == path for key in self.overridden)
        if self.is_overridden(path) or (path and within and path not in self.lines):
            return COMMAND_LINE, None
        return self.file_of(path), self.line(path)

    def file_of(self, path: KeyPath) -> Path | None:
        """The file that a key was written in, which may be one that was included."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.files.get(path[:length], self.file)
        return self.file


class Document(Part):
    """A whole spec file; knows where each of its keys was written."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def file(self) -> Path | None:
        """The file it was read from; None for one made in Python."""
        return self._origin.file

    @property
    def text(self) -> str:
        """Its YAML source, word for word unless it includes another; JSON, which is YAML, for
        one made in Python."""
        if self._origin.text is not None:
            return self._origin.text
        return self.model_dump_json(indent=2, exclude_unset=True, exclude={"include"})

    def told(self) -> str:
        """What it is, in a line."""
        return str(self.file or "made in Python")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.told()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the line, and all of it when it is clicked on."""
        return heading(f"{type(self).__name__} {self.told()}") + source(self.text)

    def settle(self, origin: Origin) -> None:
        """Where it comes from; subclasses read here what they name in other files.

        Called once, by who makes it. In Python, paths are relative to the working directory.

        Raises:
            UserError: for a file that is missing or bad.
        """
        self._origin = origin

    @classmethod
    def explain(cls, problem: Problem, found: object) -> Problem:
        """A problem in better words, where there are some, given what stands at its place."""
        *above, key = problem.path or ("",)
        in_task = len(above) == 2 and above[0] == "tasks"
        if problem.message != UNKNOWN_KEY or problem.nearest or (above and not in_task):
            return problem
        of = " or of ".join(name for name, keys in KEYS_OF.items() if key in keys())
        return Problem(problem.path, f"is a key of {of}", "it there") if of else problem

    def line(self, *path: str | int) -> int | None:
        """The line of the key at `path`, counted from 1."""
        return self._origin.line(path)

    def file_of(self, *path: str | int) -> Path | None:
        """The file that the key at `path` was written in."""
        return self._origin.file_of(path)

    def is_overridden(self, path: KeyPath) -> bool:
        """Whether the command line has set the key at `path`, or one around it."""
        return self._origin.is_overridden(path)

    def error(
        self,
        path: KeyPath,
        message: str,
        *,
        expected: str | None = None,
        nearest: str | None = None,
    ) -> UserError:
        """A `UserError` that points at one key of this file, or of the command line."""
        file, line = self._origin.place(path)
        return UserError(
            message,
            file=file,
            line=line,
            field=dotted(path),
            expected=expected,
            nearest=nearest,
        )


def refuse(problems: Iterable[Problem]) -> None:
    """Raise all `problems` as one pydantic error; nothing when there are none."""
    found = list(problems)
    if found:
        text = "; ".join(f"{dotted(p.path)}: {p.message}" for p in found)
        # pydantic formats the message with the context: braces of the text are no slots
        raise PydanticCustomError("spec", "{text}", {"text": text, "problems": found})
