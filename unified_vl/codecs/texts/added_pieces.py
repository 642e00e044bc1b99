"""More pieces for a SentencePiece model that exists, behind all others.

A new piece joins what the old pieces write as several. Its score is what these score together, and
a hair more. So the way of a text through the pieces stays what it was, but that stretches of it are
joined where a new piece is exactly such a stretch. Texts with characters that no old piece had are
another matter: these were bytes, and are pieces now.

The file's format is a protocol buffer (sentencepiece_model.proto of SentencePiece): of the whole,
field 1 is a piece, again and again, with its text, score and type, and 2 says how it was trained.
Parts may follow in any order, and what says how it was trained is merged.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from unified_vl.codecs.texts.model_proto import NORMAL, UNUSED, varint
from unified_vl.codecs.texts.model_proto import piece as written
from unified_vl.codecs.texts.text_codec import BYTES_AND_CONTROLS
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.texts.training_text import TrainingText

HAIR = 0.01  # of a score, a natural logarithm; sums of them are kept in 32 bits
UNKNOWN = 10.0  # below the lowest score: what SentencePiece takes for a character it does not know
LONGEST = 16  # characters; what SentencePiece learns at most


@dataclass(frozen=True)
class AddedPiece:
    """A piece with its score."""

    text: str
    score: float


class _Scores:
    """What a model's pieces score.

    Args:
        content: of the model's file.
    """

    def __init__(self, content: bytes) -> None:
        one = sentencepiece.SentencePieceProcessor()
        one.LoadFromSerializedProto(content)
        no_text = (one.IsControl, one.IsUnknown, one.IsUnused, one.IsByte)
        self.of = {
            one.IdToPiece(i): one.GetScore(i)
            for i in range(one.GetPieceSize())
            if not any(is_kind(i) for is_kind in no_text)
        }
        self.lowest = min(self.of.values())

    def best(self, text: str) -> tuple[float, int, bool]:
        """Of a stretch of a text: the score of its best way, its pieces, and whether all of its
        characters are known."""
        ways: list[tuple[float, int, bool]] = [(0.0, 0, True)]
        for end in range(1, len(text) + 1):
            score, count, known = ways[end - 1]
            found = [(score + self.lowest - UNKNOWN, count + len(text[end - 1].encode()), False)]
            for start in range(max(0, end - LONGEST), end):
                own = self.of.get(text[start:end])
                if own is not None:
                    score, count, known = ways[start]
                    found.append((score + own, count + 1, known))
            ways.append(max(found))
        return ways[-1]


def learn_pieces(texts: TrainingText, content: bytes, most: int) -> list[AddedPiece]:
    """The pieces that save the most ids in these texts, with what a model has to score them.

    Args:
        texts: what to learn from.
        content: of the model that they are for.
        most: how many.
    """
    known = _Scores(content)
    characters = len({each for text in texts.sentences for each in text})
    size = BYTES_AND_CONTROLS + characters + 2 * most
    with tempfile.TemporaryDirectory() as folder:
        learnt = train_text_tokenizer(texts, Path(folder) / "text.model", size)
    count: Counter[str] = Counter()
    for text in texts.sentences:
        ids = [i for i in learnt.encode(text) if i not in learnt.unlearnt_ids]
        count.update(learnt.pieces(ids))
    saved: dict[str, tuple[int, float]] = {}
    for piece, times in count.items():
        score, pieces, is_known = known.best(piece)
        if piece not in known.of and pieces > 1:
            saved[piece] = (times * (pieces - 1), score + HAIR if is_known else known.lowest)
    chosen = sorted(saved, key=lambda piece: (-saved[piece][0], piece))[:most]
    return [AddedPiece(piece, saved[piece][1]) for piece in chosen]


def with_pieces(content: bytes, count: int, start: int, pieces: Sequence[AddedPiece]) -> bytes:
    """A model's file with more pieces.

    Args:
        content: of the file.
        count: pieces that it has.
        start: the id of the first new piece; up to there, ids are taken by pieces that are
            never used.
        pieces: the new ones.
    """
    parts = [written(f"<unused_{i}>", 0.0, UNUSED) for i in range(count, start)]
    parts += [written(piece.text, piece.score, NORMAL) for piece in pieces]
    size = b"\x20" + varint(start + len(pieces))  # field 4 of what says how it was trained
    return content + b"".join(parts) + b"\x12" + varint(len(size)) + size


def ids_of(texts: Iterable[str], content: bytes) -> int:
    """How many ids all texts take."""
    one = sentencepiece.SentencePieceProcessor()
    one.LoadFromSerializedProto(content)
    return sum(len(one.EncodeAsIds(text)) for text in texts)
