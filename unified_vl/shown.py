"""Small pieces of HTML for notebooks. Whatever is put in is text: it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SIDE = 256  # pixels; pictures are shown no larger


def heading(text: str) -> str:
    return f"<b>{escape(text)}</b>"


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """A table of texts; without a head where none is given."""
    top = f"<tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr>" if head else ""
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(one))}</td>' for one in row)}</tr>" for row in rows
    )
    return f"<table>{top}{body}</table>"


def facts(values: Mapping[str, object]) -> str:
    """A table of names and values."""
    return table(values.items())


def pictures(images: Iterable[Image.Image]) -> str:
    """Pictures side by side, within the page itself."""
    from unified_vl.png import data_url  # with Pillow, which a spec needs not

    shown = []
    for image in images:
        small = image.copy()
        small.thumbnail((SIDE, SIDE))
        shown.append(f'<img src="{data_url(small)}" alt="" style="margin:2px">')
    return "".join(shown)


def source(text: str) -> str:
    """The text of a file, as it is."""
    return f"<details><summary>as YAML</summary><pre>{escape(text)}</pre></details>"
