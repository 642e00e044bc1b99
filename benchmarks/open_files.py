"""Opening large files: memory and time, beside `datasets.load_dataset` on the same file.

    python benchmarks/open_files.py                              # a few minutes; records the table
    python benchmarks/open_files.py --megabytes 1000             # larger files
    python benchmarks/open_files.py --megabytes 50 --repeats 1   # to try it, without a record

A Parquet file of images and a JSONL file of texts are written into a temporary folder. Each
measurement is a process of its own; memory is the peak of its RSS above what it was after the
imports.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tables import keep, processor_name

COMMAND = "python benchmarks/open_files.py"
PEER = "datasets.load_dataset, no cache"
SPEC = """\
task: images
version: 1
about: Read.
data: {{reader: {reader}, path: "a.{reader}", splits: {{train: all}}, languages: [en], {key}}}
fields:
  image: {{kind: image, column: image}}
  caption: {{kind: text, column: caption}}
example: {{source: "{{image}}", target: "{{caption}}"}}
score: [{{metric: chrf, against: caption, primary: true}}]
"""
TEXTS = SPEC.replace("  image: {{kind: image, column: image}}\n", "").replace(
    "{{image}}", "Say it. {{caption}}"
)
IMAGE_BYTES = 60_000
GROUP = 100  # images of a row group, as `datasets` writes them
DRAWN = 1000  # rows in a random order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=300, help="of JSONL; of images 0.6 times")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, folder = options.measure
        print(json.dumps(measured(what, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, options.megabytes)
        load = os.getloadavg()[0]
        rows = [row for pair in PAIRS.items() for row in compared(*pair, folder, options.repeats)]
    about = (
        f"{processor_name()}; a JSONL file of {options.megabytes} MB and a Parquet file of "
        f"{options.megabytes * 6 // 10} MB with {GROUP} images of {IMAGE_BYTES // 1000} KB in a "
        f"row group; medians of {options.repeats} alternating processes; the ratio is the peer's "
        "time or memory by ours; memory is the peak of RSS above that after the imports; "
        f"{os.cpu_count()} cores, load average {load:.1f} at the start."
    )
    if options.megabytes >= 300:
        keep(rows, "Opening files", COMMAND, about)
    else:
        print(json.dumps(rows, indent=1))


def write_files(folder: Path, megabytes: int) -> None:
    """The two files, and a spec for each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    drawn = random.Random(0)
    words = [f"w{drawn.getrandbits(24):x}" for _ in range(5000)]
    (folder / "jsonl.yaml").write_text(TEXTS.format(reader="jsonl", key="key_column: id"))
    (folder / "parquet.yaml").write_text(SPEC.format(reader="parquet", key="key_column: id"))
    with (folder / "a.jsonl").open("w") as file:
        number = 0
        while file.tell() < megabytes * 1_000_000:
            row = {
                "id": f"k{number}",
                "image": f"images/{number:08d}.jpg",
                "caption": " ".join(drawn.choices(words, k=20)),
                "box": [round(drawn.random() * 100, 3) for _ in range(4)],
                "other": {"a": number, "b": "x" * 20},
            }
            file.write(json.dumps(row) + "\n")
            number += 1
    images = megabytes * 600_000 // IMAGE_BYTES
    kinds = {"id": pa.string(), "image": pa.binary(), "caption": pa.string()}
    schema = pa.schema(kinds)
    with pq.ParquetWriter(folder / "a.parquet", schema) as writer:
        for start in range(0, images, GROUP):
            numbers = range(start, min(start + GROUP, images))
            table = {
                "id": [f"k{n}" for n in numbers],
                "image": [drawn.randbytes(IMAGE_BYTES) for _ in numbers],
                "caption": [" ".join(drawn.choices(words, k=20)) for _ in numbers],
            }
            writer.write_table(pa.table(table, schema))


def compared(
    name: str, sides: tuple[str, str], folder: Path, repeats: int
) -> list[dict[str, object]]:
    """Rows of the table: time and memory of ours and of the peer."""
    found: list[list[dict[str, float]]] = [[], []]
    for _ in range(repeats):
        for side, kept in zip(sides, found, strict=True):
            command = [sys.executable, __file__, "--measure", side, str(folder)]
            kept.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
    rows: list[dict[str, object]] = []
    for key, unit in (("seconds", "s"), ("megabytes", "MB")):
        ours, peer = (statistics.median(one[key] for one in kept) for kept in found)
        rows.append(
            {
                "name": f"{name}: {'time' if unit == 's' else 'memory'}",
                "ours": round(ours, 2),
                "peer": round(peer, 2),
                "unit": unit,
                "ratio": round(peer / max(ours, 0.01), 2),
                "peer_name": PEER,
            }
        )
    print(json.dumps(rows), flush=True)
    return rows


def measured(what: str, folder: Path) -> dict[str, float]:
    """Seconds of a call, and megabytes above those after the imports."""
    call = CALLS[what](folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    before = _status("VmRSS")
    started = time.perf_counter()
    call()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "megabytes": (_status("VmHWM") - before) / 1024}


def _status(key: str) -> int:
    """What Linux says of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def _opened(reader: str) -> Callable[[Path], Callable[[], Any]]:
    def prepare(folder: Path) -> Callable[[], Any]:
        from unified_vl.data.rows.sources import TaskData
        from unified_vl.specs.load import load_task

        spec = load_task(folder / f"{reader}.yaml")
        return lambda: TaskData(spec, "train", folder)

    return prepare


def _drawn(reader: str) -> Callable[[Path], Callable[[], Any]]:
    def prepare(folder: Path) -> Callable[[], Any]:
        data = _opened(reader)(folder)()
        places = random.Random(0).sample(range(len(data)), DRAWN)
        return lambda: data.rows(places)

    return prepare


def _checked(folder: Path) -> Callable[[], Any]:
    from unified_vl.authoring.checking.check import check_paths

    return lambda: check_paths([folder / "jsonl.yaml"], data=folder, rows=200)


def _loaded(reader: str, *, drawn: bool = False) -> Callable[[Path], Callable[[], Any]]:
    def prepare(folder: Path) -> Callable[[], Any]:
        import datasets

        datasets.disable_progress_bars()
        kind = "json" if reader == "jsonl" else reader
        cache = tempfile.mkdtemp(dir=folder)
        files = str(folder / f"a.{reader}")

        def load() -> Any:
            return datasets.load_dataset(kind, data_files=files, split="train", cache_dir=cache)

        if not drawn:
            return load
        data = load()
        places = random.Random(0).sample(range(len(data)), DRAWN)
        return lambda: data[places]

    return prepare


CALLS = {
    "open jsonl": _opened("jsonl"),
    "check jsonl": _checked,
    "load jsonl": _loaded("jsonl"),
    "rows jsonl": _drawn("jsonl"),
    "loaded rows jsonl": _loaded("jsonl", drawn=True),
    "open parquet": _opened("parquet"),
    "load parquet": _loaded("parquet"),
    "rows parquet": _drawn("parquet"),
    "loaded rows parquet": _loaded("parquet", drawn=True),
}
PAIRS = {
    "JSONL, opened": ("open jsonl", "load jsonl"),
    "JSONL, `check --rows 200`": ("check jsonl", "load jsonl"),
    f"JSONL, {DRAWN} rows in a random order": ("rows jsonl", "loaded rows jsonl"),
    "Parquet of images, opened": ("open parquet", "load parquet"),
    f"Parquet of images, {DRAWN} rows in a random order": ("rows parquet", "loaded rows parquet"),
}

if __name__ == "__main__":
    main()
