"""`unified-vl train`: train what a run file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Keys to set, as in optimizer.lr=1e-3."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole checkpoint.")
    ] = False,
    accept_changed_data: Annotated[
        bool,
        typer.Option(
            "--accept-changed-data",
            help="With --resume: go on though files of the data are not what they were.",
        ),
    ] = False,
) -> None:
    """Train a model; prints the directory of the saved model.

    The same command runs as several processes under the launcher:
    `deepspeed --num_gpus 2 --module unified_vl.cli.main train RUN`.
    """
    from unified_vl.errors import TrainingEnded
    from unified_vl.specs.load import load_run
    from unified_vl.specs.runs.run_paths import refuse_unusable_paths
    from unified_vl.training.distributed.launcher import own_launcher, own_rank, told_once
    from unified_vl.training.distributed.signals import ignore_signals

    own_launcher()  # as long as it lives: to import torch takes seconds
    with told_once():  # before torch: a mistake is told at once
        run = load_run(run_file, overrides or ())
        refuse_unusable_paths(run)

    from unified_vl.training.distributed.process import stop_process
    from unified_vl.training.trainer import train as train_run

    try:
        model = train_run(run, resume=resume, accept_changed_data=accept_changed_data)
    except TrainingEnded:
        ignore_signals()
        raise
    finally:
        stop_process()
    if own_rank() == 0:
        typer.echo(str(model))
