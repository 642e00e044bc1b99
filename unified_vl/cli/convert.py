"""`unified-vl convert`: published files that no reader opens, to files that readers do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application

convert_app = Application(help="Convert published files that are not safe to open.")


@convert_app.callback()
def convert() -> None:
    """Convert published files that are not safe to open."""


@convert_app.command("refcoco")
def refcoco(
    refs: Annotated[Path, typer.Argument(help="A pickle of REFER, such as 'refs(unc).p'.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write.")],
) -> None:
    """Write the references of RefCOCO, RefCOCO+ or RefCOCOg as JSON.

    Nothing that the pickle names is imported or called: one that holds more than lists,
    mappings, texts and numbers is refused.
    """
    from unified_vl.data.readers.refcoco import read_refs
    from unified_vl.files import write_atomically

    found = read_refs(refs)
    write_atomically(output, json.dumps(found, ensure_ascii=False) + "\n")
    print(f"wrote {len(found)} references to {output}", file=sys.stderr)
