"""The `unified-vl` command: one function a subcommand, one exit code a kind of failure."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated

import typer

from unified_vl import __version__
from unified_vl.cli.answering.app import app as open_page
from unified_vl.cli.answering.export import export
from unified_vl.cli.answering.index import index
from unified_vl.cli.answering.predict import predict
from unified_vl.cli.answering.retrieve import retrieve
from unified_vl.cli.answering.serve import serve
from unified_vl.cli.application import Application
from unified_vl.cli.authoring.check import check
from unified_vl.cli.authoring.convert import convert_app
from unified_vl.cli.authoring.data import data_app
from unified_vl.cli.authoring.new import new
from unified_vl.cli.authoring.regions import regions_app
from unified_vl.cli.authoring.schema import schema
from unified_vl.cli.authoring.show import show
from unified_vl.cli.evaluation.compare import compare
from unified_vl.cli.evaluation.evaluate import evaluate
from unified_vl.cli.evaluation.evaluate_retrieval import evaluate_retrieval
from unified_vl.cli.evaluation.evaluate_transfer import evaluate_transfer
from unified_vl.cli.evaluation.probe import probe
from unified_vl.cli.evaluation.report import report
from unified_vl.cli.publishing.card import card
from unified_vl.cli.publishing.push import push
from unified_vl.cli.training.compress import compress
from unified_vl.cli.training.demo import demo
from unified_vl.cli.training.image_tokenizer import image_tokenizer_app
from unified_vl.cli.training.schedule import schedule
from unified_vl.cli.training.tokenizer import tokenizer_app
from unified_vl.cli.training.train import train
from unified_vl.cli.training.weights import weights
from unified_vl.errors import (
    WRONG_INPUT,
    DiskFull,
    Stopped,
    TrainingEnded,
    UserError,
    visible,
)
from unified_vl.streams import unbroken

FREE_FORM = {"allow_extra_args": True, "ignore_unknown_options": True}

app = Application(
    name="unified-vl",
    help="One encoder-decoder model for every vision-language and language task.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"unified-vl {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    local_rank: Annotated[
        int, typer.Option("--local_rank", hidden=True, help="Set by the deepspeed launcher.")
    ] = 0,
) -> None:
    """One encoder-decoder model for every vision-language and language task.

    The launcher's rank is in the environment too, from which the engine reads it.
    """


app.command()(demo)
app.command()(new)
app.command()(check)
app.command()(show)
app.command()(schema)
app.add_typer(data_app, name="data")
app.add_typer(convert_app, name="convert")
app.add_typer(regions_app, name="regions")
app.add_typer(tokenizer_app, name="tokenizer")
app.add_typer(image_tokenizer_app, name="image-tokenizer")
app.command()(schedule)
app.command()(weights)
app.command()(train)
app.command()(compress)
app.command()(evaluate)
app.command(context_settings=FREE_FORM)(predict)
app.command()(index)
app.command()(retrieve)
app.command("app")(open_page)
app.command()(serve)
app.command()(export)
app.command()(report)
app.command()(compare)
app.command()(probe)
app.command()(evaluate_retrieval)
app.command()(evaluate_transfer)
app.command()(card)
app.command()(push)


def main() -> None:
    """Run the command line; what has a known reason ends with its own code, no traceback."""
    for stream in (sys.stdout, sys.stderr):  # names of files and arguments need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except TrainingEnded as ended:
        first = os.environ.get("RANK", "0") == "0"
        if first if ended.tells is None else ended.tells:
            prefix = "" if isinstance(ended, Stopped) else "error: "
            print(visible(f"{prefix}{ended}"), file=unbroken(sys.stderr))
        sys.exit(ended.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(DiskFull.exit_code)


if __name__ == "__main__":
    main()
