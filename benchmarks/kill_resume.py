"""Kill a training at random points and go on: `python benchmarks/kill_resume.py --kills N`.

A small Emoji World run is trained once without a break. Then, N times, the same run is
started anew, ended by SIGKILL (every other time at a random moment, every other time at a named
point of what it writes), started again with `--resume`, and compared with the unbroken one: every
file of the output directory. So every tensor of the model, of the best model, of the
optimiser's state and of the masters, the schedule and the positions in the data, and each event
of the record (task, loss, gradient norm and tokens of the steps), bit for bit.

The trainings are the command line, `unified-vl train RUN [--resume]`, in processes forked
from one that has loaded the libraries, because loading takes longer than training.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import machine, record

from unified_vl.checkpoint_folders import MANIFEST
from unified_vl.cli.main import main as unified_vl
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.files import write_atomically
from unified_vl.run_record import CHECKPOINTS
from unified_vl.specs.load import load_run
from unified_vl.training import checkpoint, trainer  # noqa: F401  loads what the forked processes need
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.record.models import ModelWriter
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
LOG = "log.txt"
STEPS = 40
EVERY = 4  # steps between two checkpoints
POINTS: dict[str, tuple[Any, str]] = {  # the kill comes when this is called
    "before the state of a checkpoint": (Engine, "save"),
    "before the manifest of a checkpoint": (checkpoint, "write_manifest"),
    "before the best model": (ModelWriter, "write_best"),
    "within a model": (SequenceCodec, "save"),
    "between the renames of a model": (Path, "rename"),
}

MIXTURE = f"""
mixture: killed
version: 1
tasks:
  - {{spec: {ROOT}/task_specs/emoji/emoji_translate.yaml}}
  - {{spec: {ROOT}/task_specs/emoji/emoji_caption.yaml, batches: 2, contrast: 0.5}}
  - {{spec: {ROOT}/task_specs/emoji/emoji_ground.yaml, from_round: 3}}
schedule: {{kind: round_robin, order: seeded}}
"""
RUN = """
run: killed
version: 1
mixture: mixture.yaml
data: {work}/data
tokenizer: {work}/tokenizer
output: {work}/output
steps: {steps}
batch_size: 8
model:
  d_model: 32
  d_kv: 8
  d_ff: 48
  num_layers: 1
  num_decoder_layers: 1
  num_heads: 4
  vision: {{kind: stem, image_size: [32, 32], patch_size: 16, channels: [16, 16]}}
engine: {engine}
max_source_tokens: 64
max_target_tokens: 32
log_every: 3
validate_every: 10
validation_rows: 8
checkpoint_every: {every}
"""


def in_a_process(work: Callable[[], object], log: Path) -> int:
    """Start `work` in a fork of this process that prints to `log`; returns the process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        work()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(child: int, log: Path) -> None:
    _, status = os.waitpid(child, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise RuntimeError(f"a process ended with {code}: {log.read_text()}")


def train(work: Path, name: str, *options: str, until: tuple[str, int] | None = None) -> int:
    """`unified-vl train` into work/name, in a process of its own; perhaps until it kills itself.

    Args:
        until: a point, and the time of its being reached that ends it.
    """
    arguments = ["train", str(work / "run.yaml"), f"output={work / name}", *options]

    def run() -> None:
        sys.argv = ["unified-vl", *arguments]
        if until is not None:
            die_at(*until)
        unified_vl()

    return in_a_process(run, work / LOG)


def die_at(point: str, time: int) -> None:
    """SIGKILL to this process when it reaches a point for the time `time`."""
    place, name = POINTS[point]
    before, left = getattr(place, name), time

    def dying(*arguments: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **more)

    setattr(place, name, dying)


def prepare(work: Path, engine: Path) -> None:
    """Emoji World with few emoji, its tokenizer, and the run file."""
    write_atomically(work / "mixture.yaml", MIXTURE)
    text = RUN.format(work=work, steps=STEPS, every=EVERY, engine=engine.resolve())
    write_atomically(work / "run.yaml", text)

    def write() -> None:
        options = EmojiWorldOptions(
            concepts=28, train_scenes=64, validation_scenes=8, test_scenes=8, image_size=32
        )
        run = load_run(work / "run.yaml")
        write_emoji_world(run.data, options)
        specs = run.loaded_mixture.specs
        train_tokenizer(texts_of_specs(specs, run.data), specs, run.tokenizer, 600)

    finish(in_a_process(write, work / LOG), work / LOG)


def kill(work: Path, name: str, draw: random.Random, seconds: float, aimed: bool) -> str:
    """Train until a drawn moment or point; returns where the process was when it was killed."""
    while True:
        shutil.rmtree(work / name, ignore_errors=True)
        if aimed:
            point, time_of_it = draw.choice(sorted(POINTS)), draw.randint(1, STEPS // EVERY)
            child = train(work, name, until=(point, time_of_it))
            if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                return f"{point}, time {time_of_it}"
            continue  # it is not reached so often: draw another
        moment = draw.uniform(0, seconds)
        child = train(work, name)
        start = time.monotonic()
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            if time.monotonic() - start > moment:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return describe(work / name)
            time.sleep(0.001)
        # it had ended before its moment came: draw another


def describe(output: Path) -> str:
    """How far a run had come that was killed at a random moment."""
    folders = sorted((output / CHECKPOINTS).glob("step-*"))
    if not folders:
        return "before the first checkpoint"
    whole = (folders[-1] / MANIFEST).exists()
    return f"{'after' if whole else 'while'} saving step {int(folders[-1].name[5:])}"


def outcome(output: Path) -> dict[str, Any]:
    """Every file that a run leaves, by its path, but times and that it was resumed."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        content: Any = path.read_bytes()
        if path.name == "events.jsonl":
            content = [json.loads(line) for line in content.splitlines()]
            content = [event for event in content if event["event"] != "resume"]
            for event in content:
                event.pop("seconds", None)
        elif path.name in ("progress.json", "training.json"):
            content = json.loads(content)
            content.get("journal", content).pop("seconds")
        elif path.name == MANIFEST:  # it has the digest of progress.json, with its times
            content = sorted(json.loads(content)["files"])
        found[path.relative_to(output).as_posix()] = content
    return found


def compare(work: Path, kills: int, seed: int) -> list[tuple[str, list[str]]]:
    """What each killed run was doing, and what of its outcome differs."""
    start = time.monotonic()
    finish(train(work, "unbroken"), work / LOG)
    seconds = time.monotonic() - start
    expected = outcome(work / "unbroken")
    draw = random.Random(seed)
    found = []
    for number in range(kills):
        doing = kill(work, "killed", draw, seconds, aimed=number % 2 == 1)
        finish(train(work, "killed", "--resume"), work / LOG)
        got = outcome(work / "killed")
        differing = [
            key for key in {**expected, **got} if key not in got or got[key] != expected.get(key)
        ]
        told = "bit-identical" if not differing else f"differs in {', '.join(differing)}"
        print(f"kill {number + 1}, {doing}: {told}", flush=True)
        found.append((doing, differing))
    return found


def write_down(found: list[tuple[str, list[str]]], command: str, engine: str) -> None:
    identical = sum(not differing for _, differing in found)
    aimed = sum(doing.partition(",")[0] in POINTS for doing, _ in found)
    early = sum(doing.startswith("before the first") for doing, _ in found)
    summary = f"{identical} of {len(found)} bit-identical"
    section = f"""# Kill and resume

`{command}` on {machine()}: {STEPS} steps of three Emoji World tasks, {engine}, a checkpoint
every {EVERY} steps, SIGKILL and `--resume`. Compared is every file of the output directory:
model, best model, masters, moments, schedule, positions in the data and every event, but for
times. Of the kills, {aimed} came at a named point of what is written (state or manifest of a
checkpoint, the best model, a model's files and renames), the others at a random moment,
{early} before the first checkpoint.

**{summary}**
"""
    row = {
        "name": f"kill and resume, {engine}",
        "ours": identical,
        "peer": len(found),
        "unit": "runs bit-identical",
        "ratio": round(identical / len(found), 2),
        "peer_name": "the same run, never killed",
        "command": command,
        "machine": machine(),
    }
    record(section, [row])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=3, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--engine", type=Path, default=ROOT / "deepspeed_configs" / "zero0_bf16.json"
    )
    parser.add_argument("--record", action="store_true", help="write the results down")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options.engine)
        found = compare(Path(folder), options.kills, options.seed)
    if options.record:
        command = f"python benchmarks/kill_resume.py --kills {options.kills} --seed {options.seed}"
        write_down(found, command, options.engine.stem)
    identical = sum(not differing for _, differing in found)
    print(f"{identical} of {len(found)} bit-identical")
    return 0 if identical == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
