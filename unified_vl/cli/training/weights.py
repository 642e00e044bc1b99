"""`unified-vl weights`: the names of a run's weights, and which of them it trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def weights(
    run_file: Annotated[Path, typer.Argument(metavar="RUN", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Keys to set, as in freeze=[encoder.vision.*]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a weight.")] = False,
) -> None:
    """List the weights of a run's model: name, shape, and the learning rate's scale or `frozen`.

    The names are those that `freeze`, `lora` and `optimizer.lr_scales` match.
    """
    from rich.console import Console
    from rich.table import Table

    from unified_vl.specs.load import load_run
    from unified_vl.training.tuning.outline import outline

    found, trained = outline(load_run(run_file, overrides or ()))
    if as_json:
        for each in found:
            print(json.dumps(each.to_json()))
        return
    table = Table(box=None)
    table.add_column("weight", overflow="fold")
    table.add_column("shape", no_wrap=True)
    table.add_column("learning rate", no_wrap=True)
    for each in found:
        rate = "frozen" if each.lr_scale is None else f"x {each.lr_scale:g}"
        table.add_row(each.name, " x ".join(map(str, each.shape)), rate)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(str(trained))
