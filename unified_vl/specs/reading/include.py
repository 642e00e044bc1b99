"""A spec that is another one with some keys overridden: `include: OTHER.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from os.path import normpath
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from unified_vl.errors import UserError, nearest
from unified_vl.files import is_absolute
from unified_vl.specs.reading.document import KeyPath, Origin, dotted
from unified_vl.specs.reading.parse import Parsed, parse_file

INCLUDE = "include"


def read_including(path: Path, above: tuple[Path, ...] = ()) -> Parsed:
    """A file with what it includes.

    Keys of the file itself come first; mappings are merged, all else is replaced, and null takes
    a key away. Each key knows the file and line that it came from.

    Args:
        path: the file.
        above: the files that include it.

    Raises:
        UserError: for a file that cannot be read, and at the key `include` for one that is not
            there or includes itself.
    """
    return including(parse_file(path), path, above)


def including(parsed: Parsed, path: Path | None, above: tuple[Path, ...] = ()) -> Parsed:
    """The same of values that were read, or of Python's without a file (None)."""
    if INCLUDE not in parsed.values:
        return parsed
    chain = above if path is None else (*above, path)
    base = read_including(_included(parsed, path, chain), chain)
    own = {key: value for key, value in parsed.values.items() if key != INCLUDE}
    lines, files = dict(base.origin.lines), dict(base.origin.files)
    for place in lines:
        if base.origin.file is not None:
            files.setdefault(place, base.origin.file)
    values = _merged(base.values, own, (), lines)
    for place, line in parsed.origin.lines.items():
        if place[:1] != (INCLUDE,):
            lines[place] = line
            if path is not None:
                files[place] = path
    if path is None:
        return Parsed(values, replace(parsed.origin, lines=lines, files=files))
    return Parsed(values, replace(_resolved(values, path, parsed), lines=lines, files=files))


def _included(parsed: Parsed, path: Path | None, chain: tuple[Path, ...]) -> Path:
    name = parsed.values[INCLUDE]
    line = parsed.origin.line((INCLUDE,))

    def error(message: str, expected: str, close: str | None = None) -> UserError:
        return UserError(
            message, file=path, line=line, field=INCLUDE, expected=expected, nearest=close
        )

    if not isinstance(name, str) or not name or is_absolute(name):
        raise error(f"found {name!r}", "the path of a task spec, relative to this file")
    file = Path(normpath(name if path is None else path.parent / name))
    if not file.is_file():
        beside = file.parent.glob("*.yaml") if file.parent.is_dir() else ()
        known = [str(Path(name).parent / other.name) for other in beside if other != path]
        expected = "a file relative to this one"
        raise error(f"there is no task spec {name!r}", expected, nearest(name, known))
    if any(file.resolve() == other.resolve() for other in chain):
        said = " includes ".join(str(other) for other in (*chain, file))
        raise error(f"the files go in a circle: {said}", "another spec")
    return file


def _merged(
    base: Mapping[str, Any], own: Mapping[str, Any], place: KeyPath, lines: dict[KeyPath, int]
) -> dict[str, Any]:
    """Both mappings as one; of what is replaced, the lines are taken away."""
    values = dict(base)
    for key, value in own.items():
        at = (*place, str(key))
        there = values.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            values[key] = _merged(there, value, at, lines)
            continue
        for known in [each for each in lines if each[: len(at)] == at]:
            del lines[known]
        if value is None and key in values:
            del values[key]
        else:
            values[key] = value
    return values


def _resolved(values: Mapping[str, Any], path: Path, parsed: Parsed) -> Origin:
    """The origin whose text is what the files say together: a saved model needs no other."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 100
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = StringIO()
    yaml.dump(dict(values), out)
    name = dotted((INCLUDE,))
    text = f"# {path.name}, with all that its key `{name}` brings in.\n{out.getvalue()}"
    return replace(parsed.origin, text=text)
