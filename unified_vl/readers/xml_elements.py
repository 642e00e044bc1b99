"""XML files of annotations, element by element, with the lines that they are on.

A document type is refused: it could define entities that stand for gigabytes, or for files of
this machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from xml.parsers import expat

from unified_vl.errors import UserError, nearest
from unified_vl.readers.source import first_line

T = TypeVar("T")
_BLOCK = 1 << 16  # bytes read at a time
_DEEPEST = 50


@dataclass(slots=True)
class Element:
    """An element with all that is in it.

    Attributes:
        path: its file.
        line: the line that it begins in, from 1.
        name: of its tag.
        attributes: by their names.
        children: the elements right within it.
        text: what stands within it.
    """

    path: Path
    line: int
    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator[Element]:
        """The children of a name."""
        return (child for child in self.children if child.name == name)

    def find(self, name: str) -> Element | None:
        """The first child of a name."""
        return next(self.all(name), None)

    def child(self, name: str) -> Element:
        """The first child of a name.

        Raises:
            UserError: when there is none.
        """
        found = self.find(name)
        if found is None:
            close = nearest(name, (child.name for child in self.children))
            raise self.error(f"<{self.name}> has no <{name}>", nearest=close)
        return found

    def said(self, name: str) -> str:
        """The text of a child, without space around it.

        Raises:
            UserError: when there is none.
        """
        child = self.child(name)
        if not child.text.strip():
            raise child.error(f"<{name}> is empty", expected="text")
        return child.text.strip()

    def number(self, name: str) -> float:
        """The number that a child holds.

        Raises:
            UserError: when it holds something else.
        """
        child = self.child(name)
        return child.as_number(child.text, f"<{name}>")

    def attribute(self, name: str) -> str:
        """The value of an attribute.

        Raises:
            UserError: when there is none.
        """
        if name not in self.attributes:
            close = nearest(name, self.attributes)
            raise self.error(f"<{self.name}> has no attribute {name!r}", nearest=close)
        return self.attributes[name]

    def numeric(self, name: str) -> float:
        """The number that an attribute holds.

        Raises:
            UserError: when it holds something else.
        """
        return self.as_number(self.attribute(name), f"{name!r} of <{self.name}>")

    def as_number(self, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"{what} is {text.strip()[:60]!r}", expected="a number")
        return value

    def error(
        self, message: str, *, expected: str | None = None, nearest: str | None = None
    ) -> UserError:
        """An error at its place."""
        return UserError(
            message, file=self.path, line=self.line, expected=expected, nearest=nearest
        )


def elements_of(path: Path, root: str, expected: str) -> Iterator[Element]:
    """The elements right below the root of a file, one after the other.

    Args:
        path: the file.
        root: the name of its root.
        expected: what the file should be, for messages.

    Raises:
        UserError: when it is not XML, has a document type, or another root.
    """
    reading = _Reading(path, root, expected)
    yield from parsed(path, reading.parser, reading.taken, expected)


def parsed(
    path: Path, parser: expat.XMLParserType, taken: Callable[[], Iterable[T]], expected: str
) -> Iterator[T]:
    """What the handlers of a parser have gathered, block after block of a file.

    Args:
        path: the file.
        parser: with its handlers; what they refuse is a ValueError.
        taken: gives what was gathered since it was last asked.
        expected: what the file should be, for messages.

    Raises:
        UserError: when it is not XML, or a handler refuses it.
    """
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                parser.Parse(block, False)
                yield from taken()
            parser.Parse(b"", True)
            yield from taken()
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise UserError(
            f"is not XML: {reason}", file=path, line=error.lineno, expected=expected
        ) from error
    except (ValueError, LookupError) as error:  # the latter for an unknown encoding
        line = parser.CurrentLineNumber
        raise UserError(first_line(error), file=path, line=line, expected=expected) from error


class _Reading:
    """Gathers elements from the events of a parser."""

    def __init__(self, path: Path, root: str, expected: str) -> None:
        self._path, self._root, self._expected = path, root, expected
        self._open: list[Element] = []
        self._whole: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse

    def taken(self) -> list[Element]:
        """The elements that are complete, once."""
        whole, self._whole = self._whole, []
        return whole

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        if not self._open and name != self._root:
            raise ValueError(f"its root is <{name}>")
        if len(self._open) > _DEEPEST:
            raise ValueError("is nested too deeply")
        self._open.append(Element(self._path, line, name, attributes))

    def _text(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1].text += text

    def _end(self, name: str) -> None:
        element = self._open.pop()
        if len(self._open) == 1:
            self._whole.append(element)
        elif self._open:
            self._open[-1].children.append(element)

    def _refuse(self, *rest: object) -> None:
        raise ValueError("has a document type, and such are not followed")
