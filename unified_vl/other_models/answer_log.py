"""Answers of other models, kept as they come: an interrupted scoring asks only what is left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.json_text import written_lines
from unified_vl.locks import only_writer
from unified_vl.other_models.asking import Question
from unified_vl.other_models.reading import Said


class AnswerLog:
    """A file of JSON lines with an answer each, by a digest of all that it depends on: the model,
    how it is asked, the prompt and its images. Failures are not kept: they are asked again.

    Args:
        path: made where it is missing.

    Raises:
        UserError: for a file with other lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Said] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        whole = 0
        with path.open("r+b") as file:
            for number, (line, row) in enumerate(written_lines(file), 1):
                if row is None or not line.endswith(b"\n"):
                    break  # what a kill left of a line
                if not isinstance(row.get("asked"), str) or not isinstance(row.get("text"), str):
                    expected = "a file that this option wrote, or a new one"
                    raise UserError("holds no answer", file=path, line=number, expected=expected)
                self._known[row["asked"]] = _said(row)
                whole += len(line)
            file.truncate(whole)
        self._file = path.open("ab")

    def __len__(self) -> int:
        return len(self._known)

    def find(self, digest: str) -> Said | None:
        """The answer to a question that was asked before."""
        return self._known.get(digest)

    def add(self, digest: str, said: Said) -> None:
        """Keep an answer; it is on the disk when this returns."""
        if said.error is not None:
            return
        self._known[digest] = said
        row: dict[str, Any] = {
            "asked": digest,
            "text": said.text,
            "score": said.score,
            "cut": said.cut,
        }
        if said.ranked:
            row["ranked"] = said.ranked
        if said.seen:
            row["seen"] = said.seen
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
        self._file.write(line + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()


@contextmanager
def opened_log(kept: Path | None, beside: Path | None) -> Iterator[AnswerLog | None]:
    """A log that stays (`kept`), or one beside an output file that goes when all is answered."""
    path = kept or (None if beside is None else beside.with_name(f"{beside.name}.answers"))
    if path is None:
        yield None
        return
    with only_writer(path):
        log = AnswerLog(path)
        try:
            yield log
        finally:
            log.close()
        if kept is None:
            path.unlink()


def digest_of(question: Question, how: Mapping[str, Any]) -> str:
    """What tells a question from others."""
    found = hashlib.sha256(json.dumps(how, sort_keys=True, default=str).encode())
    found.update(f"{question.task}\0{question.language}".encode())  # a server may ask by them
    for part in question.parts:
        if isinstance(part, str):
            found.update(b"\0text\0" + part.encode("utf-8", "surrogatepass"))
        else:
            found.update(f"\0image\0{part.size}".encode() + part.tobytes())
    return found.hexdigest()


def _said(row: Mapping[str, Any]) -> Said:
    seen = row.get("seen")
    return Said(
        text=row["text"],
        score=row.get("score"),
        cut=row.get("cut") is True,
        ranked=tuple((str(text), float(score)) for text, score in row.get("ranked") or ()),
        seen=None if seen is None else (int(seen[0]), int(seen[1])),
    )
