"""The last results of every benchmark: one section of RESULTS.md and rows of results.json."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from unified_vl.files import write_atomically

HERE = Path(__file__).parent


def machine() -> str:
    """What the numbers were measured on."""
    version = torch.__version__.split("+")[0]
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {version}"


def record(
    section: str, rows: Sequence[Mapping[str, Any]], folder: Path = HERE, *, apart: str = "command"
) -> None:
    """Put results in the place of the last ones of the same benchmark.

    Args:
        section: Markdown that begins with a heading of the first level.
        rows: each with the `command` that gave it.
        folder: of RESULTS.md and results.json.
        apart: the key by which rows are those of the same benchmark; of a command, all before its
            first option.
    """
    page = folder / "RESULTS.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = [part.strip() for part in re.split(r"^(?=# )", text, flags=re.M) if part.strip()]
    heading = section.strip().partition("\n")[0]
    places = [i for i, part in enumerate(sections) if part.partition("\n")[0] == heading]
    place = places[0] if places else len(sections)
    sections[place : place + 1] = [section.strip()]
    write_atomically(page, "\n\n".join(sections) + "\n")
    table = folder / "results.json"
    known = json.loads(table.read_text(encoding="utf-8")) if table.exists() else []
    replaced = {row[apart].split(" --")[0] for row in rows}
    kept = [row for row in known if row.get(apart, "").split(" --")[0] not in replaced]
    write_atomically(table, json.dumps([*kept, *rows], indent=1) + "\n")
