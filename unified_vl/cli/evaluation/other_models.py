"""What `evaluate` scores beside models of this project, and the options for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from unified_vl.errors import UserError, nearest
from unified_vl.other_models.place_conventions import CONVENTIONS

if TYPE_CHECKING:
    from unified_vl.other_models.answerer import OtherAnswerer
    from unified_vl.specs.task import TaskSpec

PANEL = "Other models, and files of answers (docs/scoring_others.md)"
SPEC_ENDINGS = (".yaml", ".yml")
ANSWERS_ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class OtherOptions:
    """The options; their names on the command line are those of the attributes."""

    places: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(CONVENTIONS),
            help="How its answers say where something is (what its family writes, or pixels).",
            rich_help_panel=PANEL,
        ),
    ] = None
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Count rows that a file of answers lacks as wrong, and pass answers of no row "
            "over.",
            rich_help_panel=PANEL,
        ),
    ] = False


def other_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; its argument `others` holds them."""
    hints = get_type_hints(OtherOptions, include_extras=True)
    signature = inspect.signature(command)
    own = [p for name, p in signature.parameters.items() if name != "others"]
    first = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(OtherOptions)
    ]

    @wraps(command)
    def with_options(**arguments: Any) -> None:
        given = {field.name: arguments.pop(field.name) for field in fields(OtherOptions)}
        command(**arguments, others=OtherOptions(**given))

    parameters = [*first, *added, *own[len(first) :]]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def who_and_what(
    arguments: Sequence[str],
    model: str | None,
    specs: Sequence[str],
    predictions: Path | None,
) -> tuple[str, list[str]]:
    """Who answers, and which tasks.

    Without a model, `predictions` is a file of answers that is read and not written.

    Args:
        arguments: without option: MODEL, unless `--model` names it, and tasks.
        model: of `--model`.
        specs: of `--spec`.
        predictions: of `--predictions`.

    Raises:
        UserError: when nobody is named.
    """
    if model is not None:
        return model, [*arguments, *specs]
    if arguments and Path(arguments[0]).suffix.lower() not in SPEC_ENDINGS:
        return arguments[0], [*arguments[1:], *specs]
    if predictions is not None:
        return str(predictions), [*arguments, *specs]
    raise UserError(
        "nobody is named who answers",
        file="command line",
        field="MODEL",
        expected="a saved model's directory, hf:DIR_OR_ID, openai:URL, or a file of answers",
    )


def is_other(model: str) -> bool:
    """Whether this is no directory of a saved model."""
    return Path(model).suffix.lower() in ANSWERS_ENDINGS and not Path(model).is_dir()


def open_other(model: str, options: OtherOptions) -> OtherAnswerer:
    """What a MODEL that is no saved model names.

    Raises:
        UserError: when it cannot be read.
    """
    from unified_vl.other_models.answers_file import AnswersFile

    if options.places is not None and options.places not in CONVENTIONS:
        raise UserError(
            f"found {options.places!r}",
            file="command line",
            field="--places",
            expected=f"one of {', '.join(CONVENTIONS)}",
            nearest=nearest(options.places, CONVENTIONS),
        )
    return AnswersFile(Path(model), places=options.places, partial=options.partial)


def refuse_without_effect(options: OtherOptions) -> None:
    """That no option for others is given beside a saved model.

    Raises:
        UserError: for the first that is.
    """
    for field in fields(OtherOptions):
        if getattr(options, field.name) != field.default:
            raise UserError(
                "has no effect on a model of this project",
                file="command line",
                field=f"--{field.name.replace('_', '-')}",
                expected="hf:DIR_OR_ID, openai:URL, or a file of answers as MODEL",
            )


def other_specs(names: Sequence[str]) -> list[TaskSpec]:
    """The tasks that others are asked: by their files, because they carry none themselves.

    Raises:
        UserError: for none, or a name that is no file.
    """
    from unified_vl.specs.load import load_tasks

    for name in names:
        if not Path(name).exists():
            raise UserError(
                "there is no such file",
                file=name,
                expected="a task spec, or a folder of them: other models carry no tasks",
            )
    if not names:
        raise UserError(
            "no task is named",
            file="command line",
            field="--spec",
            expected="task specs, or folders of them",
        )
    return load_tasks(names)
