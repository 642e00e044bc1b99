"""`unified-vl train`: train what a run file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Keys to set, as in optimizer.lr=1e-3."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole checkpoint.")
    ] = False,
    local_rank: Annotated[
        int, typer.Option("--local_rank", hidden=True, help="Set by the deepspeed launcher.")
    ] = 0,
) -> None:
    """Train a model; prints the directory of the saved model.

    The same command runs as several processes under the launcher:
    `deepspeed --num_gpus 2 --module unified_vl.cli.main train RUN`. It says the rank
    in the environment too, from which it is read.
    """
    from unified_vl.specs.load import load_run
    from unified_vl.training.trainer import train as train_run

    model = train_run(load_run(run_file, overrides or ()), resume=resume)
    typer.echo(str(model))
