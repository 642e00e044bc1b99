"""YAML text to plain values whose lines are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from unified_vl.errors import UserError, number_of
from unified_vl.parts import KeyPath

MOST_NODES = 100_000  # aliases may repeat a part
DEEPEST = 20


def parse_yaml(text: str, file: Path | None = None) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The mapping of YAML 1.2 (`no` is text, a repeated key an error), and the line of each key.

    Raises:
        UserError: when it is not YAML or not a mapping.
    """
    try:
        yaml = YAML(typ="safe", pure=True)
        root = yaml.compose(text)
        lines = dict(_lines(root)) if root is not None else {}
        values = None if root is None else yaml.constructor.construct_document(root)
    except YAMLError as error:
        raise _yaml_error(error, file) from error
    except (ValueError, RecursionError, TypeError) as error:
        raise UserError(f"is not YAML: {error}", file=file) from error
    if not isinstance(values, dict):
        raise UserError(f"found {say(values)}", file=file, line=1, expected="keys and values")
    return values, lines


def _lines(root: Node) -> Iterator[tuple[KeyPath, int]]:
    """Each key and item with its line.

    Raises:
        ValueError: when aliases make the tree far larger than its text, or endless.
    """
    stack: list[tuple[Node, KeyPath, int]] = [(root, (), root.start_mark.line + 1)]
    count = 0
    while stack:
        node, path, line = stack.pop()
        count += 1
        if count > MOST_NODES or len(path) > DEEPEST:
            raise ValueError("too many or too deeply nested values for a spec")
        yield path, line
        if isinstance(node, MappingNode):
            for key, value in node.value:
                stack.append((value, (*path, str(key.value)), key.start_mark.line + 1))
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                stack.append((item, (*path, index), item.start_mark.line + 1))


def _yaml_error(error: YAMLError, file: Path | None) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = None if mark is None else mark.line + 1
    if isinstance(error, DuplicateKeyError):
        key = str(error.problem).split('"')[1]
        return UserError("the key is there twice", file=file, line=line, field=key)
    problem = error.problem if isinstance(error, MarkedYAMLError) else str(error).split("\n")[0]
    # an alias is what a star begins that stands without quotes
    star = "alias" in f"{getattr(error, 'context', None)} {problem}"
    expected = "quotes around what begins with a star, as in ['*vision*']" if star else None
    return UserError(f"is not YAML: {problem}", file=file, line=line, expected=expected)


def say(value: object) -> str:
    """A value as a message names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return f"a mapping of {number_of(len(value), 'key')}" if value else "an empty mapping"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
