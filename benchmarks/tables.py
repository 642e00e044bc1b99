"""What the benchmarks share: measuring two sides by turns, and keeping the last table."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unified_vl.files import write_atomically

HERE = Path(__file__).parent
REPEATS = 9
KEYS = ("name", "ours", "peer", "unit", "ratio", "peer_name")


def medians(
    *sides: Callable[[], object],
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median milliseconds of each side, measured by turns after one warm-up each."""
    for run in sides:
        run()
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(repeats):
        for run, kept in zip(sides, times, strict=True):
            start = clock()
            run()
            kept.append(1000 * (clock() - start))
    return [statistics.median(kept) for kept in times]


def machine() -> str:
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__.split('+')[0]}"
    )


def processor_name() -> str:
    """The name of the CPU, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def keep(rows: list[dict[str, object]], command: str, about: str) -> None:
    """Print a table, and put it in the place of the command's last one.

    Args:
        rows: `name`, `ours`, `peer`, `unit`, `ratio`, `peer_name`.
        command: what was run.
        about: how it was measured, and what a ratio means.
    """
    facts = {"command": command, "machine": machine(), "about": about}
    path = HERE / "results.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    kept = [r for r in kept if r["command"] != command] + [r | facts for r in rows]
    kept.sort(key=lambda r: r["command"])
    write_atomically(path, json.dumps(kept, indent=1) + "\n")
    commands = dict.fromkeys(r["command"] for r in kept)
    parts = [as_markdown([r for r in kept if r["command"] == name]) for name in commands]
    write_atomically(HERE / "RESULTS.md", "# Speed\n\n" + "\n".join(parts))
    print(as_markdown([r for r in kept if r["command"] == command]))


def as_markdown(rows: list[dict[str, object]]) -> str:
    lines = [
        f"`{rows[0]['command']}` on {rows[0]['machine']}; {rows[0]['about']}",
        "",
        "| what | ours | peer | unit | ratio | peer is |",
        "| --- | ---: | ---: | --- | ---: | --- |",
        *("| " + " | ".join(str(row[key]) for key in KEYS) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"
