"""`unified-vl schema`: JSON Schemas, so that editors complete and check spec files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[
        Path | None, typer.Option(help="Write a `.schema.json` of each kind here.")
    ] = None,
) -> None:
    """Print the JSON Schemas of all kinds of spec file, or write them to a folder."""
    from unified_vl.files import write_atomically
    from unified_vl.specs.schema import json_schemas

    schemas = json_schemas()
    if output is None:
        print(json.dumps(schemas, indent=2))
        return
    for name, content in schemas.items():
        path = output / f"{name}.schema.json"
        write_atomically(path, json.dumps(content, indent=2) + "\n")
        print(f"wrote {path}", file=sys.stderr)
