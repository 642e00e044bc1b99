"""The tokenizer of a model: SentencePiece pieces, and the id ranges around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from unified_vl.codecs.sequence import IMAGE_TOKENIZER, VOCABULARY
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.texts.training_text import training_text
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.kinds.hooks.automata import DIGITS
from unified_vl.kinds.hooks.options import letter
from unified_vl.locks import only_writer
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.template import parse_template

LETTERS = 26  # of choices; more than that are written with several


def train_tokenizer(
    texts: Iterable[str],
    tasks: Sequence[TaskSpec],
    directory: Path,
    vocabulary_size: int,
    image_tokenizer: ImageTokenizer | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> Vocabulary:
    """Train on `texts`, each counted once, and write `text.model` and `vocabulary.json`.

    An image tokenizer is written beside them, and its codes get ids.

    Args:
        texts: what to learn pieces from.
        tasks: their names, families and languages become tags, and what their noise needs.
        directory: where to write.
        vocabulary_size: most pieces of text.
        image_tokenizer: whose codes are to be read and written.
        tell: takes a line on each thing that was done to the texts, such as cutting long ones.

    Raises:
        UserError: when there is no text, or it needs more pieces than allowed.
    """
    learnt_from = training_text(sorted(set(texts)))
    if not learnt_from.sentences and tasks:
        names = ", ".join(repr(task.task) for task in tasks)
        raise UserError(
            f"there is no text to train a tokenizer on in {names}: neither in the templates nor "
            "in the text fields of their train splits",
            file=tasks[0].file,
            expected="texts, or --input FILE with some",
        )
    for note in learnt_from.notes():
        tell(note)
    with only_writer(directory):
        path = directory / SentencePieceText.FILE
        text = train_text_tokenizer(learnt_from, path, vocabulary_size)
        vocabulary = Vocabulary(
            len(text),
            tags_of(tasks),
            image_code_count=0 if image_tokenizer is None else image_tokenizer.codes,
            image_tokenizer=None if image_tokenizer is None else image_tokenizer.fingerprint,
        )
        if image_tokenizer is not None:
            image_tokenizer.save_pretrained(directory / IMAGE_TOKENIZER)
        write_atomically(directory / VOCABULARY, vocabulary.to_json())
    return vocabulary


def tags_of(tasks: Sequence[TaskSpec]) -> tuple[str, ...]:
    """The tags of a tokenizer for these tasks."""
    languages = (language for task in tasks for language in task.data.languages)
    families = (task.family for task in tasks if task.family is not None)
    noise = (tag for task in tasks for tag in task.example.tags)
    fields = (field for task in tasks for field in task.fields.values())
    of_kinds = (tag for field in fields for tag in field.of_kind.tags(field))
    return standard_tags(languages, (task.task for task in tasks), families, (*noise, *of_kinds))


def texts_of_specs(tasks: Iterable[TaskSpec], root: Path) -> Iterator[str]:
    """Every text of the specs' training splits, the words of their templates, and what values of
    other kinds are spelt with."""
    for task in tasks:
        for text in task.example.templates:
            yield from (piece for piece in parse_template(text) if isinstance(piece, str))
        yield from task.example.words
        for wording in task.wording.values():
            yield from (text for several in wording.values() for text in several)
        for dictionary in task.dictionaries.values():
            yield from (cell for line in dictionary.lines for cell in line.split("\t"))
        if "train" not in task.data.splits:
            continue  # for scoring alone
        data = TaskData(task, "train", root)
        yield from task.choices
        for name in task.fields:
            yield from _texts_of_field(task, name, data)


def _texts_of_field(task: TaskSpec, name: str, data: TaskData) -> Iterator[str]:
    """What a field is written with: its texts, names of classes, letters of choices, or the
    characters that a kind such as `number` spells its values with."""
    field, languages = task.fields[name], task.data.languages
    asked = name in task.fields_of(task.target)
    automaton = field.of_kind.automaton(task.answer_form) if asked else None
    if field.names is not None:
        yield from (text for tag in languages for text in task.class_names(name, tag))
    elif field.of is not None:
        yield from (letter(place) for place in range(LETTERS))
        yield " ".join(DIGITS)
    elif automaton is not None:
        yield " ".join(sorted(automaton.characters))
    elif field.writing == "text":
        for column in sorted({field.column_in(tag) for tag in languages}):
            yield from data.distinct(column)


def texts_of_files(paths: Iterable[Path]) -> Iterator[str]:
    """The lines of UTF-8 text files.

    Raises:
        UserError: for a file that is missing or is not UTF-8.
    """
    for path in paths:
        try:
            with path.open(encoding="utf-8") as lines:
                yield from (line.rstrip("\n") for line in lines)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read as text: {error}", file=path) from error
