"""What is aimed at, and what is reached: `python benchmarks/bench.py`, or `make bench`.

Runs the benchmarks of training and answering one after the other, each with its peer in the same
run, and makes one table of their ratios. `--table` makes it of what they recorded last.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from record import HERE, machine, record
from tables import processor_name

COMMAND = "python benchmarks/bench.py"
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Goal:
    """A ratio of a benchmark.

    Attributes:
        what: it compares.
        script: that records it.
        ratio: found in the script's rows.
        aim: of the ratio.
        least: whether more than the aim is better; otherwise less is.
    """

    what: str
    script: str
    ratio: Callable[[Rows], float]
    aim: float
    least: bool = True

    def met(self, ratio: float) -> bool:
        return ratio >= self.aim if self.least else ratio <= self.aim


def named(name: str, key: str = "what") -> Callable[[Rows], float]:
    """The `ratio` of the row of a name; not a number where there is none."""
    return lambda rows: next((row["ratio"] for row in rows if row[key] == name), math.nan)


def between(one: str, other: str, key: str, **of: str) -> Callable[[Rows], float]:
    """What a key of one side is of the other's, among the rows that are of something."""

    def ratio(rows: Rows) -> float:
        chosen = (row for row in rows if all(row[name] == value for name, value in of.items()))
        sides = {row["side"]: float(row[key]) for row in chosen}
        return sides[one] / sides[other]

    return ratio


def packed(peer: str, dtype: str, aim: float) -> Goal:
    """Training without padding, compiled, beside T5's."""
    what = f"real tokens/s of training, 8.4 M, {dtype}: packed and compiled, {peer}"
    ours = "ours, packed and compiled"
    return Goal(what, PACKING, between(ours, peer, "tokens_per_second", dtype=dtype), aim)


def compiled(dtype: str) -> Goal:
    """Compiled training beside plain, which has to gain ten percent to be there."""
    what = f"real tokens/s of training, 11.5 M, {dtype}: compiled, plain"
    return Goal(what, "compiling.py", named(dtype, "dtype"), 1.1)


def answers(size: str, threads: str, kind: str) -> Goal:
    """Compiled answers beside CTranslate2's."""
    name = f"greedy, {size}, 64 + 32 tokens, {threads}, compiled {kind}"
    aim = {"fp32": 1.2, "int8": 1.0}[kind]
    return Goal(f"{name}, by CTranslate2", "ctranslate2_peer.py", named(name, "name"), aim)


FEED, PACKING, LOSS = "data_feed.py", "packing.py", "loss_memory.py"
RANK = "images a processor second of rank 0: 8 ranks, one"
WORKERS = "images a second: `workers: 2`, torch's DataLoader with two"
STEP = "processor milliseconds a step: 100 tasks, 5"
MEMORY = "MiB at most: 100 tasks, 5"
DTYPES = ("float32", "bfloat16")
PEERS = {"T5, padded": 3.5, "T5, grouped": 2.1}
GOALS = [
    Goal(RANK, FEED, named(RANK), 0.9),
    Goal(WORKERS, FEED, named(WORKERS), 1.0),
    Goal(STEP, FEED, named(STEP), 1.02, least=False),
    Goal(MEMORY, FEED, named(MEMORY), 1.2, least=False),
    *(packed(peer, d, aim) for d in DTYPES for peer, aim in PEERS.items()),
    Goal("memory of the loss: whole, in chunks", LOSS, between("whole", "chunks", "mib"), 8.0),
    Goal(
        "time of the loss: in chunks, whole",
        LOSS,
        between("chunks", "whole", "seconds"),
        1.05,
        False,
    ),
    *map(compiled, DTYPES),
    *(
        answers(size, threads, kind)
        for threads in ("1 thread", "2 threads")
        for size in ("demo", "11.5 M")
        for kind in ("fp32", "int8")
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="of what was recorded last")
    given = parser.parse_args()
    start = time.monotonic()
    for script in {goal.script: None for goal in GOALS} if not given.table else ():
        subprocess.run([sys.executable, str(HERE / script)], check=True)
    minutes = (time.monotonic() - start) / 60
    lines = ["| what | ratio | aim | met |", "| --- | --: | --: | --- |"]
    rows: list[dict[str, Any]] = []
    for goal in GOALS:
        ratio = round(goal.ratio(recorded(goal.script)), 3)
        known = not math.isnan(ratio)
        cells = (f"{ratio:.2f}", "yes" if goal.met(ratio) else "no") if known else ("-", "-")
        sign = ">=" if goal.least else "<="
        lines.append(f"| {goal.what} | {cells[0]} | {sign} {goal.aim:g} | {cells[1]} |")
        rows.append({"command": COMMAND, "what": goal.what, "ratio": ratio, "aim": goal.aim})
    text = "\n".join(lines)
    print(text)
    if not given.table:
        about = f"{machine()}, {processor_name()}; all of it took {minutes:.0f} minutes"
        where = "How each is measured stands in its own section."
        record(f"# Aims of speed\n\n`{COMMAND}`, {about}. {where}\n\n{text}", rows)


def recorded(script: str) -> Rows:
    """The rows that a script recorded last, when it was run without options."""
    rows = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    return [row for row in rows if row["command"] == f"python benchmarks/{script}"]


if __name__ == "__main__":
    main()
