"""What ImageNet weights of the image branch are worth: frozen, trained on, and none.

    python benchmarks/pretrained_vision.py          # prints the table, writes PRETRAINED_VISION.md
    python benchmarks/pretrained_vision.py --seeds 1 --updates 20 --output runs/try   # to try it

One model answers easy-VQA and captions emoji. Its image branch is EfficientNet-Lite0; all else, and
the rows that it sees, are the same in all conditions. Finished runs in the output folder are not
done again, a run that was stopped goes on where its last checkpoint is, and `--part 1/2` and
`--part 2/2` can work side by side before a last call makes the table.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficientnet_lite0 import BACKBONE, write_weights
from ruamel.yaml import YAML

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
TASKS = ("easy_vqa", "emoji_caption")
LOADED = {"weights": "../weights"}
CONDITIONS: dict[str, dict[str, Any]] = {
    "random": {},
    "ImageNet, trained on": LOADED,
    "ImageNet, frozen": {**LOADED, "freeze": True},
}
SCORES = {"easy_vqa": None, "emoji_caption": "chrf"}  # the primary metric unless named
BATCH = 16
SIDE = 64  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=200, help="of each task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=300, help="test rows of each task")
    parser.add_argument("--concepts", type=int, default=28, help="emoji of the world")
    parser.add_argument("--part", default="1/1", help="only every Nth run, from the Kth: K/N")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "pretrained_vision")
    options = parser.parse_args()
    prepare(options)
    first, every = map(int, options.part.split("/"))
    todo = [(name, seed) for seed in range(options.seeds) for name in CONDITIONS]
    results = [finished(*each, options) for each in todo[first - 1 :: every]]
    if every > 1:
        return
    table = as_table(results, options)
    print(table)
    write_atomically(HERE / "PRETRAINED_VISION.md", table)
    write_atomically(HERE / "pretrained_vision.json", json.dumps(results, indent=1) + "\n")


def prepare(options: argparse.Namespace) -> None:
    """The weights, the world and its tokenizer, unless they are there."""
    write_weights(options.output / "weights")
    if (options.output / "tokenizer" / "vocabulary.json").exists():
        return
    world = EmojiWorldOptions(
        concepts=options.concepts, train_scenes=2000, validation_scenes=100, test_scenes=200
    )
    write_emoji_world(options.output / "data", world)
    specs = [load_task(ROOT / f"task_specs/emoji/{task}.yaml") for task in TASKS]
    texts = texts_of_specs(specs, options.output / "data")
    train_tokenizer(texts, specs, options.output / "tokenizer", 2000)


def finished(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The result of a run, which is done unless it was before."""
    kept = options.output / f"{_slug(name)}-{seed}" / "result.json"
    if not kept.exists():
        write_atomically(kept, json.dumps(run_condition(name, seed, options)))
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    print(f"{name}, seed {seed}: {result['scores']}", flush=True)
    return result


def run_condition(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test: validation losses at the end and test scores."""
    run = load_run(write_run(name, seed, options))
    model = train(run, resume=True, progress=False)
    report = evaluate(
        UnifiedVL.from_pretrained(model),
        run.loaded_mixture.specs,
        "test",
        run.data,
        model_name=name,
        limit=options.rows,
    ).report
    scores = {
        task: report["tasks"][task]["by"]["cell"]["seen"][
            metric or report["tasks"][task]["primary"]
        ]
        for task, metric in SCORES.items()
    }
    return {"condition": name, "seed": seed, "losses": _losses(run.output), "scores": scores}


def write_run(name: str, seed: int, options: argparse.Namespace) -> Path:
    """The mixture and run files of one training."""
    folder = options.output / f"{_slug(name)}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [{"spec": str(ROOT / f"task_specs/emoji/{task}.yaml")} for task in TASKS]
    steps = options.updates * len(TASKS)
    vision = {"kind": "timm", "backbone": BACKBONE, "feature_level": -2, "image_size": [SIDE, SIDE]}
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    run["model"]["vision"] = vision | CONDITIONS[name]
    run["optimizer"] |= {"vision_lr_scale": 1, "warmup_steps": min(50, steps // 2)}
    run |= {
        "run": "pretrained_vision",
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": "../data",
        "tokenizer": "../tokenizer",
        "output": "run",
        "engine": str(ROOT / "deepspeed_configs/zero0.json"),
        "steps": steps,
        "batch_size": BATCH,
        "validate_every": steps,
        "validation_rows": 256,
        "checkpoint_every": max(steps // 8, 1),
    }
    mixture = {"mixture": "pretrained_vision", "version": 1, "tasks": tasks}
    for file, values in (("mixture.yaml", mixture), ("run.yaml", run)):
        with (folder / file).open("w", encoding="utf-8") as stream:
            YAML().dump(values, stream)
    return folder / "run.yaml"


def _losses(output: Path) -> dict[str, float]:
    """The last validation loss of each task."""
    found: dict[str, float] = {}
    for line in (output / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "validation":
            found[event["task"]] = event["loss"]
    return found


def as_table(results: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> str:
    """Mean and standard deviation over seeds, as Markdown."""
    lines = [
        "# Pretrained image branches",
        "",
        f"`python benchmarks/pretrained_vision.py --updates {options.updates} --seeds "
        f"{options.seeds} --rows {options.rows} --concepts {options.concepts}` on "
        f"{platform.machine()}: EfficientNet-Lite0 at {SIDE} pixels, stride 16; {options.updates} "
        f"updates of {BATCH} rows of each task.",
        "Primary metric of easy-VQA and chrF of captions on the test rows of seen cells, and the "
        "validation loss of a token at the end; mean ± standard deviation over the seeds.",
        "",
        "| image branch | seeds | easy-VQA, % | captions | loss, easy-VQA | loss, captions |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(result["condition"] for result in results):
        of_name = [result for result in results if result["condition"] == name]
        cells = [_spread([r["scores"][task] for r in of_name], 1) for task in TASKS]
        cells += [_spread([r["losses"][task] for r in of_name], 3) for task in TASKS]
        lines.append(f"| {name} | {len(of_name)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
