"""What a draft says of data: their place, their fields, and what each of these does."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unified_vl.authoring.drafting.box_columns import Joined, notes_of_tokens, with_joined
from unified_vl.authoring.drafting.columns import (
    SPLITS,
    FieldGuess,
    Guess,
    fields_among,
    guess_columns,
)
from unified_vl.authoring.drafting.files.annotation_files import FOUND_ON_DISK, annotation_sample
from unified_vl.authoring.drafting.files.conversations import HISTORY, conversations_sample
from unified_vl.authoring.drafting.files.image_folders import (
    find_absolute_images,
    find_images,
    folder_sample,
    texts_sample,
)
from unified_vl.authoring.drafting.files.json_files import read_json_sample
from unified_vl.authoring.drafting.files.samples import Columns, distinct_values, read_sample
from unified_vl.authoring.drafting.language_columns import find_language_columns
from unified_vl.authoring.drafting.languages import language_of, tags_of
from unified_vl.authoring.drafting.places import Place
from unified_vl.authoring.drafting.roles import Field, Roles, choose_roles
from unified_vl.files import is_absolute
from unified_vl.parts import NAME_PATTERN
from unified_vl.readers.registry import detection_readers
from unified_vl.specs.reading.checks import RESERVED
from unified_vl.specs.tasks.data import SplitName

READ_WHOLE = ("imagefolder", "image_texts", "coco_captions", "coco_instances")
ANNOTATIONS = ("annotations", "annotation", "labels")
_TELLS_APART = re.compile(
    rf"(?:{'|'.join(word for words in SPLITS.values() for word in words)}|[a-z]{{2}}|of|)\d*"
)


@dataclass
class Plan:
    """What the YAML of a spec is written from.

    Attributes:
        task: the task's name.
        place: where the data are.
        fields: all fields, used or not.
        roles: what each of them does.
        languages: tags of all languages.
        why_languages: what they were guessed from; empty where the data say them.
        images: the folder of the images, as a template.
        image_prefix: what absolute paths of images begin with, in place of that folder.
        language_column: the column that names a row's language.
        language_names: what it calls each language, by its tag.
        history: whether fields hold what was said before in a conversation.
        unpivot: whether there is a column a language.
        split_column: the column that names a row's split.
        shares: in place of both, how large each split is.
        split_by: the column that then decides, where that is not the image's or else the key.
        key_column: the column that names a row.
        notes: what of the data is not used, and why.
        skip: what is wrong with some rows, where they are to be left out.
    """

    task: str
    place: Place
    fields: list[Field]
    roles: Roles
    languages: Sequence[str]
    why_languages: str
    images: str = ""
    image_prefix: str = ""
    language_column: str | None = None
    language_names: Mapping[str, str] = field(default_factory=dict)
    unpivot: bool = False
    history: bool = False
    split_column: str | None = None
    shares: Mapping[SplitName, float] | None = None
    split_by: str | None = None
    key_column: str | None = None
    notes: list[str] = field(default_factory=list)
    skip: str = ""


def make_plan(place: Place, task: str, *, movable: bool) -> Plan:
    """What the data at a place are.

    Args:
        place: where they are.
        task: the task's name.
        movable: whether the data root may be moved up to hold the images too.

    Raises:
        UserError: when they cannot be read, or nothing of them be read and written by a model.
    """
    place, columns = _sample(place)
    folder = place.reader in ("imagefolder", "image_texts", *FOUND_ON_DISK)
    whole = place.reader in (*READ_WHOLE, *detection_readers())
    found = None if place.languages or whole else find_language_columns(columns)
    if found is not None:
        columns = found.columns
        place = replace(place, languages=tuple(found.names))
    joined: Joined = {}
    if place.reader in ("csv", "tsv", "jsonl", "json", "parquet", "arrow"):
        columns, joined = with_joined(columns)
    guesses: list[Guess] = [
        _as_read(guess, place, columns, joined.get(guess.column))
        if isinstance(guess, FieldGuess)
        else guess
        for guess in guess_columns(columns)
    ]
    templates = frozenset() if found is None else found.templates
    fields = list(_labelled(list(_fields(guesses, templates)), columns))
    if place.reader == "conversations":
        fields = [_optional(f) if f.name in HISTORY else f for f in fields]
    before = [f for f in fields if place.reader == "conversations" and f.name in HISTORY]
    roles = choose_roles([f for f in fields if f not in before], place.file)
    languages, why = _languages(place, guesses, roles)
    plan = Plan(task, place, fields, roles, languages, why, history=bool(before))
    if found is not None:
        plan.unpivot, plan.language_names = True, found.names
    if place.reader in ("image_texts", "conversations", "roboflow_classes"):
        plan.key_column = "key"
    if place.reader == "imagefolder":
        plan.key_column = "file_name"
    for guess in guesses:
        if guess.role == "key":
            plan.key_column = guess.column
        elif guess.role == "split" and len(place.splits) == 1 and not folder:
            _split_by(plan, guess)
        elif guess.role == "none":
            plan.notes.append(f"not used: column {guess.column!r} {guess.why}")
        elif guess.role == "language" and not place.languages:
            plan.language_column = guess.column
            plan.language_names = tags_of(guess.values)
    plan.notes += notes_of_tokens(columns)
    plan.notes += [f"not used: column {f.guess.column!r}" for f in roles.unused]
    paths = [v for f in roles.read if f.guess.kind.is_seen for v in f.guess.values]
    names = [path for path in paths if isinstance(path, str)]
    if names and not folder:
        images: str | None
        if all(map(is_absolute, names)):
            found_at = find_absolute_images(place, names, movable=movable)
            plan.place, images, plan.image_prefix = found_at
        else:
            plan.place, images = find_images(place, names, movable=movable)
        plan.images = images or ""
        if images is None:
            plan.notes.append("the images were not found: say in data.images where they are")
        elif not f"{images}/".startswith(beside := _set_of(posixpath.dirname(plan.place.path))):
            plan.notes.append(
                f"images are taken from {images or 'the data root'!r}, which is not in {beside!r}: "
                "look whether they are those of these rows"
            )
    return plan


def _set_of(folder: str) -> str:
    """The folder of a data set, of that of its annotations: `images` stand beside these."""
    above, name = posixpath.split(folder)
    return above if name.lower() in ANNOTATIONS else folder


def _optional(of_history: Field) -> Field:
    """A field that may be left out: whoever asks a first question has no history to give."""
    return replace(of_history, guess=replace(of_history.guess, missing=True))


def _as_read(
    guess: FieldGuess,
    place: Place,
    columns: Columns,
    joined: tuple[tuple[str, ...], Mapping[str, str]] | None,
) -> FieldGuess:
    """What of a field is known by its reader, by names of columns and by rows that have none."""
    if joined is not None:
        names, said = joined
        guess = replace(guess.with_keys(**said), columns=names, why="the columns' names")
    detections = detection_readers().get(place.reader)
    if "layout" in guess.keys and place.reader == "coco_instances":
        guess = replace(guess.with_keys(layout="xywh"), why="")
    elif "layout" in guess.keys and detections is not None:
        units = "relative" if detections.relative else "pixels"
        guess = replace(guess.with_keys(layout="xyxy", units=units), why="")
    empty = (
        guess.many
        and guess.kind.writing == "places"
        and any(v in ([], "[]") for v in columns[guess.column])
    )
    return replace(guess, empty=empty)


def _sample(place: Place) -> tuple[Place, Columns]:
    if place.reader in detection_readers():
        found = annotation_sample(place.reader, place.file, place.root, place.splits)
        return place, found
    if place.reader == "json":
        return read_json_sample(place)
    if place.reader == "jsonl" and (talks := conversations_sample(place.file)) is not None:
        return replace(place, reader="conversations"), talks
    if place.reader == "imagefolder":
        return place, folder_sample(place.file)
    if place.reader == "image_texts":
        return place, texts_sample(place.file)
    return place, read_sample(place.reader, place.file, place.encoding)


def _fields(guesses: Sequence[Guess], templates: Collection[str]) -> Iterator[Field]:
    """The fields with names of their own; `templates` are columns of one a language."""
    taken: set[str] = set(RESERVED)
    images = sum(guess.kind.is_seen for guess in fields_among(guesses))
    for number, guess in enumerate(guesses, 1):
        if not isinstance(guess, FieldGuess):
            continue
        if guess.column in templates:
            guess = replace(guess, per_language=True)
        column = guess.column.replace("{language}", "") if guess.per_language else guess.column
        last = column.rstrip(".").rpartition(".")[2]
        alone = guess.kind.is_seen and images == 1
        name = guess.kind.name if alone and not guess.many else slug(last, f"field_{number}")
        name = name if name not in taken else f"{name}_{guess.kind.name}"
        while name in taken:
            name += "_"
        taken.add(name)
        yield Field(name, guess)


def _labelled(fields: Sequence[Field], columns: Columns) -> Iterator[Field]:
    """The fields, those that may have labels (boxes) with the texts that are as many in every
    row."""
    for each in fields:
        if "labels" in each.guess.kind.beside and each.guess.many:
            boxes = columns[each.guess.column]
            for other in fields:
                texts = columns[other.guess.column]
                if other.guess.kind.free_text and other.guess.many and _equal(boxes, texts):
                    each = replace(each, labels=other.name)
                    break
        yield each


def _equal(some: Sequence[object], others: Sequence[object]) -> bool:
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if a is not None or b is not None]
    return all(
        isinstance(a, list) and isinstance(b, list) and len(a) == len(b) for a, b in pairs
    ) and bool(pairs)


def _languages(place: Place, guesses: Sequence[Guess], roles: Roles) -> tuple[Sequence[str], str]:
    """The tags, and what they were guessed from."""
    if place.languages:
        return place.languages, ""
    named = [guess for guess in guesses if guess.role == "language"]
    if named:
        return list(tags_of(named[0].values)), ""
    texts = [f for f in (roles.written, *roles.read) if f.guess.kind.free_text]
    values = [str(value) for f in texts for value in f.guess.values]
    return language_of([f.name for f in texts], values)


def _split_by(plan: Plan, guess: Guess) -> None:
    """Splits by a column, all values of which are asked for."""
    plan.split_column = guess.column
    place = plan.place
    said = distinct_values(place.reader, place.file, guess.column, place.encoding)
    splits: dict[SplitName, str] = {
        split: value
        for split, words in SPLITS.items()
        for word in words
        for value in said
        if value.lower() == word
    }
    plan.place = replace(plan.place, splits=splits)


def slug(text: str, otherwise: str) -> str:
    """A name made of a text: lower-case letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)).strip("_")
    return name if re.match(NAME_PATTERN, name) else otherwise


def task_name(given: Path) -> str:
    """A name for the task of a file or folder: its own, less what only tells files apart."""
    for path in (given, *given.parents):
        stem = path.stem if path.is_file() else path.name
        name = slug(stem, "")
        words = [word for word in name.split("_") if not _TELLS_APART.fullmatch(word)]
        if words and re.match(NAME_PATTERN, "_".join(words)):
            return "_".join(words)
    return "task"
