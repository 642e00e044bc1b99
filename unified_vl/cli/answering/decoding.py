"""The options of `predict` and `evaluate` that answer in another way than the specs say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, get_type_hints

import typer

from unified_vl.specs.reading.overrides import option
from unified_vl.specs.tasks.generate import GenerateSpec

PANEL = "How to answer, in place of `generate` of the specs"
KEYS: dict[str, Any] = {
    "method": Literal["greedy", "beam", "sample", "constrained", "score_choices"],
    "beams": int,
    "length_penalty": float,
    "max_tokens": int,
    "min_tokens": int,
    "no_repeat_ngram": int,
    "repetition_penalty": float,
    "prefix": str,
    "bad_words": list[str],
    "language": bool,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "best_of": int,
    "seed": int,
    "guidance": float,
    "normalize": Literal["none", "tokens"],
}


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
        for key, kind in KEYS.items()
    ]

    @wraps(command)
    def with_options(**arguments: Any) -> None:
        given = {key: arguments.pop(f"generate_{key}") for key in KEYS}
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
