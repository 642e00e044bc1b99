"""Kill a training and go on: `python benchmarks/kill_resume.py [LAUNCHER] --kills N`.

A small Emoji World run is trained once without a break. Then, N times, the same run is
started anew, ended by SIGKILL (every other time at a random moment, every other time at a named
point of what it writes; with `--aim best_model` always at a point of the best model's writing),
started again with `--resume`, and compared with the unbroken one: every file of the output
directory. So every tensor of the model, of the best model, of the optimiser's state and of the
masters, the schedule and the positions in the data, and each event of the record but for its
seconds, bit for bit.

The trainings are the command line, `unified-vl train RUN [--resume]`. Without a launcher they are
in processes forked from one that has loaded the libraries, because loading takes longer
than training. Under a launcher (`deepspeed --processes 2`) the aimed deaths take turns: rank 0 is
killed, all processes are killed at once, rank 0 gets a SIGTERM.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dying_training import AIMS, BEST_MODEL, HOW, POINTS, Death
from record import machine, record
from trainings import Fork, Starter, Training, forking, launching

from unified_vl.checkpoint_folders import MANIFEST
from unified_vl.files import write_atomically
from unified_vl.run_record import CHECKPOINTS, MODEL, TIMED
from unified_vl.specs.load import load_run
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
HEADING = "Kill and resume"
STEPS = 40
EVERY = 4  # steps between two checkpoints
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
packing: {packing}
compile: {compile}
workers: {workers}
max_source_tokens: 64
max_target_tokens: 32
log_every: 3
validate_every: 10
validation_rows: 8
checkpoint_every: {every}
"""


def prepare(
    work: Path, engine: Path, *, packing: bool = False, compile: bool = False, workers: int = 1
) -> None:
    """Emoji World with few emoji, its tokenizer, and the run file."""
    write_atomically(work / "mixture.yaml", MIXTURE)
    text = RUN.format(
        work=work,
        steps=STEPS,
        every=EVERY,
        engine=engine.resolve(),
        packing="true" if packing else "false",
        compile="true" if compile else "false",
        workers=workers,
    )
    write_atomically(work / "run.yaml", text)

    def write() -> None:
        os.chdir(work)  # a `data` of where it was called is not meant
        options = EmojiWorldOptions(
            concepts=28, train_scenes=64, validation_scenes=8, test_scenes=8, image_size=32
        )
        run = load_run(work / "run.yaml")
        write_emoji_world(run.data, options)
        specs = run.loaded_mixture.specs
        train_tokenizer(texts_of_specs(specs, run.data), specs, run.tokenizer, 600)

    finish(Fork(write, work / "log.txt"), work / "log.txt")


def finish(training: Training, log: Path) -> None:
    if code := training.wait():
        raise RuntimeError(f"a training ended with {code}: {log.read_text()}")


@dataclass
class Killer:
    """Starts the trainings of a folder, and ends them.

    Attributes:
        work: has run.yaml.
        start: of `trainings`.
        draw: moments, points, and times of their being reached.
        deaths: how the aimed ones happen, by turns.
        aim: of `AIMS`; an empty one leaves every other kill to chance.
        times: how often a point may be reached, at most.
    """

    work: Path
    start: Starter
    draw: random.Random
    deaths: Iterator[str]
    aim: str = ""
    times: int = STEPS // EVERY

    @property
    def log(self) -> Path:
        return self.work / "log.txt"

    def train(self, name: str, *options: str, death: Death | None = None) -> Training:
        """`unified-vl train` into work/name; perhaps until it dies."""
        arguments = ["train", str(self.work / "run.yaml"), f"output={self.work / name}", *options]
        return self.start(arguments, self.log, death)

    def kill(self, name: str, seconds: float, number: int) -> str:
        """Train until a drawn moment or point; returns where the training was when it ended."""
        aimed = bool(self.aim) or number % 2 == 1
        how = next(self.deaths) if aimed else ""
        while True:
            shutil.rmtree(self.work / name, ignore_errors=True)
            killed = self._at_a_point(name, how) if aimed else self._at_a_moment(name, seconds)
            if killed is not None:
                return killed

    def _at_a_point(self, name: str, how: str) -> str | None:
        """None if the drawn one is not reached so often, or the training is as good as over."""
        death = Death(self.draw.choice(AIMS[self.aim]), self.draw.randint(1, self.times), how)
        code = self.train(name, death=death).wait()
        # what a stop adds to the last checkpoints stays where no others come after it
        enough = how != "SIGTERM" or newest_step(self.work / name) <= STEPS - 3 * EVERY
        ended = not (self.work / name / MODEL).exists()
        told = "" if code == -signal.SIGKILL else f", code {code}"
        return f"{death}{told}" if ended and enough else None

    def _at_a_moment(self, name: str, seconds: float) -> str | None:
        """None if it had ended before."""
        moment, start = self.draw.uniform(0, seconds), time.monotonic()
        training = self.train(name)
        while training.poll() is None:
            if time.monotonic() - start > moment:
                training.kill()
                return describe(self.work / name)
            time.sleep(0.001)
        return None


def newest_step(output: Path) -> int:
    """The step of the newest checkpoint; 0 before the first."""
    names = [folder.name[5:] for folder in (output / CHECKPOINTS).glob("step-*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


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
                for timed in TIMED:
                    event.pop(timed, None)
        elif path.name in ("progress.json", "training.json"):
            content = json.loads(content)
            content.get("journal", content).pop("seconds")
        elif path.name == MANIFEST:  # it has the digest of progress.json, with its times
            content = sorted(json.loads(content)["files"])
        found[path.relative_to(output).as_posix()] = content
    return found


def compare(killer: Killer, kills: int, *, compile: bool = False) -> list[tuple[str, list[str]]]:
    """What each killed run was doing, and what of its outcome differs."""
    work = killer.work
    if compile:  # a first run makes programs, and those whose length counts find them
        finish(killer.train("first"), killer.log)
    start = time.monotonic()
    finish(killer.train("unbroken"), killer.log)
    seconds = time.monotonic() - start
    expected = outcome(work / "unbroken")
    if killer.aim:
        killer.times = sum(event["event"] == "best" for event in expected["events.jsonl"])
    found = []
    for number in range(kills):
        doing = killer.kill("killed", seconds, number)
        finish(killer.train("killed", "--resume"), killer.log)
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
    deaths = [doing for doing, _ in found if doing.partition(",")[0] in POINTS]
    early = sum(doing.startswith("before the first") for doing, _ in found)
    chance = ""
    if len(deaths) < len(found):
        chance = f"\nThe others came at a random moment, {early} before the first checkpoint."
    aimed = "\n".join(f"- {doing}" for doing in deaths)
    summary = f"{identical} of {len(found)} bit-identical"
    keys = ", ".join(engine.split(", ")[1:])
    having = f" with {keys}" if keys else ""
    section = f"""# {HEADING}{launcher_of(command)}{having}

`{command}` on {machine()}: {STEPS} steps of three Emoji World tasks, {engine}, a checkpoint
every {EVERY} steps, an end and `--resume`. Compared is every file of the output directory:
model, best model, masters, moments, schedule, positions in the data and every event, but for
times. Ends at a named point of what is written (SIGKILL unless another is said):

{aimed}
{chance}
**{summary}**
"""
    row = {
        "name": f"kill and resume{launcher_of(command)}, {engine}",
        "ours": identical,
        "peer": len(found),
        "unit": "runs bit-identical",
        "ratio": round(identical / len(found), 2),
        "peer_name": "the same run, never killed",
        "command": command,
        "machine": machine(),
    }
    record(section, [row], apart="name")


def launcher_of(command: str) -> str:
    """` under deepspeed`, where it names one."""
    before = command.partition(" --")[0].split()
    return f" under {before[2]}" if len(before) > 2 else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("launcher", nargs="?", choices=["deepspeed", "torchrun"])
    parser.add_argument("--processes", type=int, default=2, help="under the launcher")
    parser.add_argument("--kills", type=int, default=3, help="how many runs to kill")
    parser.add_argument("--aim", choices=[BEST_MODEL], default="", help="only while it is written")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--engine", type=Path, default=ROOT / "deepspeed_configs" / "zero0_bf16.json"
    )
    parser.add_argument("--packing", action="store_true", help="compute without padding")
    parser.add_argument("--compile", action="store_true", help="compile the blocks")
    parser.add_argument("--workers", type=int, default=1, help="threads that read rows")
    parser.add_argument("--record", action="store_true", help="write the results down")
    options = parser.parse_args()
    if not 1 <= options.workers <= 256:
        parser.error(f"--workers {options.workers}: expected 1 to 256")
    start = forking
    if options.launcher is not None:
        start = launching(options.launcher, options.processes)
    deaths = itertools.cycle(HOW if options.launcher else [*HOW][:2])
    with tempfile.TemporaryDirectory() as folder:
        asked = {"packing": options.packing, "compile": options.compile}
        keys = {**asked, "workers": options.workers}
        prepare(Path(folder), options.engine, **keys)
        killer = Killer(Path(folder), start, random.Random(options.seed), deaths, options.aim)
        found = compare(killer, options.kills, compile=options.compile)
    if options.record:
        command = " ".join(["python benchmarks/kill_resume.py", *sys.argv[1:]])
        having = [key for key, on in asked.items() if on]
        workers = [f"{options.workers} workers"] if options.workers > 1 else []
        engine = ", ".join([options.engine.stem, *having, *workers])
        write_down(found, command.replace(" --record", ""), engine)
    identical = sum(not differing for _, differing in found)
    print(f"{identical} of {len(found)} bit-identical")
    return 0 if identical == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
