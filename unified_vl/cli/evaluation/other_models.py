"""What `evaluate` scores beside models of this project, and the options for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from unified_vl.errors import UserError
from unified_vl.other_models.place_conventions import CONVENTIONS

if TYPE_CHECKING:
    from unified_vl.other_models.answerer import OtherAnswerer
    from unified_vl.specs.task import TaskSpec

PANEL = "Other models, and files of answers (docs/scoring_others.md)"
SPEC_ENDINGS = (".yaml", ".yml")
SCHEMES = ("hf:", "openai:")
READ_BY = {  # an option, and the kinds of MODEL that it is for; others are for all
    "partial": ("file",),
    "cache": ("hf", "openai"),
    "bare": ("hf", "openai"),
    "served_model": ("openai",),
    "api_key_env": ("openai",),
    "timeout": ("openai",),
    "retries": ("openai",),
    "chat_template": ("hf",),
    "dtype": ("hf",),
    "trust_remote_code": ("hf",),
}
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
    chat_template: Annotated[
        bool,
        typer.Option(
            "--chat-template/--no-chat-template",
            help="Ask hf: models through their own chat template (rendered in the sandbox of "
            "transformers), or in plain text.",
            rich_help_panel=PANEL,
        ),
    ] = True
    dtype: Annotated[
        str,
        typer.Option(
            metavar="auto|float32|bfloat16|float16",
            help="Numbers that an hf: model computes in; auto takes those of its files.",
            rich_help_panel=PANEL,
        ),
    ] = "auto"
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Run the Python code of an hf: model's own directory. Read it first.",
            rich_help_panel=PANEL,
        ),
    ] = False
    bare: Annotated[
        bool,
        typer.Option(
            "--bare",
            help="Ask by the source of a spec alone, without saying what the task is and how to "
            "answer.",
            rich_help_panel=PANEL,
        ),
    ] = False
    served_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What an openai: server calls the model; {task} and {language} stand for a row's. "
            "(The only one that it has, or a task of unified-vl serve.)",
            rich_help_panel=PANEL,
        ),
    ] = None
    api_key_env: Annotated[
        str,
        typer.Option(
            metavar="VARIABLE",
            help="The environment variable with the key for an openai: server.",
            rich_help_panel=PANEL,
        ),
    ] = "OPENAI_API_KEY"
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=86_400,
            help="Seconds that an openai: server has for an answer.",
            rich_help_panel=PANEL,
        ),
    ] = 120.0
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            help="How often an openai: server is asked again that is busy or gone.",
            rich_help_panel=PANEL,
        ),
    ] = 5
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Keep every answer in this file (JSONL), and ask only what it does not have. "
            "(An interrupted scoring goes on without it, from OUTPUT.answers.)",
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
    return model.startswith(SCHEMES) or is_file_of_answers(model)


def is_file_of_answers(model: str) -> bool:
    """Whether there is nothing to ask."""
    return Path(model).suffix.lower() in ANSWERS_ENDINGS and not Path(model).is_dir()


@contextmanager
def opened_other(
    model: str,
    options: OtherOptions,
    *,
    device: str,
    max_tokens: int | None,
    beside: Path | None,
) -> Iterator[OtherAnswerer]:
    """What a MODEL that is no saved model names.

    Args:
        model: hf:..., openai:... or a file.
        options: of the command line.
        device: of an hf: model.
        max_tokens: room for an answer, where it is given.
        beside: the output that answers gather beside.

    Raises:
        UserError: when it cannot be read, or an option has no effect on it.
    """
    from unified_vl.other_models.answer_log import opened_log
    from unified_vl.other_models.opening import other_model

    file = is_file_of_answers(model)
    _refuse_others_options(options, "file" if file else model.partition(":")[0])
    given = {field.name: getattr(options, field.name) for field in fields(OtherOptions)}
    with opened_log(given.pop("cache"), None if file else beside) as log:
        try:
            found = other_model(model, device=device, max_tokens=max_tokens, cache=log, **given)
        except UserError as error:
            if error.file is None and error.field is not None:
                error.file, error.field = "command line", f"--{error.field.replace('_', '-')}"
            raise
        yield found


def _refuse_others_options(options: OtherOptions, kind: str) -> None:
    """That no option is given that this kind of MODEL does not look at."""
    for field in fields(OtherOptions):
        kinds = READ_BY.get(field.name, ("file", *map(_plain, SCHEMES)))
        if getattr(options, field.name) != field.default and kind not in kinds:
            raise UserError(
                f"has no effect on {'a file of answers' if kind == 'file' else f'{kind}:'}",
                file="command line",
                field=f"--{field.name.replace('_', '-')}",
                expected=f"{' or '.join('a file' if k == 'file' else f'{k}:' for k in kinds)}",
            )


def _plain(scheme: str) -> str:
    return scheme.removesuffix(":")


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
