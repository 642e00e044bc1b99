"""Texts as SentencePiece's training takes them: none too long, none with what it reserves."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import regex

# SentencePiece passes over longer training sentences without a word (max_sentence_length), and over
# those with its mark for the unknown piece (trainer_interface.cc)
MAX_BYTES = 4192
MAX_CHARACTERS = MAX_BYTES // 4  # whatever they are, they fit
RESERVED = "\u2585"

SENTENCE_END = regex.compile(
    r"""[.!?…]["'”’»)\]]*\s+ | [。！？｡।॥۔؟။។៕։።]["'”’»」』）)\]]*\s* | \n+""", regex.VERBOSE
)
SPACE = regex.compile(r"\s+")
CHARACTER = regex.compile(r"\X")


@dataclass(slots=True)
class TrainingText:
    """Sentences to learn pieces from, and what became of the texts.

    Attributes:
        sentences: in NFC, at most `MAX_BYTES` bytes each.
        cut: how many texts were too long for one sentence; all their parts are in `sentences`.
        reserved: how many times U+2585 was left out; SentencePiece keeps it for itself.
    """

    sentences: list[str] = field(default_factory=list)
    cut: int = 0
    reserved: int = 0

    def notes(self) -> Iterator[str]:
        """What a person who trains with it wants to know, a line each."""
        if self.cut:
            texts = "1 text of over" if self.cut == 1 else f"{self.cut:,} texts of over"
            yield f"{texts} {MAX_BYTES:,} bytes cut at sentences or spaces, nothing left out"
        if self.reserved:
            yield (
                f"{RESERVED!r} (U+2585), which SentencePiece reserves, left out "
                f"{self.reserved:,} times: a model reads and writes it byte by byte"
            )


def training_text(texts: Iterable[str]) -> TrainingText:
    """Bring texts to NFC and to the length that SentencePiece learns from.

    What is longer is cut behind the last sentence that fits, else at the last space, else
    between characters (grapheme clusters). Spaces at a cut are dropped, and nothing else.
    """
    made = TrainingText()
    for text in texts:
        normal = unicodedata.normalize("NFC", text)
        made.reserved += normal.count(RESERVED)
        for part in normal.split(RESERVED):
            if not part.strip():
                continue
            if len(part) <= MAX_CHARACTERS or len(part.encode()) <= MAX_BYTES:
                made.sentences.append(part)
            else:
                made.cut += 1
                made.sentences.extend(_parts(part))
    return made


def _parts(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > MAX_CHARACTERS:
        end = _cut(text, start, start + MAX_CHARACTERS)
        if part := text[start:end].strip():
            yield part
        start = end
    if part := text[start:].strip():
        yield part


def _cut(text: str, start: int, limit: int) -> int:
    """The best place to cut before `limit`; never at `start`."""
    for boundary in (SENTENCE_END, SPACE):
        ends = [found.end() for found in boundary.finditer(text, start, limit)]
        if ends:
            return ends[-1]
    ends = [found.end() for found in CHARACTER.finditer(text, start, limit)]
    # the last one may go on beyond the limit; one of a thousand marks is cut all the same
    return ends[-2] if len(ends) > 1 else limit
