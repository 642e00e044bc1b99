"""What the benchmarks of speed share: two sides measured by turns, and a table of them."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from record import machine, record

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


def line(
    name: str, ours: float, peer: float, unit: str, mine: float, peers: float, peer_name: str
) -> dict[str, object]:
    """A row of the table; the ratio is that of the times `mine` and `peers`."""
    return {
        "name": name,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "unit": unit,
        "ratio": round(peers / mine, 2),
        "peer_name": peer_name,
    }


def processor_name() -> str:
    """The name of the CPU, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def keep(
    rows: list[dict[str, object]], heading: str, command: str, about: str, *, look: bool = False
) -> None:
    """Print a table, and put it in the place of the command's last one.

    Args:
        rows: `name`, `ours`, `peer`, `unit`, `ratio`, `peer_name`.
        heading: of the table's section.
        command: what was run.
        about: how it was measured, and what a ratio means.
        look: whether it is for a look alone, and the last one stays.
    """
    facts = {"command": command, "machine": machine(), "about": about}
    section = "\n".join(
        [
            f"# {heading}",
            "",
            f"`{command}` on {facts['machine']}; {about}",
            "",
            "| what | ours | peer | unit | ratio | peer is |",
            "| --- | ---: | ---: | --- | ---: | --- |",
            *("| " + " | ".join(str(row[key]) for key in KEYS) + " |" for row in rows),
        ]
    )
    print(section)
    if not look:
        record(section, [row | facts for row in rows])
