"""MSVD-QA: questions about the clips of MSVD (Xu et al., ACM Multimedia 2017).

`train_qa.json`, `val_qa.json` and `test_qa.json` are lists of `{id, video_id, question, answer}`,
where `video_id` is a number N; `youtube_mapping.txt` says which clip `vidN` is, a line each:
`-4wsuPCjDBc_5_15 vid1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import QUESTION, QUESTION_ID, Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.video_files import VIDEO, rows_with_videos


def _questions(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    path, names = source.files["questions"], _names(source.files["mapping"])
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError("is no list of questions", file=path)
    for number, each in enumerate(content):
        where = str(number)
        name = f"vid{member(each, 'video_id', int, path, where)}"
        if name not in names:
            message = f"{source.files['mapping'].name} has no {name!r}"
            raise UserError(message, file=path, field=f"{where}.video_id")
        yield (
            number,
            names[name],
            {
                "key": str(member(each, "id", int, path, where)),
                "question": member(each, "question", str, path, where),
                "answer": member(each, "answer", str, path, where),
            },
        )


def _names(path: Path) -> dict[str, str]:
    """Clips by the names that questions use."""
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        clip, _, name = line.strip().rpartition(" ")
        if not clip:
            raise UserError("found one name", file=path, line=number, expected="CLIP vidN")
        found[name] = clip
    return found


MSVD_QA = Reader(
    "msvd_qa",
    "MSVD-QA's questions about clips: a row a question.",
    rows=lambda source: rows_with_videos(source, _questions(source)),
    columns={
        "key": QUESTION_ID,
        "video": VIDEO,
        "question": QUESTION,
        "answer": Column("text", "the answer, a word"),
    },
    files=("questions", "mapping"),
    images="always",
)
