"""The closed answers of a task: where its spec says that they are, and what they must obey."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.errors import UserError, nearest
from unified_vl.specs.reading.document import KeyPath
from unified_vl.specs.tasks.template import fill, parse_template, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec

CARRIED = ".choices.txt"  # NAME.choices.txt beside NAME.yaml, as a saved model has it


def same_choice(text: str) -> str:
    """What makes two choices one: Unicode NFC, and no space around."""
    return unicodedata.normalize("NFC", text).strip()


def repeated_choice(choices: Sequence[str]) -> tuple[int, int] | None:
    """The first place whose choice was there before, and where; None when all differ."""
    seen: dict[str, int] = {}
    for place, choice in enumerate(choices):
        first = seen.setdefault(same_choice(choice), place)
        if first != place:
            return place, first
    return None


def load_choices(spec: TaskSpec) -> tuple[str, ...]:
    """The choices of a spec, where they lie in a file.

    A file `NAME.choices.txt` beside `NAME.yaml` comes first: a saved model carries there
    what the spec's own file, or a field of the training data, said.

    Raises:
        UserError: when the file is missing, empty, not text, outside the spec's folder, or
            names a choice twice.
    """
    asked = spec.generate.choices
    if asked is None or asked.values is not None:
        return asked.values if asked is not None and asked.values is not None else ()
    carried = carried_file(spec, None if spec.file is None else f"{spec.file.stem}{CARRIED}")
    if carried is not None:
        return read_choices(carried)
    if asked.file is None:
        return ()
    return read_choices(file_beside(spec, asked.file, ("generate", "choices")))


def load_class_names(spec: TaskSpec) -> dict[tuple[str, str | None], tuple[str, ...]]:
    """The names of classes that lie in files, by field and language (None for all of them).

    A saved model carries them beside the spec, as `NAME.FIELD.names.txt` or, where each
    language has its own, `NAME.FIELD.LANGUAGE.names.txt`.

    Raises:
        UserError: as for `load_choices`.
    """
    found: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for name, field in spec.fields.items():
        if field.names is None or field.names.file is None:
            continue
        template = field.names.file
        tags = spec.data.languages if "language" in slots(parse_template(template)) else (None,)
        for tag in tags:
            carried = carried_file(spec, carried_names(spec, name, tag))
            if carried is not None:
                found[name, tag] = read_choices(carried)
            else:
                file = fill(template, language=tag or "")
                found[name, tag] = read_choices(file_beside(spec, file, ("fields", name, "names")))
    return found


def carried_names(spec: TaskSpec, field: str, language: str | None) -> str:
    """The file of a saved model with the names of a field's classes."""
    parts = (spec.task, field) if language is None else (spec.task, field, language)
    return f"{'.'.join(parts)}.names.txt"


def carried_file(spec: TaskSpec, name: str | None) -> Path | None:
    """The file of a saved model that lies beside a spec; None where there is none."""
    if spec.file is None or name is None:
        return None
    carried = spec.file.with_name(name)
    return carried if carried.is_file() else None


def file_beside(spec: TaskSpec, name: str, key: KeyPath, holds: str = "a choice a line") -> Path:
    """The file that `KEY.file` of a spec names, relative to the spec, or to the working directory
    for one made in Python.

    Raises:
        UserError: when it leaves the spec's folder, or is not there.
    """
    place = (*key, "file")
    written = spec.file_of(*place)
    folder = Path() if written is None else written.parent
    path = Path(normpath(folder / name))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise spec.error(place, f"{name!r} leaves the spec's folder", expected="a path below it")
    if not path.is_file():
        neighbours = path.parent.iterdir() if path.parent.is_dir() else ()
        names = [p.relative_to(folder).as_posix() for p in neighbours if p.is_file()]
        raise spec.error(
            place,
            f"there is no file {name!r}",
            expected=f"a file relative to the spec, {holds}",
            nearest=nearest(name, names),
        )
    return path


def read_choices(path: Path) -> tuple[str, ...]:
    """The lines of a file that are not empty.

    Raises:
        UserError: when there is none, one is there twice, or it is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise UserError("holds no choice", file=path, expected="a choice a line")
    choices = [choice for _, choice in numbered]
    repeated = repeated_choice(choices)
    if repeated:
        place, first = repeated
        raise UserError(
            f"the choice {choices[place]!r} is also on line {numbered[first][0]}",
            file=path,
            line=numbered[place][0],
        )
    return tuple(choices)
