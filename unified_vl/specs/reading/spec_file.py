"""Which kind of spec a file holds, and its keys with those that the command line sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.specs.reading.document import COMMAND_LINE, KeyPath, dotted
from unified_vl.specs.reading.include import INCLUDE, read_including
from unified_vl.specs.reading.parse import Parsed, parse_file, parse_text

INSTEAD = {  # of `include`, in files that have none
    "mixture": "; what its tasks have in common is `include` in their specs",
    "run": ", or what differs as KEY=VALUE behind `train RUN`",
    "image_tokenizer": ", or what differs as KEY=VALUE behind `image-tokenizer train FILE`",
}
KINDS = ("task", "mixture", "run", "image_tokenizer")  # the key that says what a file is


def file_kind(path: Path) -> str | None:
    """Whether a YAML file is a `task`, a `mixture` or a `run`; None when it does not say."""
    try:
        values = parse_file(path).values
    except UserError:
        return None
    return next((kind for kind in reversed(KINDS) if kind in values), None)


def parse_kind(path: Path, kind: str) -> Parsed:
    """A file whose keys do not say that it is something else."""
    parsed = read_including(path) if kind == "task" else parse_file(path)
    others = [k for k in KINDS if k != kind and k in parsed.values]
    # a run has a key `mixture` too: what it names, not what it is
    if others and (kind not in parsed.values or parsed.origin.files):
        found = "run" if "run" in others else others[0]
        file, line = parsed.origin.place((found,))
        raise UserError(f"is a {found} file", file=file, line=line, expected=f"a {kind}")
    if kind != "task" and INCLUDE in parsed.values:
        raise UserError(
            f"is a key of task specs alone, and this is a {kind.replace('_', ' ')} file",
            file=path,
            line=parsed.origin.line((INCLUDE,)),
            field=INCLUDE,
            expected=f"all keys in this file{INSTEAD[kind]}",
        )
    return parsed


def overridden(parsed: Parsed, overrides: Sequence[str]) -> Parsed:
    """A file whose errors in keys that the command line has set are blamed on that."""
    keys = frozenset(_override(parsed, text) for text in overrides)
    return replace(parsed, origin=replace(parsed.origin, overridden=keys))


def _override(parsed: Parsed, text: str) -> KeyPath:
    """Set one key from the command line; returns where it is."""
    key, equals, value = text.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise UserError(f"found {text!r}", file=COMMAND_LINE, expected="key=value")
    target: dict[str, Any] = parsed.values
    for part in keys[:-1]:
        inner = target.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"{part!r} holds one value", file=COMMAND_LINE, field=dotted(keys))
        target = inner
    target[keys[-1]] = parse_text(f"value: {value or 'null'}", Path(COMMAND_LINE)).values["value"]
    return keys
