"""YAML text to plain values whose lines are known, and to validated documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unified_vl.errors import UserError, nearest
from unified_vl.parts import FOLLOWERS, REFUSALS
from unified_vl.specs.reading.document import (
    PATTERNS,
    UNKNOWN_KEY,
    Document,
    KeyPath,
    Origin,
    Problem,
    dotted,
    one_of,
)
from unified_vl.specs.reading.schema_parts import expected_at, keys_at
from unified_vl.yaml_text import parse_yaml, say

LARGEST_FILE = 1 << 18  # bytes, which take seconds to parse
MOST_PROBLEMS = 100  # told of one file; nearly known names are looked for, which takes its time
D = TypeVar("D", bound=Document)


class InvalidSpec(UserError):
    """The first thing that is wrong with a spec file; `.all` has the others too.

    Of more than MOST_PROBLEMS the last of `.all` says how many are left out.
    """

    all: tuple[UserError, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """The mapping of a YAML file and where it came from."""

    values: dict[str, Any]
    origin: Origin


def parse_file(path: Path) -> Parsed:
    """Read a YAML file.

    Raises:
        UserError: when it is missing, not UTF-8, not YAML or not a mapping.
    """
    if not path.is_file():
        raise missing_file(path)
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(
            "is too large for a spec",
            file=path,
            expected="at most 256 KiB; long lists of choices go into a file of their own",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    return parse_text(text, path)


def missing_file(path: Path) -> UserError:
    """The error for a spec file that is not there, with its likeliest neighbour."""
    neighbours = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    found = "is a directory" if path.is_dir() else "does not exist"
    return UserError(
        found, file=path, expected="a YAML file", nearest=nearest(path.name, neighbours)
    )


def parse_text(text: str, file: Path | None = None) -> Parsed:
    """Read YAML 1.2 (`no` is text, a repeated key an error).

    Raises:
        UserError: when it is not YAML or not a mapping.
    """
    values, lines = parse_yaml(text, file)
    return Parsed(values, Origin(file, text, lines))


def json_origin(path: Path) -> Origin:
    """The lines of the keys of a JSON file, where it can be read as the YAML that it also is.

    Raises:
        UserError: for a key that is there twice.
    """
    try:
        return parse_text(path.read_text(encoding="utf-8"), path).origin
    except UserError as error:
        if error.field is not None:
            raise
        return Origin(path)  # JSON that is no YAML, such as with some escapes


def validate(model: type[D], parsed: Parsed) -> D:
    """The document that the values of a file make.

    Raises:
        InvalidSpec: with every problem; its message is that of the first.
        UserError: for a file that it names and that is missing or bad.
    """
    return make(model, parsed.values, parsed.origin)


def make(
    model: type[D],
    values: Mapping[str, Any],
    origin: Origin,
    made: Sequence[Document] = (),
    into: D | None = None,
) -> D:
    """The document of some values, with all that it names.

    Args:
        model: what it is.
        values: as a file would have them.
        origin: where they are from.
        made: documents that stand in `values` by their number (`Made`).
        into: a new object of the model, which then is what is returned.

    Raises:
        UserError: as for `validate`.
    """
    try:
        # JSON mode: strict about types, yet a list is a tuple and a text a path
        text = json.dumps(values, default=str, ensure_ascii=False)
    except (ValueError, TypeError) as error:  # a list as a key
        raise UserError(f"is not a tree of values: {error}", file=origin.file) from error
    try:
        document: D = model.__pydantic_validator__.validate_json(
            text, strict=True, context=made, self_instance=into
        )
    except ValidationError as error:
        found = problems_of(error, model)
        problems = [model.explain(each, _at(values, each.path)) for each in found]
        left_out = max(error.error_count() - MOST_PROBLEMS, 0)
        raise invalid(problems, origin, left_out) from error
    document.settle(origin)
    return document


def _at(values: object, path: KeyPath) -> object:
    """What stands at `path`; None where nothing does."""
    for key in path:
        try:
            values = values[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def invalid(problems: Sequence[Problem], origin: Origin, left_out: int = 0) -> InvalidSpec:
    """One error for all problems, ordered by line; the last tells how many are left out."""
    errors = sorted((_error(p, origin) for p in problems), key=lambda e: e.line or 0)
    if left_out:
        errors.append(InvalidSpec(f"{left_out} more problems are not listed", file=origin.file))
    errors[0].all = tuple(errors)
    return errors[0]


def _error(problem: Problem, origin: Origin) -> InvalidSpec:
    file, line = origin.place(problem.path)
    return InvalidSpec(
        problem.message,
        file=file,
        line=line,
        field=dotted(problem.path) or None,
        expected=problem.expected,
        nearest=problem.nearest,
    )


def problems_of(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """What pydantic found, in words for the author of the file."""
    schema = _schema_of(model)
    details = error.errors(include_url=False)[:MOST_PROBLEMS]
    misspelt: set[KeyPath] = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path = detail["loc"]
            known = keys_at(schema, path[:-1])
            close = nearest(str(path[-1]), known)
            if close:
                misspelt.add((*path[:-1], close))
            yield Problem(path, UNKNOWN_KEY, None if close else one_of(known), nearest=close)
    for detail in details:
        if detail["type"] == "spec":
            for problem in detail["ctx"]["problems"]:
                yield replace(problem, path=(*detail["loc"], *problem.path))
        elif (
            detail["type"] == "too_short" and len(detail["input"]) > detail["ctx"]["actual_length"]
        ):
            continue  # not short: pydantic does not count the items that are wrong in themselves
        elif detail["type"] != "extra_forbidden" and detail["loc"] not in misspelt:
            yield _translate(detail, schema)


@cache
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


FOLLOWERS.append(_schema_of.cache_clear)


def _refusal(error: ValidationError, model: type[BaseModel]) -> InvalidSpec:
    """Of a part that is made in Python by itself."""
    left_out = max(error.error_count() - MOST_PROBLEMS, 0)
    return invalid(list(problems_of(error, model)), Origin(), left_out)


REFUSALS.append(_refusal)


def _translate(detail: ErrorDetails, schema: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors as a problem."""
    path, kind, found = detail["loc"], detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if path and path[-1] == "[key]":
        path = path[:-1]
        found = path[-1]
    if kind == "missing":
        return Problem(path, "is missing", expected_at(schema, path))
    message = f"found {say(found)}"
    if kind == "literal_error":
        choices = [str(value) for value in _choices(context["expected"])]
        close = nearest(found, choices) if isinstance(found, str) else None
        return Problem(path, message, one_of(choices) or context["expected"], close)
    if kind == "unknown_name":
        close = nearest(str(found), context["names"])
        return Problem(path, message, None if close else context["expected"], close)
    if kind == "string_pattern_mismatch":
        return Problem(path, message, PATTERNS.get(context["pattern"], context["pattern"]))
    if kind == "bool_type" and isinstance(found, str):  # YAML 1.2 has no other booleans
        meant = _MEANT.get(found.lower())
        if meant == found:
            return Problem(path, message, f"{found} without quotation marks")
        return Problem(path, message, _TYPES[kind], meant)
    if kind in ("string_too_long", "too_long"):
        of = " characters" if kind == "string_too_long" else ""
        return Problem(path, message, f"at most {context['max_length']}{of}")
    if kind in _TYPES:
        return Problem(path, message, _TYPES[kind])
    return Problem(path, message, detail["msg"].removeprefix("Input should be "))


_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
    "path_type": "a path",
    "string_too_short": "text that is not empty",
    "too_short": "at least one",
}
_MEANT = {
    **dict.fromkeys(("off", "no", "n", "none", "never", "false"), "false"),
    **dict.fromkeys(("on", "yes", "y", "always", "true"), "true"),
}


def _choices(expected: str) -> list[str]:
    """The names in pydantic's `'a', 'b' or 'c'`."""
    return expected.split("'")[1::2]
