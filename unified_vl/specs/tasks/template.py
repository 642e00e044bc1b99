"""Templates: text with slots in braces, and no logic.

`{image} {ask}` is a slot, a space and a slot; `{{` and `}}` are braces themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKENS = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+")
_SLOT = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that takes the value of a field, a wording or a built-in."""

    name: str


Template = tuple[str | Slot, ...]


class TemplateError(ValueError):
    """A template whose braces do not pair up or hold no name."""


def parse_template(text: str) -> Template:
    """Split a template into its texts and slots.

    >>> parse_template("{image} What is this?")
    (Slot(name='image'), ' What is this?')

    Texts are never empty and never follow each other.

    Raises:
        TemplateError: for a brace without its partner, or a slot that is no name.
    """
    pieces: list[str | Slot] = []
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in ("{{", "}}"):
            piece: str | Slot = token[0]
        elif token in ("{", "}"):
            raise TemplateError(
                f"the brace {token!r} at character {match.start() + 1} has no partner"
            )
        elif token[0] == "{":
            if not _SLOT.fullmatch(token[1:-1]):
                raise TemplateError(f"{token!r} at character {match.start() + 1} is no slot")
            piece = Slot(token[1:-1])
        else:
            piece = token
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return tuple(pieces)


def slots(template: Template) -> tuple[str, ...]:
    """Names of the slots, in order of their first use, each once."""
    return tuple(dict.fromkeys(p.name for p in template if isinstance(p, Slot)))


def fill(text: str, **values: str) -> str:
    """Put `values` into the slots of a template whose slots are all known."""
    return "".join(
        values[piece.name] if isinstance(piece, Slot) else piece for piece in parse_template(text)
    )
