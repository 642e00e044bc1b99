"""Conversations as people keep them: lists of turns in JSON, or an object a line."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from unified_vl.authoring.drafting.files.samples import ROWS, Columns
from unified_vl.errors import UserError
from unified_vl.readers.formats.conversations import SAID, SPEAKER, TURNS, items, rows_of

HISTORY = ("questions", "answers")


def conversations_sample(path: Path) -> Columns | None:
    """The columns of the first answers; None for a file of something else.

    Raises:
        UserError: for conversations that cannot be read.
    """
    try:
        first = next((item for _, _, item in items(path)), None)
    except UserError:
        return None
    lists = [(first or {}).get(key) for key in TURNS]
    turn = next((held[0] for held in lists if isinstance(held, list) and held), None)
    if not isinstance(turn, dict):
        return None
    if not any(key in turn for key in SPEAKER) or not any(key in turn for key in SAID):
        return None
    found = list(islice(rows_of(path), ROWS))
    names = ["image", "system", "question", "answer", *HISTORY]
    columns = {name: [row[name] for row in found] for name in names}
    if any(len(row["images"]) > 1 for row in found):
        columns["image"] = [row["images"] for row in found]
        columns = {"images" if n == "image" else n: cells for n, cells in columns.items()}
    return {name: cells for name, cells in columns.items() if any(cells) or name in HISTORY}
