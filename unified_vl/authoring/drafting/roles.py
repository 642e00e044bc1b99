"""Which fields of a draft are read and which is written, how answers are made and scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unified_vl.authoring.drafting.columns import FieldGuess
from unified_vl.errors import UserError
from unified_vl.kinds.hooks.drafts import Draft

# words of names, the likeliest first
WRITTEN = (
    *("answer", "answers", "caption", "captions", "label", "labels", "class", "category"),
    *("target", "translation", "summary", "output", "response", "completion", "reference"),
    *("references", "tgt", "trg", "highlights", "sentiment", "cls", "txt"),
)
READ = (
    *("question", "query", "prompt", "instruction", "phrase", "expression", "premise"),
    *("hypothesis", "context", "passage", "document", "article", "source", "src", "input"),
    *("sentence", "sentence1", "sentence2", "text", "title", "caption"),
)
_CAPTIONS = re.compile(r"caption|sentence|description|reference")
_ANSWERS = re.compile(r"answer")
MOST_READ = 3  # texts of a source, where their names do not say which


@dataclass(frozen=True)
class Field:
    """A field of a draft: its name, what was guessed of its column, and its labels' field."""

    name: str
    guess: FieldGuess
    labels: str | None = None


@dataclass(frozen=True)
class Roles:
    """What each field does.

    Attributes:
        read: the fields of the source, images first.
        written: the field of the target.
        unused: the others.
        why: how the target was chosen.
    """

    read: tuple[Field, ...]
    written: Field
    unused: tuple[Field, ...]
    why: str


def choose_roles(fields: Sequence[Field], file: Path) -> Roles:
    """Which fields are read and which one is written.

    Raises:
        UserError: when nothing is left to be written or to be read.
    """
    images = [field for field in fields if field.guess.kind.is_seen]
    labelling = {field.labels for field in fields}
    texts = [f for f in fields if f.guess.is_written_text and f.name not in labelling]
    shapes = [f for f in fields if f.guess.kind.writing == "places"] if images else []
    if shapes:
        written, why = shapes[0], "boxes and other shapes are what is looked for"
    elif texts and (images or len(texts) > 1):
        written, why = _written(texts)
    else:
        found = f"one column of text ({texts[0].name})" if texts else "no column of text or boxes"
        beside = "images and " if images else ""
        raise UserError(
            f"has {beside}{found} and nothing that could be its source or target",
            file=file,
            expected="an image or a text to read, and a text or boxes to write",
        )
    others = [f for f in texts if f is not written and (f.guess.kind.free_text or not shapes)]
    others.sort(key=lambda field: not field.guess.kind.free_text)
    named = [field for field in others if _rank(field.name, READ) < len(READ)]
    read = named or others[:MOST_READ]
    if shapes and read:
        read = [min(read, key=lambda field: _rank(field.name, READ))]
    used = {id(field) for field in (*images, *read, written)}
    unused = [f for f in fields if id(f) not in used and f.name not in labelling]
    return Roles((*images, *read), written, tuple(unused), why)


def _written(texts: Sequence[Field]) -> tuple[Field, str]:
    best = min(texts, key=lambda field: _rank(field.name, WRITTEN))
    if _rank(best.name, WRITTEN) < len(WRITTEN):
        return best, "its column's name"
    classes = [field for field in texts if field.guess.classes]
    if classes:
        return classes[-1], "it holds few values, again and again"
    return texts[-1], "it is the last column of text"


def _rank(name: str, words: Sequence[str]) -> int:
    """The place of the first word that a name holds; the number of words for none."""
    parts = set(name.split("_"))
    return next((place for place, word in enumerate(words) if word in parts), len(words))


def draft_of(field: Field) -> Draft | None:
    """What the kind of a field says of drafts that write it."""
    guess = field.guess
    return guess.kind.draft(field.name, guess.many, field.labels is not None)


def scores(field: Field, has_image: bool) -> list[str]:
    """The scores of a draft, as YAML; the first is primary."""
    guess = field.guess
    against = f"against: {field.name}"
    draft = draft_of(field)
    metrics: Sequence[str]
    if draft is not None:
        metrics = draft.metrics
    elif guess.classes:
        metrics = ["accuracy"]
    elif _ANSWERS.search(field.name):
        metrics = ["vqa_accuracy"] if guess.many else ["exact_match", "anls"]
    elif _CAPTIONS.search(field.name) and has_image:
        metrics = ["cider", "chrf"]
    else:
        metrics = ["chrf", "exact_match"]
    first, *rest = metrics
    return [f"{{metric: {first}, {against}, primary: true}}"] + [
        f"{{metric: {metric}, {against}}}" for metric in rest
    ]


def generation(field: Field) -> tuple[str, str]:
    """How answers are made, as YAML, and what was guessed for it."""
    guess = field.guess
    draft = draft_of(field)
    if draft is not None:
        return f"{{allow: {draft.allow}, max_tokens: {draft.max_tokens}}}", ""
    if guess.classes:
        why = "the answers are those of the train split"
        return f"{{method: constrained, choices: {{field: {field.name}}}, max_tokens: 32}}", why
    longest = max(len(str(value)) for value in guess.values)
    tokens = next((size for size in (16, 32, 64, 128, 256) if 2 * size > longest + 16), 512)
    return f"{{max_tokens: {tokens}}}", f"the longest has {longest} characters"


def request(field: Field, read: Sequence[Field], languages: int) -> str:
    """What the model is asked where nothing but images says it; empty where texts do."""
    if any(not other.guess.kind.is_seen for other in read):
        return ""
    draft = draft_of(field)
    if draft is not None:
        return draft.request
    if field.guess.classes:
        return "What is this?"
    seen = "video" if any(other.guess.kind.is_video for other in read) else "image"
    return (
        f"Describe the {seen} in {{language_name}}." if languages > 1 else f"Describe the {seen}."
    )
