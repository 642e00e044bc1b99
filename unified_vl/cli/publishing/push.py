"""`unified-vl push`: a saved model to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from unified_vl.cli.publishing.options import Licence, Model, Report


def push(
    model: Model,
    repository: Annotated[str, typer.Argument(help="USER/NAME on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Others do not see it.")] = False,
    report: Report = None,
    licence: Licence = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be uploaded, and end there.")
    ] = False,
) -> None:
    """Upload a saved model with a model card.

    Weights, tokenizer, specs and the training's record, without folders of this machine; each file
    is named before it is sent. `hf auth login` says who you are.
    """
    from unified_vl.inference.publishing.upload import push as upload

    address = upload(
        model,
        repository,
        private=private,
        report=report,
        licence=licence,
        dry_run=dry_run,
        say=typer.echo,
    )
    if address:
        typer.echo(address)
