"""Greedy answers beside CTranslate2: `python benchmarks/ctranslate2_peer.py [--threads 1]`.

The same weights in fp32 and in int8, here (plain and compiled) and there, by turns in one run. In
fp32 all must write the same ids; how many ids int8 changes is printed. One thread is measured in
CPU time, several in wall time; each figure is the least of the runs.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from ctranslate2_side import PEER, Ids, converted
from t5_pairs import BATCH, SIZES, SOURCE, TARGET, Pair, pair
from tables import REPEATS, keep, line, processor_name

from unified_vl.decoding.decoders.compiled import compile_model
from unified_vl.model.int8 import in_int8

COMMAND = "python benchmarks/ctranslate2_peer.py"


def ours(models_pair: Pair) -> Callable[[], Ids]:
    return lambda: [list(row[0].ids) for row in models_pair.write()]


def least(sides: dict[str, Callable[[], Ids]], clock: Callable[[], float]) -> dict[str, float]:
    """Milliseconds of the fastest of alternating runs."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, run in sides.items():
            start = clock()
            run()
            times[name].append(1000 * (clock() - start))
    return {name: min(kept) for name, kept in times.items()}


def rows_of(size: str) -> list[dict[str, object]]:
    plain = pair(size)
    int8 = replace(plain, ours=in_int8(copy.deepcopy(plain.ours)))
    compiled_int8 = replace(int8, ours=copy.deepcopy(int8.ours))
    compile_model(compiled_int8.ours)
    with converted(plain, ("float32", "int8")) as there:
        sides = {
            "plain fp32": ours(plain),
            "compiled fp32": ours(plain.compiled()),
            "their fp32": there.greedy("float32"),
            "plain int8": ours(int8),
            "compiled int8": ours(compiled_int8),
            "their int8": there.greedy("int8"),
        }
        answers = {name: run() for name, run in sides.items()}
        for name in ("compiled fp32", "their fp32"):
            assert answers[name] == answers["plain fp32"], f"{name} writes other ids"
        for name in ("compiled int8", "their int8"):
            rows = list(zip(answers["plain fp32"], answers[name], strict=True))
            same = sum(a == b for one, other in rows for a, b in zip(one, other, strict=False))
            print(f"{size}, {name}: {same} of {sum(len(one) for one, _ in rows)} ids as in fp32")
        count = torch.get_num_threads()
        times = least(sides, time.process_time if count == 1 else time.perf_counter)
    what = f"{SOURCE} + {TARGET} tokens, {count} thread{'s' * (count > 1)}"
    return [
        line(f"greedy, {size}, {what}, {name}", mine, peer, "ms", mine, peer, f"{PEER}, {kind}")
        for kind in ("fp32", "int8")
        for name, mine, peer in (
            (f"{how} {kind}", times[f"{how} {kind}"], times[f"their {kind}"])
            for how in ("plain", "compiled")
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    cores = sorted({1, torch.get_num_threads()})
    parser.add_argument("--threads", type=int, nargs="+", default=cores)
    given = parser.parse_args()
    rows = []
    for size in SIZES:
        for count in given.threads:
            torch.set_num_threads(count)
            with torch.inference_mode():
                rows += rows_of(size)
    about = (
        f"{processor_name()}; batch {BATCH}; the least of {REPEATS} alternating runs, CPU time on "
        "one thread and wall time on several; the ratio is the peer's time by ours."
    )
    keep(rows, "Greedy answers beside CTranslate2", COMMAND, about)


if __name__ == "__main__":
    main()
