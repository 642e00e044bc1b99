"""Questions as LXMERT published them, which VL-T5 reads too (Tan and Bansal, arXiv 1908.07490).

`data/vqa/*.json` and `data/gqa/*.json` of github.com/airsplay/lxmert: a list of questions, each
with the image that features are stored under, and a weight for each of its answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import QUESTION, QUESTION_ID, Column
from unified_vl.readers.json_files import member, read_items
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for number, item in read_items(path, list):
        where = str(number)
        label = item.get("label") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(label or {}, dict):
            found = f"found {str(item)[:60]!r}"
            raise UserError(found, file=path, field=where, expected="a question of LXMERT")
        weights = {str(answer): member(label, answer, float, path, where) for answer in label or {}}
        key = item.get("question_id")
        yield {
            "key": str(where if key is None else key),
            "image": member(item, "img_id", str, path, where),
            "question": member(item, "sent", str, path, where),
            "answers": sorted(weights, key=lambda answer: -weights[answer]) or None,
        }


LXMERT = Reader(
    "lxmert",
    "Questions of VQA and GQA as LXMERT and VL-T5 read them (`train.json`, `minival.json`, ...): a "
    "row a question.",
    rows=_rows,
    columns={
        "key": QUESTION_ID,
        "image": Column("text", "the name under which files of features have the image"),
        "question": QUESTION,
        "answers": Column("texts", "its answers, that of the largest weight first"),
    },
)
