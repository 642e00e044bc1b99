"""Memory and traffic of a rank by ZeRO stage, beside the formula: `python benchmarks/scaling.py`.

A run of a text task with random weights is made in a temporary folder. For each stage and
precision two processes (gloo) make some updates through the engine, of a small and of a large
model: what the large one needs beyond the small one, by its further weights, is free of what any
model needs. Memory is the most that a rank has (RSS without mapped files) after a backward pass or
a step. Traffic is what a rank would send over a ring of many: twice a tensor that is reduced for
all, once one that is gathered, scattered or sent to one. `--width` and `--layers` take smaller
models, without a record.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch.distributed
from lora_memory import make_run
from record import machine, record

COMMAND = "python benchmarks/scaling.py"
WIDTH, LAYERS, RANKS = 1024, (1, 5), 2
UPDATES = 3
BUCKET = 1_000_000  # numbers that are reduced at once: small beside the model


@dataclass(frozen=True)
class Case:
    """A stage and a precision."""

    stage: int
    bf16: bool

    @property
    def name(self) -> str:
        return f"ZeRO {self.stage}, {'bf16' if self.bf16 else 'fp32'}"

    def engine(self) -> dict[str, Any]:
        zero = {"stage": self.stage, "reduce_bucket_size": BUCKET, "allgather_bucket_size": BUCKET}
        if self.stage == 3:
            zero |= {
                "stage3_prefetch_bucket_size": BUCKET,
                "stage3_max_live_parameters": BUCKET,
                "stage3_max_reuse_distance": BUCKET,
                "stage3_param_persistence_threshold": 1000,
            }
        return {"zero_optimization": zero, **({"bf16": {"enabled": True}} if self.bf16 else {})}

    def bytes_a_weight(self, ranks: int) -> float:
        """Weights, gradients, masters and both moments of Adam on one of so many ranks.

        Rajbhandari et al. 2020 (arXiv 1910.02054), section 3: in bf16 a weight and its gradient
        are two bytes each, its master and moments twelve. In fp32 a weight is its own master at
        stage 0; from stage 1 on a rank keeps a copy of its share.
        """
        if self.bf16:
            return (16, 4 + 12 / ranks, 2 + 14 / ranks, 16 / ranks)[self.stage]
        return (16, 8 + 12 / ranks, 4 + 16 / ranks, 20 / ranks)[self.stage]


CASES = [Case(stage, bf16) for bf16 in (True, False) for stage in range(4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=WIDTH, help="d_model")
    parser.add_argument(
        "--layers",
        type=int,
        nargs=2,
        default=LAYERS,
        help="a side, small and large",
    )
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case is not None:
        print(json.dumps(measure(args.folder, CASES[args.case])))
        return
    with ExitStack() as made:
        folders = [Path(made.enter_context(tempfile.TemporaryDirectory())) for _ in args.layers]
        for folder, layers in zip(folders, args.layers, strict=True):
            make_run(folder, args.width, layers)
        rows = list(rows_of(folders))
    size = f"d_model {args.width}, {args.layers[0]} and {args.layers[1]} layers a side"
    lines = [
        "| bytes a weight | formula | measured | ratio | sent |",
        "| --- | --: | --: | --: | --: |",
        *(
            f"| {row['case']} | {row['formula']:.1f} | {row['measured']:.1f} "
            f"| {row['measured'] / row['formula']:.2f} | {row['traffic']:.1f} |"
            for row in rows
        ),
    ]
    text = "\n".join(lines)
    print(text)
    if (args.width, tuple(args.layers)) == (WIDTH, LAYERS):
        about = (
            f"{machine()}: {size}, {rows[0]['weights']:,} weights more, {RANKS} ranks over gloo, "
            f"their mean; {UPDATES} updates of 4 rows, buckets of {BUCKET:,} numbers."
        )
        record(f"# Memory and traffic by ZeRO stage\n\n`{COMMAND}` on {about}\n\n{text}", rows)


def rows_of(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """Of each case, by the weights that the second folder's model has beyond the first's."""
    for number, case in enumerate(CASES):
        found = []
        for folder in folders:
            (folder / "engine.json").write_text(json.dumps(case.engine()), encoding="utf-8")
            found.append(in_processes(number, folder))
        small, large = (
            {key: statistics.mean(rank[key] for rank in ranks) for key in ranks[0]}
            for ranks in found
        )
        weights = round(large["weights"] - small["weights"])
        yield {
            "command": COMMAND,
            "case": case.name,
            "formula": case.bytes_a_weight(RANKS),
            "measured": (large["memory"] - small["memory"]) / weights,
            "traffic": (large["traffic"] - small["traffic"]) / weights,
            "weights": weights,
        }
        print(case.name, small, large, flush=True)


def in_processes(number: int, folder: Path) -> list[dict[str, Any]]:
    """What `measure` finds on each rank."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = []
    for rank in range(RANKS):
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": RANKS, "MASTER_PORT": port}
        environment = {key: str(value) for key, value in ranks.items()}
        environment |= {"MASTER_ADDR": "127.0.0.1", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
        environment["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed goes back at once
        command = [sys.executable, __file__, "--case", str(number), "--folder", str(folder)]
        started.append(
            subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
            )
        )
    told = [process.communicate()[0] for process in started]
    return [json.loads(each.splitlines()[-1]) for each in told]


def measure(folder: Path, case: Case) -> dict[str, float]:
    """The most memory and the bytes of collectives of an update, of this rank."""
    from unified_vl.specs.load import load_run
    from unified_vl.training.build import build
    from unified_vl.training.distributed.engine import Engine
    from unified_vl.training.distributed.process import start_process
    from unified_vl.training.optimizers.registry import build_optimizer

    run = load_run(folder / "run.yaml", [f"engine={folder / 'engine.json'}"])
    with Traffic() as traffic:
        process = start_process()
        parts = build(run)
        weights = sum(each.numel() for each in parts.model.parameters())
        optimizer = build_optimizer(parts.model, run.optimizer)
        with closing(Engine(process, parts.model, optimizer, run)) as engine:
            (batch,) = parts.streams["copy"].micro_batches(0, process.rank, process.world, 1)
            peak = 0
            for _ in range(UPDATES):
                traffic.bytes = 0
                logits_BTV = engine.outputs(batch).logits
                assert logits_BTV is not None
                loss = logits_BTV.float().logsumexp(-1).mean()
                del logits_BTV
                engine.backward(loss)
                peak = max(peak, private_memory())
                engine.step(1e-4)
                peak = max(peak, private_memory())
            sent = traffic.bytes
    return {"memory": peak, "traffic": sent, "weights": weights}


def private_memory() -> int:
    """Resident bytes of this process that no file is behind."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024


class Traffic:
    """Counts the bytes of torch's collectives while it is entered."""

    # the place of the tensor that counts among the arguments, and how often it goes over a ring
    COUNTED: ClassVar = {
        "all_reduce": (0, 2),
        "reduce": (0, 1),
        "broadcast": (0, 1),
        "all_gather_into_tensor": (0, 1),
        "reduce_scatter_tensor": (1, 1),
    }

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> Traffic:
        self._patches = ExitStack()
        for name, (place, times) in self.COUNTED.items():
            call = self._counting(getattr(torch.distributed, name), place, times)
            self._patches.enter_context(mock.patch.object(torch.distributed, name, call))
        return self

    def __exit__(self, *error: object) -> None:
        self._patches.close()

    def _counting(self, call: Callable[..., Any], place: int, times: int) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            tensor = [*given, *named.values()][place]
            self.bytes += times * tensor.numel() * tensor.element_size()
            return call(*given, **named)

        return counted


if __name__ == "__main__":
    main()
