"""What joint training, stop-and-go, task tags and curricula do on Emoji World.

The ablation of 12-in-1 (arXiv 1912.02315, section 5) at a size that 2 CPU cores train:

    python benchmarks/ablation.py                   # prints the table, writes ABLATION.md
    python benchmarks/ablation.py --seeds 1 --updates 20 --output /tmp/try   # to try it
    python benchmarks/ablation.py --seeds 1 --pairs emoji_ground             # who holds it back

Every joint run has the same number of optimiser steps: `--updates` for each of the five
tasks on average. One model a task gets as many updates of its own. Finished runs in the
output folder are not done again, so that `--part 1/2` and `--part 2/2` can work side by side
before a last call makes the table; `--only NAME ...` does the named rows alone. It computes in
bf16, and in float32 on a CPU that is slow in bf16.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.distributed.devices import is_slow_in_bf16
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
DIFFICULTY = {  # by the updates that each needed alone
    "emoji_translate": 1,
    "easy_vqa": 2,
    "emoji_caption": 3,
    "emoji_match": 4,
    "emoji_ground": 5,
}
TASKS = tuple(DIFFICULTY)
CONTRAST = {"emoji_caption": {"contrast": 1.0}}
ALIGNED = CONTRAST | {
    "emoji_translate": {"text_contrast": 1.0},
    "emoji_ground": {"phrase_alignment": 1.0},
}
CPU = torch.device("cpu")
STOP_AND_GO = {"stop_and_go": {}}


@dataclass(frozen=True)
class Condition:
    """One row of the table.

    Attributes:
        schedule: of the mixture.
        balance: of the mixture.
        tags: of the mixture.
        alone: a model for each task.
        conflicts: the gradients of its tasks are measured beside.
        headline: done with all seeds, not only the first.
        tasks: that are trained.
        validations: of a run, evenly spread, beside that of its end.
        objectives: of tasks, beside their targets.
        turns: of tasks that differ from a batch a round from the first one on.
    """

    name: str
    schedule: Mapping[str, Any] = field(default_factory=dict)
    balance: Mapping[str, Any] | None = None
    tags: str = "task"
    alone: bool = False
    conflicts: bool = False
    headline: bool = False
    tasks: Sequence[str] = TASKS
    validations: int = 0
    objectives: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: CONTRAST)
    turns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def conditions(updates: int) -> list[Condition]:
    """The rows; a level of a curriculum joins after a tenth of the rounds.

    Args:
        updates: of each task, a multiple of 50 if the turns are to come out even.
    """
    later = max(updates // 10, 1)
    late = {"from_round": updates // 2, "batches": 2}
    often, last = {"batches": 10}, {"batches": 25, "from_round": updates * 6 // 100}
    return [
        Condition("one model a task", alone=True, headline=True),
        Condition("one model a task, aligned", objectives=ALIGNED, alone=True, headline=True),
        Condition("round robin, tag per task", headline=True),
        Condition(
            "names first",
            turns={"easy_vqa": late, "emoji_match": late, "emoji_ground": late},
            headline=True,
        ),
        Condition(
            "names and places first, aligned",
            objectives=ALIGNED,
            turns={
                "emoji_translate": often,
                "emoji_ground": often,
                "emoji_caption": last,
                "emoji_match": last,
                "easy_vqa": last,
            },
            headline=True,
        ),
        Condition("round robin, tag per family", tags="family"),
        Condition("round robin, no tags", tags="none"),
        Condition("stop-and-go, tag per task", STOP_AND_GO, headline=True),
        Condition("stop-and-go, tag per family", STOP_AND_GO, tags="family"),
        Condition("stop-and-go, no tags", STOP_AND_GO, tags="none"),
        Condition("curriculum", {"curriculum": {"order": "easy_first", "rounds": later}}),
        Condition("anti-curriculum", {"curriculum": {"order": "hard_first", "rounds": later}}),
    ]


def balanced() -> list[Condition]:
    """The rows of `--balance`: what holds the tasks in balance, beside plain updates."""
    joint = {"update": "joint"}
    return [
        Condition("round robin", conflicts=True, headline=True),
        Condition("running_loss", balance={"kind": "running_loss"}, headline=True),
        Condition("gradient_norm", balance={"kind": "gradient_norm"}, headline=True),
        Condition("uncertainty", balance={"kind": "uncertainty"}, headline=True),
        Condition("prioritized schedule", {"kind": "prioritized"}, headline=True),
        Condition("joint updates", joint, headline=True),
        Condition("joint updates, pcgrad", joint, {"kind": "pcgrad"}, headline=True),
    ]


def pairs(task: str) -> list[Condition]:
    """The rows of `--pairs`: a task alone, with each of the others, and with all of them."""
    groups = {f"{task} alone": (task,)}
    groups |= {f"{task} with {other}": (task, other) for other in TASKS if other != task}
    groups |= {f"{task} with all": TASKS}
    return [
        Condition(name, headline=True, tasks=tasks, validations=10)
        for name, tasks in groups.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=400, help="of each task")
    parser.add_argument("--seeds", type=int, default=3, help="of the headline rows")
    parser.add_argument("--rows", type=int, default=400, help="test rows of each task")
    parser.add_argument("--concepts", type=int, default=28, help="emoji of the world")
    parser.add_argument(
        "--balance", action="store_true", help="the means that hold tasks in balance, instead"
    )
    parser.add_argument(
        "--pairs", choices=TASKS, metavar="TASK", help="a task with each of the others, instead"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the rows of these names alone")
    parser.add_argument("--part", default="1/1", help="only every Nth run, from the Kth: K/N")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "ablation")
    options = parser.parse_args()
    prepare(options)
    first, every = map(int, options.part.split("/"))
    rows = balanced() if options.balance else conditions(options.updates)
    if options.pairs is not None:
        rows = pairs(options.pairs)
    if options.only:
        if unknown := set(options.only) - {row.name for row in rows}:
            parser.error(f"no row is called {', '.join(sorted(unknown))}")
        rows = [row for row in rows if row.name in options.only]
    todo = [
        (condition, seed)
        for condition in rows
        for seed in range(options.seeds if condition.headline else 1)
    ]
    results = [finished(*each, options) for each in todo[first - 1 :: every]]
    if every > 1:
        return
    if options.pairs is not None:
        print(as_curves(results, options.pairs))
        return
    table = as_table(results, options)
    print(table)
    if options.balance or options.only:  # of ABLATION.md's sections that have words by hand
        return
    page = HERE / "ABLATION.md"
    sections = page.read_text(encoding="utf-8").partition("\n## ")
    write_atomically(page, table + "".join(sections[1:]))
    write_atomically(HERE / "ablation.json", json.dumps(results, indent=1) + "\n")


def finished(condition: Condition, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The result of a run, which is done unless it was before."""
    kept = options.output / "results" / f"{_slug(condition.name)}-{seed}.json"
    if not kept.exists():
        write_atomically(kept, json.dumps(run_condition(condition, seed, options)))
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    print(f"{condition.name}, seed {seed}: {result['seconds']:.0f} s", flush=True)
    return result


def prepare(options: argparse.Namespace) -> None:
    """The world and its tokenizer."""
    world = EmojiWorldOptions(
        concepts=options.concepts, train_scenes=4000, validation_scenes=100, test_scenes=200
    )
    write_emoji_world(options.output / "data", world)
    specs = [load_task(ROOT / f"task_specs/emoji/{task}.yaml") for task in TASKS]
    texts = texts_of_specs(specs, options.output / "data")
    train_tokenizer(texts, specs, options.output / "tokenizer", 2000)


def run_condition(condition: Condition, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test; scores of each task in all, on seen and on held-out cells."""
    tasks_of = condition.tasks
    groups = [(task,) for task in tasks_of] if condition.alone else [tuple(tasks_of)]
    found: dict[str, Any] = {
        "condition": condition.name,
        "seed": seed,
        "seconds": 0.0,
        "updates": {},
        "scores": {},
        "curves": {},
    }
    for tasks in groups:
        name = f"{_slug(condition.name)}-{seed}-{'-'.join(tasks) if condition.alone else 'all'}"
        run_file = write_run(condition, tasks, seed, options, name)
        run = load_run(run_file)
        started = time.monotonic()
        model = train(run, resume=True, progress=False)
        found["seconds"] += time.monotonic() - started
        report = evaluate(
            UnifiedVL.from_pretrained(model),
            run.loaded_mixture.specs,
            "test",
            run.data,
            model_name=name,
            limit=options.rows,
        ).report
        for task, scores in report["tasks"].items():
            primary, cells = scores["primary"], scores["by"]["cell"]
            found["scores"][task] = {
                cell: values[primary] for cell, values in sorted(cells.items(), reverse=True)
            }
        found["updates"] |= _updates(run.output / "events.jsonl")
        found["curves"] |= curves(run.output / "events.jsonl")
    return found


def write_run(
    condition: Condition, tasks: Sequence[str], seed: int, options: argparse.Namespace, name: str
) -> Path:
    """The mixture and run files of one training."""
    folder = options.output / name
    mixture = {
        "mixture": "ablation",
        "version": 1,
        "tags": condition.tags,
        "tasks": [
            {"spec": str(ROOT / f"task_specs/emoji/{task}.yaml"), "difficulty": DIFFICULTY[task]}
            | dict(condition.objectives.get(task, {}))
            | ({} if condition.alone else dict(condition.turns.get(task, {})))
            for task in tasks
        ],
        "schedule": dict(condition.schedule),
    } | ({} if condition.balance is None else {"balance": dict(condition.balance)})
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    steps = options.updates * len(tasks)
    joint = condition.schedule.get("update") == "joint"
    scored = "stop_and_go" in condition.schedule or condition.schedule.get("kind") == "prioritized"
    run |= {
        "run": "ablation",
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": str((options.output / "data").resolve()),
        "tokenizer": str((options.output / "tokenizer").resolve()),
        "output": "run",
        "engine": None if is_slow_in_bf16(CPU) else str(ROOT / "deepspeed_configs/zero0_bf16.json"),
        "steps": options.updates if joint else steps,
        "validation_rows": 128,
        "score_every": max(steps // 20, 1) if scored else 0,
        "score_rows": 128,
        "checkpoint_every": steps,
    }
    run["optimizer"]["warmup_steps"] = min(run["optimizer"]["warmup_steps"], run["steps"] // 10)
    if condition.validations:
        run["validate_every"] = max(run["steps"] // condition.validations, 1)
        run["log_every"] = run["validate_every"]  # so that a task's own updates are known there
    if condition.conflicts:
        run["gradient_conflicts"] = {"every": max(steps // 5, 1)}
    folder.mkdir(parents=True, exist_ok=True)
    for file, values in (("mixture.yaml", mixture), ("run.yaml", run)):
        with (folder / file).open("w", encoding="utf-8") as stream:
            YAML().dump(values, stream)
    return folder / "run.yaml"


def _updates(events: Path) -> dict[str, int]:
    """Batches of each task."""
    counts: dict[str, int] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            counts[event["task"]] = event["updates"]
    return counts


def curves(events: Path) -> dict[str, list[tuple[int, float]]]:
    """Validation losses of each task, each with the updates that the task itself had made."""
    counts: dict[str, int] = {}
    found: dict[str, list[tuple[int, float]]] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            counts[event["task"]] = event["updates"]
        elif event["event"] == "validation":
            task = event["task"]
            found.setdefault(task, []).append((counts.get(task, 0), event["loss"]))
    return found


def as_curves(results: Sequence[Mapping[str, Any]], task: str) -> str:
    """Validation losses of a task over its own updates, and its score, as Markdown."""
    places = len(results[0]["curves"][task])
    first = [str(updates) for updates, _ in results[0]["curves"][task]]
    lines = [
        f"| {task}, seed | {' | '.join(first)} | score |",
        "| --- |" + " ---: |" * (places + 1),
    ]
    for result in results:
        losses = [f"{loss:.2f}" for _, loss in result["curves"][task]]
        score = f"{result['scores'][task]['seen']:.1f}"
        lines.append(
            f"| {result['condition']}, {result['seed']} | {' | '.join([*losses, score])} |"
        )
    return "\n".join(lines)


def as_table(results: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> str:
    """Mean and spread (standard deviation over seeds) of each condition, as Markdown."""
    columns = [(task, "seen") for task in TASKS]
    columns += [("emoji_caption", "held_out"), ("emoji_ground", "held_out")]
    lines = [
        "# Ablation on Emoji World",
        "",
        f"`python benchmarks/ablation.py --updates {options.updates} --seeds {options.seeds}"
        f" --rows {options.rows} --concepts {options.concepts}` on {platform.machine()}.",
        "Primary metric of each task on seen cells, and of captions and grounding on held-out",
        "ones (a language in which that emoji was never captioned or grounded); mean ± standard",
        "deviation over the seeds; the mean is of the five tasks on seen cells. Updates are of all",
        "tasks together; seconds are of training.",
        "",
        "| condition | seeds | "
        + " | ".join(_heading(*c) for c in columns)
        + " | mean | updates | s |",
        "| --- | ---: |" + " ---: |" * (len(columns) + 3),
    ]
    for name in dict.fromkeys(result["condition"] for result in results):
        of_name = [result for result in results if result["condition"] == name]
        cells = [_spread([r["scores"][task][cell] for r in of_name]) for task, cell in columns]
        cells.append(_spread([_mean(r) for r in of_name]))
        updates = statistics.mean(sum(result["updates"].values()) for result in of_name)
        seconds = statistics.mean(result["seconds"] for result in of_name)
        lines.append(
            f"| {name} | {len(of_name)} | {' | '.join(cells)} | {updates:.0f} | {seconds:.0f} |"
        )
    total = sum(result["seconds"] for result in results)
    lines += ["", f"All of it: {len(results)} rows' trainings, {total / 60:.0f} minutes.", ""]
    return "\n".join(lines)


def _heading(task: str, cell: str) -> str:
    name = task.removeprefix("emoji_")
    return name if cell == "seen" else f"{name}, held out"


def _spread(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}"


def _mean(result: Mapping[str, Any]) -> float:
    """Of all tasks on seen cells."""
    return statistics.mean(result["scores"][task]["seen"] for task in TASKS)


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
