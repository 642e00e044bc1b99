"""Keys of `data` that say something to one reader, or to few: each has its own class of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from unified_vl.parts import Part, Problem


class ReaderKeys(Part):
    """The own keys of a reader: a `pydantic` model, each key with a description and an example.

    Attributes:
        templates: those whose texts have {split} and {language} filled in, as paths have.
    """

    templates: ClassVar[tuple[str, ...]] = ()

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the keys that types alone cannot tell; their paths begin with
        `data`."""
        yield from ()
