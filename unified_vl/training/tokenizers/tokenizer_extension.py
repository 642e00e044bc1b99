"""A tokenizer that exists, with more tags and more pieces; what it has keeps its ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unified_vl.codecs.sequence import IMAGE_TOKENIZER, VOCABULARY, load_tokenizer
from unified_vl.codecs.texts.added_pieces import ids_of, learn_pieces, with_pieces
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.training_text import training_text
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.locks import only_writer
from unified_vl.specs.task import TaskSpec
from unified_vl.training.tokenizers.tokenizer_training import tags_of


@dataclass(frozen=True)
class Extended:
    """What came of it.

    Attributes:
        vocabulary: the new one.
        tags: those that are new.
        pieces: those that are new.
        ids_before, ids_after: that the texts take.
    """

    vocabulary: Vocabulary
    tags: tuple[str, ...]
    pieces: tuple[str, ...]
    ids_before: int
    ids_after: int


def extend_tokenizer(
    source: Path,
    directory: Path,
    tasks: Sequence[TaskSpec],
    texts: Iterable[str] = (),
    pieces: int = 0,
) -> Extended:
    """Write a tokenizer that has what `source` has, under the same ids, and more.

    Args:
        source: the directory of a tokenizer.
        directory: where to write.
        tasks: their names, families and languages become tags, and what their noise needs.
        texts: what to learn pieces from.
        pieces: most new pieces of text; none by default.

    Raises:
        UserError: for a tokenizer that cannot be read, pieces without text, or an output that is
            the source.
    """
    vocabulary, text = load_tokenizer(source)
    if directory.resolve() == source.resolve():
        raise UserError(
            "is the tokenizer itself; models that were trained with it need it as it is",
            file=directory,
            expected="another directory",
        )
    if pieces and not isinstance(text, SentencePieceText):
        raise UserError(
            "is no SentencePiece model, and so takes no new pieces",
            file=source / text.FILE,
            field="pieces",
            expected="0: tags alone",
        )
    learnt_from = training_text(sorted(set(texts))) if pieces else None
    if learnt_from is not None and not learnt_from.sentences:
        raise UserError("there is no text to learn pieces from", field="pieces")
    added = learn_pieces(learnt_from, text.content, pieces) if learnt_from is not None else []
    extended = vocabulary.extended(tags_of(tasks), len(added))
    content = text.content
    if added:
        start = extended.text_size - len(added)
        content = with_pieces(text.content, len(text), start, added)
    with only_writer(directory):
        write_atomically(directory / text.FILE, content)
        if (source / IMAGE_TOKENIZER).is_dir():
            images = directory / IMAGE_TOKENIZER
            shutil.copytree(source / IMAGE_TOKENIZER, images, dirs_exist_ok=True)
        write_atomically(directory / VOCABULARY, extended.to_json())
    sentences = learnt_from.sentences if learnt_from is not None else []
    return Extended(
        vocabulary=extended,
        tags=extended.tags[len(vocabulary.tags) :],
        pieces=tuple(piece.text for piece in added),
        ids_before=ids_of(sentences, text.content) if added else 0,
        ids_after=ids_of(sentences, content) if added else 0,
    )
