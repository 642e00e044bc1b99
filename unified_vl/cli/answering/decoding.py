"""The options of `predict` and `evaluate` that answer in another way than the specs say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from unified_vl.specs.reading.overrides import CHANGEABLE, option
from unified_vl.specs.tasks.generate import GenerateSpec

PANEL = "How to answer, in place of `generate` of the specs"


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each key; its argument `generate` holds those that are given."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "generate"
    ]
    added = [
        inspect.Parameter(
            f"generate_{key}",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind | None, _option(key)],
        )
        for key, kind in CHANGEABLE.items()
    ]

    @wraps(command)
    def with_options(**arguments: Any) -> None:
        given = {key: arguments.pop(f"generate_{key}") for key in CHANGEABLE}
        given = {key: value for key, value in given.items() if value not in (None, [])}
        if "language" in given:
            given["language"] = "enforce" if given["language"] else None
        command(**arguments, generate=given)

    with_options.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
    return with_options


def _option(key: str) -> Any:
    help = str(GenerateSpec.model_fields[key].description)
    name = option(key)
    if key == "language":
        name = f"{name}/--any-language"
    return typer.Option(name, help=help, rich_help_panel=PANEL)
