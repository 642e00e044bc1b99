"""Fields of a task as options of the command line: --FIELD VALUE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from unified_vl.errors import UserError, nearest

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def parse_fields(arguments: list[str]) -> dict[str, str]:
    """`--phrase "a dog"` or `--phrase="a dog"` as {"phrase": "a dog"}.

    Raises:
        UserError: for a value without a name, or a name without a value.
    """
    fields: dict[str, str] = {}
    left = list(arguments)
    while left:
        first = left.pop(0)
        name, equals, value = first.removeprefix("--").partition("=")
        if not first.startswith("--") or not name:
            raise UserError(
                f"found {first!r}", file="command line", expected="--FIELD VALUE for each field"
            )
        if not equals:
            if not left:
                raise UserError(f"--{name} has no value", file="command line")
            value = left.pop(0)
        key = name.replace("-", "_")
        if key in fields:
            raise UserError(f"--{name} is given twice", file="command line")
        fields[key] = value
    return fields


def refuse_unknown(context: typer.Context, spec: TaskSpec, fields: Iterable[str]) -> None:
    """Refuse what is neither an option of the command nor a field of a task.

    Raises:
        UserError: with the nearest name of both.
    """
    from unified_vl.inference.inputs import source_fields

    given = [_option(name) for name in source_fields(spec)]
    options = [name for each in context.command.params for name in each.opts]
    for name in fields:
        if name not in spec.fields:
            raise UserError(
                f"is no option, and no field of the task {spec.task!r}",
                file="command line",
                field=_option(name),
                expected=" or ".join(given),
                nearest=nearest(_option(name), [*given, *options]),
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
