"""A public checkpoint's tokenizer as the text range of a vocabulary of this project."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unified_vl.codecs.sequence import IMAGE_TOKENIZER, VOCABULARY
from unified_vl.codecs.texts.loading import text_files
from unified_vl.codecs.texts.published import PublishedText, published_text
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.errors import UserError, number_of
from unified_vl.files import read_json_object, write_atomically
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.locks import only_writer
from unified_vl.model.pretrained.tensor_files import TensorFiles, weight_files
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.example import SENTINELS, sentinel_tag

EMBEDDINGS = ("shared.weight", "embed_tokens.weight")  # how its name ends, by family


def adopt_tokenizer(
    source: Path,
    tasks: Sequence[TaskSpec],
    directory: Path,
    *,
    texts: Iterable[str] | None = None,
    image_tokenizer: ImageTokenizer | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> Vocabulary:
    """Write a tokenizer whose pieces are those of a checkpoint, with ids for tags and locations
    behind them.

    A run with this tokenizer that starts from the checkpoint (`model.from`) gets the checkpoint's
    row of the embedding for each piece, by its name; its `<extra_id_...>` become sentinels.

    Args:
        source: the checkpoint's directory.
        tasks: their names, families and languages become tags, and what their noise needs.
        directory: where to write.
        texts: keep only the pieces that these use, single characters and bytes; None keeps all.
        image_tokenizer: whose codes are to be read and written.
        tell: takes a line on what trimming saved.

    Raises:
        UserError: when there is no tokenizer, or one of a kind that cannot be read.
    """
    published = published_text(source)
    text, special = published.text, published.special
    if texts is not None:
        text = text.trimmed(texts)
        special = _special_of(published, text)
    sentinels = map(sentinel_tag, range(min(published.sentinels, SENTINELS)))
    noise = (tag for task in tasks for tag in task.example.tags)
    vocabulary = Vocabulary(
        len(text),
        standard_tags(
            (language for task in tasks for language in task.data.languages),
            (task.task for task in tasks),
            (task.family for task in tasks if task.family is not None),
            (*noise, *sentinels),
        ),
        image_code_count=0 if image_tokenizer is None else image_tokenizer.codes,
        image_tokenizer=None if image_tokenizer is None else image_tokenizer.fingerprint,
        pad_id=special["pad_id"],
        eos_id=special["eos_id"],
        unk_id=special["unk_id"],
    )
    if texts is not None:
        tell(Savings.of(source, len(published.text), vocabulary).line())
    with only_writer(directory):
        for path in text_files(directory):
            if path.name != text.FILE:
                path.unlink()  # one of another kind, which this one takes the place of
        write_atomically(directory / text.FILE, text.content)
        if image_tokenizer is not None:
            image_tokenizer.save_pretrained(directory / IMAGE_TOKENIZER)
        write_atomically(directory / VOCABULARY, vocabulary.to_json())
    return vocabulary


def _special_of(published: PublishedText, trimmed: TextCodec) -> dict[str, int]:
    """The special ids of a tokenizer with fewer pieces."""
    if all(i >= 0 for i in trimmed.special_ids.values()):
        return trimmed.special_ids
    place = {name: i for i, name in enumerate(trimmed.pieces(range(len(trimmed))))}
    old = published.text.pieces(list(published.special.values()))
    names = dict(zip(published.special, old, strict=True))
    return {role: place[name] for role, name in names.items()}


@dataclass(frozen=True)
class Savings:
    """What fewer pieces save.

    Attributes:
        pieces: before and after.
        rows: of the embedding, before and after.
        tables: embedding and head: two, or one that is both; None where no weights are there.
        width: of a row, likewise.
        weights: of the whole checkpoint, likewise.
    """

    pieces: tuple[int, int]
    rows: tuple[int, int]
    tables: int | None = None
    width: int | None = None
    weights: int | None = None

    @classmethod
    def of(cls, source: Path, before: int, vocabulary: Vocabulary) -> Savings:
        pieces = before, vocabulary.text_size
        try:
            files = TensorFiles(weight_files(source))
            embedding = next(s.shape for name, s in files.items() if name.endswith(EMBEDDINGS))
        except (UserError, StopIteration):
            config = source / "config.json"
            rows = read_json_object(config).get("vocab_size") if config.is_file() else None
            return cls(pieces, (rows if isinstance(rows, int) else before, vocabulary.size))
        tables = 1 + any(name.endswith("lm_head.weight") for name in files)
        weights = sum(math.prod(stored.shape) for stored in files.values())
        return cls(pieces, (embedding[0], vocabulary.size), tables, embedding[1], weights)

    def line(self) -> str:
        """For people."""
        before, after = self.rows
        kept = f"kept {self.pieces[1]:,} of {number_of(self.pieces[0], 'piece')}"
        if after >= before:
            return (
                f"{kept}; the embedding has {number_of(after, 'row')} with tags and locations, and "
                f"{before:,} before: nothing is saved"
            )
        said = (
            f"{kept}; the embedding has {number_of(after, 'row')} in place of {before:,} "
            f"({_less(before, after)})"
        )
        if self.tables is None or self.width is None or self.weights is None:
            return said
        each = "embedding" if self.tables == 1 else "embedding and head"
        saved = (before - after) * self.width * self.tables
        share = before * self.width * self.tables / self.weights
        return (
            f"{said}; {each} were {share:.1%} of the checkpoint's {self.weights:,} weights, and "
            f"{saved:,} of them go ({_less(self.weights, self.weights - saved)})"
        )


def _less(before: int, after: int) -> str:
    return f"{(before - after) / before:.1%} less"
