"""How fast batches of images come: `python benchmarks/data_feed.py`.

JPEGs of 640 x 480 with noise, to 224 x 224. Sides take turns. Of one thread its processor time is
taken, so another load of the machine counts little; of several threads or processes the time that
passes. Whole trainings of 5 and of 100 tasks are processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from record import machine, record
from torch.utils.data import DataLoader, Dataset

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.batching import Batch
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.streams import TaskStream
from unified_vl.data.workers import Workers
from unified_vl.files import write_atomically
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.trainer import train

COMMAND = "python benchmarks/data_feed.py"
SIDE, BATCH, BATCHES, PICTURES, WORLD = 224, 32, 16, 400, 8
LOADED = 3 * BATCHES  # batches of the sides with workers: two windows are measured on the way
WORKERS = 2
WORDS = "a man and a woman ride two horses along the beach at dawn before it rains"
STEPS, ROWS = 1600, 8  # of a training; each of 100 tasks has one window of 16 batches
SPEC = """\
task: {name}
version: 1
about: Say what is on it.
data: {{reader: jsonl, path: rows.jsonl, splits: {{train: train}}, languages: [en]}}
fields: {{image: {{kind: image, column: image}}, caption: {{kind: text, column: caption}}}}
example: {{source: "{{task}} {{image}}", target: "{{caption}}"}}
score: [{{metric: chrf, against: caption, primary: true}}]
"""
RUN: dict[str, Any] = {
    "run": "feed",
    "version": 1,
    "data": ".",
    "tokenizer": "tokenizer",
    "steps": STEPS,
    "batch_size": ROWS,
    "model": {
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "num_heads": 4,
        "vision": {"kind": "patches", "image_size": [32, 32], "patch_size": 16},
    },
    "max_source_tokens": 32,
    "max_target_tokens": 64,
    "validation_rows": 0,
    "checkpoint_every": 10**6,
    "keep_best": False,
}


def write_world(root: Path) -> SequenceCodec:
    """Pictures, four rows of each, and specs of 100 tasks of them; gives their codec."""
    draw = np.random.default_rng(0)
    for number in range(PICTURES):
        small = Image.fromarray(draw.integers(0, 256, (40, 54, 3), np.uint8))
        picture = np.asarray(small.resize((640, 480), Image.Resampling.BICUBIC)).astype(np.int16)
        picture = (picture + draw.integers(-12, 13, picture.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(root / f"{number}.jpg", quality=90)
    words = WORDS.split()
    rows = [
        {"image": f"{n % PICTURES}.jpg", "caption": " ".join(words[: draw.integers(4, 16)])}
        for n in range(4 * PICTURES)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [f"say{n}" for n in range(100)]
    for name in names:
        (root / f"{name}.yaml").write_text(SPEC.format(name=name))
    text = train_text_tokenizer([" ".join(words)] * 50, root / "tokenizer" / "text.model", 300)
    vocabulary = Vocabulary(len(text), standard_tags(["en"], names, ()))
    write_atomically(root / "tokenizer" / "vocabulary.json", vocabulary.to_json())
    return SequenceCodec(vocabulary, text, image_tokens=196, image_size=(SIDE, SIDE))


def stream(root: Path, codec: SequenceCodec, workers: int = 1) -> TaskStream:
    """Batches of the first task, whose decoded images are not kept."""
    spec = load_task(root / "say0.yaml")
    data = TaskData(spec, "train", root)
    builder = ExampleBuilder(
        spec, ImageLoader(root, (SIDE, SIDE), cache_bytes=0), codec=codec, rows=data
    )
    return TaskStream(
        data,
        builder,
        codec,
        seed=0,
        batch_size=BATCH,
        sketch=builder.unread(),
        workers=Workers(workers),
    )


def of_rank_0(root: Path, codec: SequenceCodec, world: int) -> float:
    """Its images a second of processor time, over whole windows."""
    batches = stream(root, codec)
    batches.batch(BATCHES * world, 0, world)  # the first of anything takes longer
    start = time.process_time()
    numbers = range(BATCHES * world)  # as many rows of its own
    rows = sum(len(batches.batch(number, 0, world).examples) for number in numbers)
    return rows / (time.process_time() - start)


def with_workers(root: Path, codec: SequenceCodec, workers: int) -> tuple[float, float]:
    """Batches with the rows of the next one under way, as in training."""
    batches = stream(root, codec, workers)

    def ahead() -> Iterator[Batch]:
        waiting = batches.started(0)
        for number in range(1, LOADED):
            following = batches.started(number)
            yield waiting()[0]
            waiting = following
        yield waiting()[0]

    return speeds(ahead, lambda batch: batch.pixel_values_NCHW)


class Pictures(Dataset[torch.Tensor]):
    """The same pictures for torch's loader: opened, resized and made a tensor by Pillow."""

    def __init__(self, root: Path) -> None:
        rows = (root / "rows.jsonl").read_text().splitlines()
        self.paths = [root / json.loads(row)["image"] for row in rows]

    def __len__(self) -> int:
        return LOADED * BATCH

    def __getitem__(self, number: int) -> torch.Tensor:
        with Image.open(self.paths[number * 7919 % len(self.paths)]) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()


def of_torch(root: Path, workers: int) -> tuple[float, float]:
    """Batches of torch's loader."""
    loader = DataLoader(Pictures(root), BATCH, num_workers=workers)
    return speeds(lambda: iter(loader), lambda batch: batch)


def speeds(
    batches: Callable[[], Iterator[Any]], pixels: Callable[[Any], Any]
) -> tuple[float, float]:
    """Images a second, and a second of all processors from the start.

    When the first batch of torch's loader is there, each other of its workers has one as good as
    ready, too, and at the end none is under way. So the clock that starts behind the first batch
    stops as many batches before the end.
    """
    before, each, rows = processor_seconds(), batches(), 0
    times = []
    for batch in each:
        times.append(time.perf_counter())
        rows += len(pixels(batch))
    del each  # processes are counted when they have ended
    seconds = times[-WORKERS] - times[0]
    return BATCH * (len(times) - WORKERS) / seconds, rows / (processor_seconds() - before)


def processor_seconds() -> float:
    """Of this process, and of those of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def training(root: Path, tasks: int) -> dict[str, float]:
    """A training in this process: processor seconds a step behind the first, and MiB at most."""
    entries = [{"spec": f"say{n}.yaml"} for n in range(tasks)]
    mixture = {"mixture": "feed", "version": 1, "tasks": entries}
    (root / f"mixture{tasks}.yaml").write_text(json.dumps(mixture))
    with tempfile.TemporaryDirectory() as output:
        run = {**RUN, "mixture": f"mixture{tasks}.yaml", "output": f"{output}/run"}
        (root / f"run{tasks}.yaml").write_text(json.dumps(run))
        times: list[float] = []
        step = Engine.step

        def timed(self: Engine, *arguments: Any) -> float:
            times.append(time.process_time())
            return step(self, *arguments)

        with mock.patch.object(Engine, "step", timed):
            train(load_run(root / f"run{tasks}.yaml"), progress=False)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": (times[-1] - times[0]) / (len(times) - 1), "mib": most}


def trainings(root: Path) -> dict[int, dict[str, float]]:
    """Of 5 and of 100 tasks, both at once: so both meet the same machine."""
    started = {
        tasks: subprocess.Popen(
            [sys.executable, __file__, "--tasks", str(tasks), "--root", str(root)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for tasks in (5, 100)
    }
    found = {tasks: process.communicate()[0] for tasks, process in started.items()}
    return {tasks: json.loads(told.splitlines()[-1]) for tasks, told in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tasks:
        print(json.dumps(training(given.root, given.tasks)))
        return
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        codec = write_world(root)
        sides: dict[str, Callable[[], tuple[float, ...]]] = {
            "rank 0 of 1": lambda: (of_rank_0(root, codec, 1),),
            f"rank 0 of {WORLD}": lambda: (of_rank_0(root, codec, WORLD),),
            "workers: 1": lambda: with_workers(root, codec, 1),
            "workers: 2": lambda: with_workers(root, codec, WORKERS),
            "DataLoader": lambda: of_torch(root, WORKERS),
        }
        found: dict[str, list[tuple[float, ...]]] = {side: [] for side in sides}
        for _ in range(given.rounds):
            for side, measure in sides.items():
                found[side].append(measure())
                print(side, [round(rate, 1) for rate in found[side][-1]], flush=True)
        trained = trainings(root)
    rates = {
        side: [statistics.median(values) for values in zip(*runs, strict=True)]
        for side, runs in found.items()
    }
    few, many = trained[5], trained[100]
    mine, theirs = rates["workers: 2"], rates["DataLoader"]
    comparisons = [
        (
            f"images a processor second of rank 0: {WORLD} ranks, one",
            rates[f"rank 0 of {WORLD}"][0],
            rates["rank 0 of 1"][0],
        ),
        ("images a second: `workers: 2`, torch's DataLoader with two", mine[0], theirs[0]),
        ("images a processor second: the same two", mine[1], theirs[1]),
        ("images a second: `workers: 2`, `workers: 1`", mine[0], rates["workers: 1"][0]),
        (
            "processor milliseconds a step: 100 tasks, 5",
            many["seconds"] * 1000,
            few["seconds"] * 1000,
        ),
        ("MiB at most: 100 tasks, 5", many["mib"], few["mib"]),
    ]
    rows = [
        {"command": COMMAND, "what": what, "ours": one, "beside": other, "ratio": one / other}
        for what, one, other in comparisons
    ]
    lines = [
        f"| {r['what']} | {r['ours']:.1f} | {r['beside']:.1f} | {r['ratio']:.2f} |" for r in rows
    ]
    text = "\n".join(["| what | one | other | ratio |", "| --- | --: | --: | --: |", *lines])
    print(text)
    about = (
        f"JPEGs of 640 x 480 to {SIDE} x {SIDE}, batches of {BATCH} over all ranks, medians of "
        f"{given.rounds} alternating runs of {BATCHES} batches a rank, and of {LOADED} with "
        f"workers, whose clock stops {WORKERS - 1} before the end; `workers` with the texts and "
        "their ids, the DataLoader images alone (Pillow, bicubic). Processor seconds are of all "
        f"threads and processes. Trainings of {STEPS} steps of {ROWS} rows, one task a step, of "
        "which all tasks read the same files; both ran at once. The load of the "
        f"machine's {os.cpu_count()} cores was {load:.1f} at the beginning."
    )
    record(f"# Feeding data\n\n`{COMMAND}`, {machine()}. {about}\n\n{text}", rows)


if __name__ == "__main__":
    main()
