"""Opening large files: memory and time, beside `datasets.load_dataset` on the same file.

    python benchmarks/open_files.py                              # a few minutes; records the table
    python benchmarks/open_files.py --megabytes 1000             # larger files
    python benchmarks/open_files.py --megabytes 50 --repeats 1   # to try it, without a record
    python benchmarks/open_files.py check                        # the whole command, 1 and 2 GB
    python benchmarks/open_files.py check --jsonl 100 --parquet 200

A Parquet file of images and a JSONL file of texts are written into a temporary folder. Each
measurement is a process of its own; memory is the peak of its RSS above what it was after the
imports.

With `check` the processes are the command `unified-vl check --rows 200` and one that loads the
file with `datasets`. Time is that of the whole process; memory is its peak above that of the same
process with a file of a single row.
"""

from __future__ import annotations

import argparse
import io
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
    parser.add_argument("what", nargs="?", choices=("check",), help="the whole command")
    parser.add_argument("--jsonl", type=int, default=1000, help="megabytes, with check")
    parser.add_argument("--parquet", type=int, default=2000, help="megabytes, with check")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, folder = options.measure
        print(json.dumps(measured(what, Path(folder))))
        return
    if options.what:
        check_command(options.jsonl, options.parquet, options.repeats)
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


def check_command(jsonl: int, parquet: int, repeats: int) -> None:
    """Measure `check --rows 200` beside `load_dataset`, and record the table of large files."""
    with tempfile.TemporaryDirectory() as name:
        whole, single = Path(name) / "whole", Path(name) / "single"
        whole.mkdir()
        single.mkdir()
        load = os.getloadavg()[0]
        rows: list[dict[str, object]] = []
        for reader, megabytes in (("jsonl", jsonl), ("parquet", parquet)):
            WRITERS[reader](whole, megabytes)
            WRITERS[reader](single, 0)
            sides = (f"command {reader}", f"loading {reader}")
            size = (whole / f"a.{reader}").stat().st_size / 1e6
            name_ = f"{reader}, {size:.0f} MB: `check --rows 200`"
            rows += compared(name_, sides, whole, repeats, single, size)
            (whole / f"a.{reader}").unlink()
    about = (
        f"{processor_name()}; whole processes, medians of {repeats} by turns; memory is the "
        "peak of RSS above that of the same process with a file of one row, and beside it what of "
        "the file's size that is; the ratio is the peer's time or memory by ours; "
        f"{os.cpu_count()} cores, load average {load:.1f} at the start; commit {commit()}."
    )
    if jsonl >= 1000 and parquet >= 2000:
        keep(rows, "Checking large files", f"{COMMAND} check", about)
    else:
        print(json.dumps(rows, indent=1))


def commit() -> str:
    """What is measured, as Git calls it."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.check_output(words, text=True, cwd=Path(__file__).parent).strip()


def write_files(folder: Path, megabytes: int) -> None:
    """The two files, and a spec for each."""
    write_jsonl(folder, megabytes)
    write_parquet(folder, megabytes * 6 // 10)


def words_of(drawn: random.Random) -> list[str]:
    return [f"w{drawn.getrandbits(24):x}" for _ in range(5000)]


def write_jsonl(folder: Path, megabytes: int) -> None:
    """A file of texts, of one row at least, and its spec."""
    drawn = random.Random(0)
    words = words_of(drawn)
    (folder / "jsonl.yaml").write_text(TEXTS.format(reader="jsonl", key="key_column: id"))
    with (folder / "a.jsonl").open("w") as file:
        number = 0
        while number == 0 or file.tell() < megabytes * 1_000_000:
            row = {
                "id": f"k{number}",
                "image": f"images/{number:08d}.jpg",
                "caption": " ".join(drawn.choices(words, k=20)),
                "box": [round(drawn.random() * 100, 3) for _ in range(4)],
                "other": {"a": number, "b": "x" * 20},
            }
            file.write(json.dumps(row) + "\n")
            number += 1


def jpegs(drawn: random.Random, count: int) -> list[bytes]:
    """Pictures of about IMAGE_BYTES, each another one."""
    from PIL import Image

    found = []
    for _ in range(count):
        rough = Image.frombytes("RGB", (120, 90), drawn.randbytes(120 * 90 * 3))
        buffer = io.BytesIO()
        rough.resize((480, 360)).save(buffer, "JPEG", quality=88)
        found.append(buffer.getvalue())
    return found


def write_parquet(folder: Path, megabytes: int) -> None:
    """A file of images, of one row at least, and its spec."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    drawn = random.Random(0)
    words, pictures = words_of(drawn), jpegs(drawn, 200)
    (folder / "parquet.yaml").write_text(SPEC.format(reader="parquet", key="key_column: id"))
    size = statistics.mean(map(len, pictures))
    images = max(1, int(megabytes * 1_000_000 / size))
    kinds = {"id": pa.string(), "image": pa.binary(), "caption": pa.string()}
    schema = pa.schema(kinds)
    # without dictionaries, in which the same picture would stand once
    with pq.ParquetWriter(folder / "a.parquet", schema, use_dictionary=False) as writer:
        for start in range(0, images, GROUP):
            numbers = range(start, min(start + GROUP, images))
            table = {
                "id": [f"k{n}" for n in numbers],
                # what follows the end of a JPEG is none of it, and tells files apart
                "image": [pictures[n % len(pictures)] + n.to_bytes(8, "big") for n in numbers],
                "caption": [" ".join(drawn.choices(words, k=20)) for _ in numbers],
            }
            writer.write_table(pa.table(table, schema))


WRITERS = {"jsonl": write_jsonl, "parquet": write_parquet}


def compared(
    name: str,
    sides: tuple[str, str],
    folder: Path,
    repeats: int,
    base: Path | None = None,
    size: float = 0,
) -> list[dict[str, object]]:
    """Rows of the table: time and memory of ours and of the peer.

    Args:
        name: of what is compared.
        sides: what ours and the peer are called in CALLS.
        folder: holds the files.
        repeats: processes of each side.
        base: a folder with files of one row: what they take is taken off; time then is that of
            the whole process.
        size: megabytes of the file, which memory is said in too.
    """
    found: list[list[dict[str, float]]] = [[], []]
    least = [0.0 if base is None else _process(side, base)["megabytes"] for side in sides]
    for _ in range(repeats):
        for side, kept in zip(sides, found, strict=True):
            kept.append(_process(side, folder, whole=base is not None))
    rows: list[dict[str, object]] = []
    for key, unit in (("seconds", "s"), ("megabytes", "MB")):
        ours, peer = (statistics.median(one[key] for one in kept) for kept in found)
        label = f"{name}: {'time' if unit == 's' else 'memory'}"
        if unit == "MB":
            ours, peer = ours - least[0], peer - least[1]
            label += f" ({ours / size:.2f} of the file)" if size else ""
        rows.append(
            {
                "name": label,
                "ours": round(ours, 2),
                "peer": round(peer, 2),
                "unit": unit,
                "ratio": round(peer / max(ours, 0.01), 2),
                "peer_name": PEER,
            }
        )
    print(json.dumps(rows), flush=True)
    return rows


def _process(side: str, folder: Path, whole: bool = False) -> dict[str, float]:
    """What a process of one side measured; its seconds are its own, or those of all of it."""
    command = [sys.executable, __file__, "--measure", side, str(folder)]
    started = time.perf_counter()
    said = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    return {**said, "seconds": time.perf_counter() - started} if whole else dict(said)


def measured(what: str, folder: Path) -> dict[str, float]:
    """Seconds of a call, and megabytes above those after the imports."""
    call = CALLS[what](folder)
    before = 0
    if what.split()[0] not in WHOLE:
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


def _command(reader: str) -> Callable[[Path], Callable[[], Any]]:
    """The command as a user calls it, all of it in this process."""

    def prepare(folder: Path) -> Callable[[], Any]:
        def run() -> None:
            from unified_vl.cli.main import main as command_line

            sys.argv = ["unified-vl", "check", str(folder / f"{reader}.yaml")]
            sys.argv += ["--data", str(folder), "--rows", "200"]
            try:
                command_line()
            except SystemExit as end:
                assert not end.code, end.code

        return run

    return prepare


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


WHOLE = ("command", "loading")  # of which all of the process is measured
CALLS = {
    "command jsonl": _command("jsonl"),
    "loading jsonl": _loaded("jsonl"),
    "command parquet": _command("parquet"),
    "loading parquet": _loaded("parquet"),
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
