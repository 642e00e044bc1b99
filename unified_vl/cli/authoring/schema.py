"""`unified-vl schema`: every key of spec files, for editors that complete and for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[
        Path | None, typer.Option(help="Write a file for each kind of file to this folder.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Pages for people: keys.md, readers.md, metrics.md.")
    ] = False,
) -> None:
    """Print the JSON Schemas of task, mixture, run and image tokenizer files, or write them.

    With --markdown the same as pages for people: every key, every reader and every metric.
    """
    from unified_vl.authoring.reference import pages
    from unified_vl.files import write_atomically
    from unified_vl.specs.reading.plugins import load_plugins
    from unified_vl.specs.reading.schema import editor_schemas

    load_plugins()
    if markdown:
        files = pages()
    else:
        schemas = editor_schemas()
        files = {f"{name}.schema.json": _text(schemas[name]) for name in schemas}
        if output is None:
            print(_text(schemas), end="")
            return
    if output is None:
        print("\n".join(files.values()), end="")
        return
    for name, content in files.items():
        write_atomically(output / name, content)
        print(f"wrote {output / name}", file=sys.stderr)


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
