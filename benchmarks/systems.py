"""What single ideas of published vision-language systems give here, beside the plain model.

    python benchmarks/systems.py                            # all rows, writes its section
    python benchmarks/systems.py --rows contrast masked     # some; the plain model comes with them
    python benchmarks/systems.py --languages en de --rows switched translations
    python benchmarks/systems.py --list                     # what there is

A small Emoji World in one language or a few; all rows are scored by its captions. Each row trains
for the same processor time: how many updates that is, is measured first. Rows of `--once`, which
are far from the plain model, are trained with one seed. Rows about two languages need a world of
both, which has a section of its own. Finished trainings in the
output folder are not done again, and one that was stopped goes on where its last checkpoint is.
docs/systems.md has the list of systems, and what each row is of.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from record import machine, record
from ruamel.yaml import YAML
from systems_ideas import IDEAS, PLAIN, STEM
from systems_world import CONCEPTS, prepare, tasks_of, tokenizer_of, write_specs, write_yaml

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions

ROOT = Path(__file__).parents[1]
BATCH = 16  # rows
SHORT, LONGER = 80, 180  # updates that are timed: a queue of 1,024 rows is full after 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=IDEAS, default=None, metavar="ROW")
    parser.add_argument("--seconds", type=float, default=300, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--once", nargs="+", choices=IDEAS, default=[], metavar="ROW", help="rows of one seed"
    )
    parser.add_argument("--languages", nargs="+", default=["en"], metavar="TAG")
    parser.add_argument("--scenes", type=int, default=2000, help="pictures to train on")
    parser.add_argument("--test", type=int, default=200, help="test captions")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--output", type=Path, help="default: runs/systems-LANGUAGES")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {idea.systems}" for name, idea in IDEAS.items()))
        return
    possible = [name for name, idea in IDEAS.items() if set(idea.languages) <= {*options.languages}]
    if others := set(options.rows or ()) - set(possible):
        parser.error(f"{', '.join(sorted(others))}: needs further --languages")
    if options.output is None:
        options.output = ROOT / "runs" / f"systems-{'-'.join(options.languages)}"
    names = [name for name in possible if name in (PLAIN, *(options.rows or possible))]
    world = EmojiWorldOptions(
        concepts=CONCEPTS,
        train_scenes=options.scenes,
        validation_scenes=60,
        test_scenes=options.test,
    )
    prepare(options.output, names, world, options.languages)
    seeds = {name: 1 if name in options.once else options.seeds for name in names}
    results = [finished(name, seed, options) for name in names for seed in range(seeds[name])]
    command = command_of(options)
    section = as_table(results, command, options)
    print(section)
    of_all = {"section": section.partition("\n")[0], "command": command, "machine": machine()}
    record(section, [of_all | each for each in results], apart="section")


def command_of(options: argparse.Namespace) -> str:
    chosen = "" if options.rows is None else f" --rows {' '.join(options.rows)}"
    chosen += f" --once {' '.join(options.once)}" if options.once else ""
    return (
        f"python benchmarks/systems.py --seconds {options.seconds:g} --seeds {options.seeds} "
        f"--languages {' '.join(options.languages)} --scenes {options.scenes} "
        f"--test {options.test}{chosen}"
    )


def finished(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The result of a training, which is done unless it was before."""
    kept = options.output / "results" / f"{name}-{seed}-{options.seconds:g}.json"
    if not kept.exists():
        write_atomically(kept, json.dumps(result_of(name, seed, options)))
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    print(
        f"{name}, seed {seed}: {result['updates']} updates, chrF {result['chrf']:.1f}", flush=True
    )
    return result


def result_of(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test."""
    folder = options.output / f"{name}-{seed}-{options.seconds:g}"
    planned = folder / "updates.json"
    if not planned.exists():  # once, so that a training that goes on is the one that began
        for steps in (SHORT, LONGER):
            shutil.rmtree(folder / f"timed-{steps}", ignore_errors=True)
        timed = [
            seconds_of(write_run(name, seed, n, folder / f"timed-{n}")) for n in (SHORT, LONGER)
        ]
        each = (timed[1] - timed[0]) / (LONGER - SHORT)
        write_atomically(planned, json.dumps(max(int(options.seconds / each), LONGER)))
    updates = json.loads(planned.read_text(encoding="utf-8"))
    run = write_run(name, seed, updates, folder / "whole")
    seconds = seconds_of(run)
    report = evaluate(
        UnifiedVL.from_pretrained(run.output / "model"),
        [run.loaded_mixture.specs[0]],
        "test",
        run.data,
        model_name=name,
        limit=options.test,
    ).report
    seen = report["tasks"][IDEAS[name].task]["by"]["cell"]["seen"]
    scores = {"chrf": seen["chrf"], "exact_match": seen["exact_match"]}
    return {"name": name, "seed": seed, "updates": updates, "seconds": round(seconds)} | scores


def seconds_of(run: Run) -> float:
    """Processor time of a training, or of what was left of it."""
    begun = time.process_time()
    train(run, resume=True, progress=False)
    return time.process_time() - begun


def write_run(name: str, seed: int, steps: int, folder: Path) -> Run:
    """The mixture and the run of a training."""
    idea, root = IDEAS[name], folder.resolve().parents[1]
    specs = write_specs(root / "specs")
    tasks = [{"spec": str(specs[task])} for task in tasks_of(idea)]
    tasks[0] |= idea.caption
    write_yaml(folder / "mixture.yaml", {"mixture": "systems", "version": 1, "tasks": tasks})
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    run["model"] |= {"d_model": 96, "d_kv": 24, "d_ff": 192, "num_heads": 4}
    run["model"] |= {"vision": STEM, **idea.model}
    run["optimizer"]["warmup_steps"] = max(min(100, steps // 10), 1)
    run |= {
        "run": "systems",
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": str(root / "data"),
        "tokenizer": str(tokenizer_of(name, root)),
        "output": "run",
        "engine": str(ROOT / "deepspeed_configs/zero0.json"),
        "steps": steps,
        "batch_size": BATCH,
        "validation_rows": 0,
        "checkpoint_every": max(steps // 4, 1),
    }
    write_yaml(folder / "run.yaml", run)
    return load_run(folder / "run.yaml")


def as_table(
    results: Sequence[Mapping[str, Any]], command: str, options: argparse.Namespace
) -> str:
    """The benchmark's section, as Markdown: means and standard deviations over seeds."""
    several = len(options.languages) > 1
    where = f", in {' and '.join(options.languages)}" if several else ""
    lines = [
        f"# Ideas of published systems{where}",
        "",
        f"`{command}` on {machine()}: captions of Emoji World with {CONCEPTS} emoji, scored on at "
        f"most {options.test} test rows in cells that were seen, after {options.seconds:g} s of "
        "processor time of each training, in which a further task takes its share. How many "
        "updates that is, is planned from a few at the start; how long they took is the column s. "
        "A model of 96 dimensions and 2 + 2 layers.",
        "",
        "| row | systems | seeds | updates | s | chrF | exact match, % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(result["name"] for result in results):
        of_name = [result for result in results if result["name"] == name]
        updates, seconds = (
            statistics.mean(result[key] for result in of_name) for key in ("updates", "seconds")
        )
        cells = [_spread([result[key] for result in of_name]) for key in ("chrf", "exact_match")]
        lines.append(
            f"| {name} | {IDEAS[name].systems} | {len(of_name)} | {updates:.0f} | "
            f"{seconds:.0f} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


if __name__ == "__main__":
    main()
