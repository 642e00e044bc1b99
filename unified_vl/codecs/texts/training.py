"""Training of the text tokenizer that this project makes: SentencePiece, unigram, byte fallback."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.training_text import MAX_BYTES, TrainingText, training_text
from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID
from unified_vl.errors import UserError
from unified_vl.files import write_atomically


def train_text_tokenizer(
    texts: Iterable[str] | TrainingText, path: Path, vocabulary_size: int
) -> SentencePieceText:
    """Train a SentencePiece unigram model with byte fallback and write it to `path`.

    Args:
        texts: the training text, of any length an item, in every language to be used.
        path: the `.model` file to write; written whole or not at all.
        vocabulary_size: upper bound; fewer pieces when the text has no more to give.

    Raises:
        UserError: when there is no text, or the bound is too small for its characters.
    """
    text = texts if isinstance(texts, TrainingText) else training_text(texts)
    if not text.sentences:
        raise UserError("there is no text to train a tokenizer on")
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(text.sentences),
            model_writer=buffer,
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            max_sentence_length=MAX_BYTES,
            model_type="unigram",
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            bos_id=-1,
            num_threads=1,  # the result depends on the number of threads
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        if least := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise UserError(
                f"{vocabulary_size} pieces cannot hold the bytes and letters of the text",
                field="vocabulary_size",
                expected=f"at least {least[1]}",
            ) from error
        raise UserError(
            f"the tokenizer cannot be trained: {error}", field="vocabulary_size"
        ) from error
    write_atomically(path, buffer.getvalue())
    return SentencePieceText(buffer.getvalue())
