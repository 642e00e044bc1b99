"""Images as patches, `timm` features and codes, at equal training time: `--seconds` for each.

    python benchmarks/image_inputs.py                         # prints the table and records it
    python benchmarks/image_inputs.py --seconds 5 --output /tmp/try    # to try it

One model of four tasks of Emoji World that read an image, and nothing else differs but how it
is read; without the contrastive loss of the demo, which needs the features of an image branch. A
short run first measures how many updates fit into the time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from record import machine, record
from ruamel.yaml import YAML
from tables import processor_name

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/image_inputs.py"
TASKS = {"emoji_caption": 2, "emoji_ground": 2, "emoji_match": 1, "easy_vqa": 1}
SIZE = {"image_size": [64, 64], "patch_size": 16}
INPUTS: dict[str, tuple[str, Mapping[str, Any]]] = {  # `as` of the image, and `vision`
    "patches": ("patches", {**SIZE, "kind": "patches"}),
    "stem (the demo's)": ("patches", {**SIZE, "kind": "stem", "channels": [32, 64]}),
    "timm (resnet10t)": (
        "patches",
        {**SIZE, "kind": "timm", "backbone": "resnet10t", "feature_level": -2},
    ),
    "codes": ("codes", {**SIZE, "kind": "patches"}),
}
TOKENIZER = ROOT / "tokenizers/image/emoji_world"
MEASURED = 120  # updates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=150.0, help="of training, for each")
    parser.add_argument("--rows", type=int, default=600, help="test rows of each task")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "image_inputs")
    options = parser.parse_args()
    prepare(options.output)
    results = {name: measured(name, options) for name in INPUTS}
    lines = [
        "# Patches, timm features and codes",
        "",
        f"`{COMMAND}` on {machine()}, {processor_name()}; as many updates each as fit into",
        f"{options.seconds:.0f} s by a short run before; primary metric on {options.rows} test",
        "rows of each task, seen and held-out cells together. No pretrained weights; codes are",
        "64 tokens an image, the others 16.",
        "",
        "| image as | updates | s | " + " | ".join(TASKS) + " |",
        "| --- | ---: | ---: |" + " ---: |" * len(TASKS),
    ]
    rows = []
    for name, found in results.items():
        scores = " | ".join(f"{found['scores'][task]:.1f}" for task in TASKS)
        lines.append(f"| {name} | {found['steps']} | {found['seconds']:.0f} | {scores} |")
        for task, score in found["scores"].items():
            peer = results["patches"]["scores"][task]
            rows.append(
                {
                    "name": f"{task}, image as {name}",
                    "ours": score,
                    "peer": peer,
                    "unit": "%",
                    "ratio": round(score / peer, 2) if peer else None,
                    "peer_name": "patches",
                    "command": COMMAND,
                    "machine": machine(),
                }
            )
    section = "\n".join(lines)
    print(section)
    record(section, rows)


def prepare(output: Path) -> None:
    """The world, the specs of either kind, and one tokenizer for all."""
    write_emoji_world(output / "data", EmojiWorldOptions(train_scenes=4000))
    for task in TASKS:
        text = (ROOT / f"task_specs/emoji/{task}.yaml").read_text(encoding="utf-8")
        for kind in ("patches", "codes"):
            path = output / f"specs_{kind}/{task}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert text.count("kind: image,") == 1
            path.write_text(text.replace("kind: image,", f"kind: image, as: {kind},"))
    specs = [load_task(output / f"specs_patches/{task}.yaml") for task in TASKS]
    texts = texts_of_specs(specs, output / "data")
    images = ImageTokenizer.from_pretrained(TOKENIZER)
    train_tokenizer(texts, specs, output / "tokenizer", 2000, images)


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The scores after as many updates as fit into the time."""
    rate = updates_a_second(name, options.output)
    steps = max(int(rate * options.seconds), 1)
    started = time.monotonic()
    run = run_of(name, steps, options.output)
    model = train(run, progress=False)
    seconds = time.monotonic() - started
    report = evaluate(
        UnifiedVL.from_pretrained(model),
        run.loaded_mixture.specs,
        "test",
        run.data,
        model_name=name,
        limit=options.rows,
        resamples=0,
    ).report
    tasks = report["tasks"].items()
    scores = {task: values["metrics"][values["primary"]] for task, values in tasks}
    found = {"steps": steps, "seconds": seconds, "scores": scores}
    print(name, json.dumps(found), flush=True)
    return found


def updates_a_second(name: str, output: Path) -> float:
    """Over the last half of a short run, when it is warm."""
    run = run_of(name, MEASURED, output)
    train(run, progress=False)
    events = map(json.loads, (run.output / "events.jsonl").read_text().splitlines())
    seconds = {event["step"]: event["seconds"] for event in events if event["event"] == "step"}
    return MEASURED / 2 / float(seconds[MEASURED] - seconds[MEASURED // 2])


def run_of(name: str, steps: int, output: Path) -> Any:
    """The run file of one training."""
    kind, vision = INPUTS[name]
    folder = output / f"{name.split()[0]}_{steps}"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        {"spec": str(output.resolve() / f"specs_{kind}/{task}.yaml"), "batches": batches}
        for task, batches in TASKS.items()
    ]
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    run["model"]["vision"] = dict(vision)
    run |= {
        "run": "image_inputs",
        "mixture": "mixture.yaml",
        "data": str((output / "data").resolve()),
        "tokenizer": str((output / "tokenizer").resolve()),
        "output": "run",
        "engine": str(ROOT / "deepspeed_configs/zero0_bf16.json"),
        "steps": steps,
        "log_every": MEASURED // 2,
        "validation_rows": 0,
        "checkpoint_every": steps,
    }
    mixture = {"mixture": "images", "version": 1, "tasks": tasks}
    for file, values in (("mixture.yaml", mixture), ("run.yaml", run)):
        with (folder / file).open("w", encoding="utf-8") as stream:
            YAML().dump(values, stream)
    return load_run(folder / "run.yaml")


if __name__ == "__main__":
    main()
