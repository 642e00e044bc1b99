"""What keeping the proportions of images is worth: `python benchmarks/image_fits.py`.

Pictures of one dark thing, from three times as wide as high to three times as high as wide. `shape`
asks for its proportions (a square, a wide or a high rectangle; a circle, a wide or a high ellipse),
which stretching takes away; `where` asks for its box. One small model learns both at once, from
patches, with images stretched, padded or packed within the same number of tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from record import machine, record

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train

COMMAND = "python benchmarks/image_fits.py"
FITS = ("stretch", "pad", "pack")
SPECS = {
    "shape": """\
task: shape
version: 1
about: Say what the thing is.
data: {reader: jsonl, path: "{split}.jsonl", splits: {train: train, test: test}, languages: [en]}
fields: {image: {kind: image, column: image}, shape: {kind: text, column: shape}}
example: {source: "{task} {image}", target: "{shape}"}
score: [{metric: exact_match, against: shape, primary: true}]
""",
    "where": """\
task: where
version: 1
about: Say where the thing is.
data: {reader: jsonl, path: "{split}.jsonl", splits: {train: train, test: test}, languages: [en]}
fields:
  image: {kind: image, column: image}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
example: {source: "{task} {image}", target: "{box}"}
generate: {allow: box, max_tokens: 8}
score: [{metric: box_accuracy, against: box, primary: true}]
""",
}


def write_pictures(folder: Path, split: str, count: int, seed: int) -> None:
    """Pictures of all proportions and a row for each."""
    draw, lines = random.Random(seed), []
    folder.mkdir(exist_ok=True)
    for number in range(count):
        proportion = 3 ** draw.uniform(-1, 1)
        width, height = round(60 * proportion**0.5), round(60 / proportion**0.5)
        kind = draw.choice(["rectangle", "ellipse"])
        form = draw.choice(["even", "wide", "high"])
        long = draw.uniform(0.45, 0.95) * min(width, height)
        sides = {"even": (long, long), "wide": (long, long / 1.8), "high": (long / 1.8, long)}[form]
        x, y = draw.uniform(0, width - sides[0]), draw.uniform(0, height - sides[1])
        box = [round(x), round(y), round(x + sides[0]), round(y + sides[1])]
        picture = Image.new("RGB", (width, height), (draw.randrange(180, 256),) * 3)
        getattr(ImageDraw.Draw(picture), kind)(box, fill=(draw.randrange(90), 40, 60))
        picture.save(folder / f"{split}{number}.png")
        shape = f"{form} {kind}"
        lines.append({"image": f"{split}{number}.png", "shape": shape, "box": box})
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def scores_of(fit: str, seed: int, root: Path, given: argparse.Namespace) -> dict[str, float]:
    """Train one model and score it on test rows, in percent."""
    run = {
        "run": "fits",
        "version": 1,
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": "data",
        "tokenizer": "tokenizer",
        "output": f"{fit}{seed}",
        "steps": given.updates * len(SPECS),
        "batch_size": 16,
        "model": {
            "d_model": 96,
            "d_kv": 24,
            "d_ff": 192,
            "num_layers": 2,
            "num_decoder_layers": 1,
            "num_heads": 4,
            "vision": {"kind": "patches", "image_size": [48, 48], "patch_size": 6, "fit": fit},
        },
        "optimizer": {"lr": 2e-3, "warmup_steps": 50, "decay": "linear"},
        "max_source_tokens": 80,
        "max_target_tokens": 16,
        "validation_rows": 0,
        "checkpoint_every": 10**6,
    }
    (root / "run.yaml").write_text(json.dumps(run))
    model = train(load_run(root / "run.yaml"), progress=False)
    tasks = [load_task(root / f"{name}.yaml") for name in SPECS]
    done = evaluate(UnifiedVL.from_pretrained(model), tasks, "test", root / "data", resamples=0)
    found = done.report["tasks"]
    return {name: found[name]["metrics"][found[name]["primary"]] for name in SPECS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=500, help="of each task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000, help="to train on")
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_pictures(root / "data", "train", given.rows, 0)
        write_pictures(root / "data", "test", 300, 1)
        for task, text in SPECS.items():
            (root / f"{task}.yaml").write_text(text)
        specs = [load_task(root / f"{task}.yaml") for task in SPECS]
        train_tokenizer(texts_of_specs(specs, root / "data"), specs, root / "tokenizer", 300)
        tasks = [{"spec": f"{task}.yaml"} for task in SPECS]
        mixture = {"mixture": "fits", "version": 1, "tasks": tasks}
        (root / "mixture.yaml").write_text(json.dumps(mixture))
        for seed in range(given.seeds):
            for fit in FITS:
                row = {"fit": fit, "seed": seed, **scores_of(fit, seed, root, given)}
                results.append(row)
                print(row, flush=True)
    lines = ""
    for fit in FITS:
        means = []
        for task in SPECS:
            values = [row[task] for row in results if row["fit"] == fit]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            means.append(f"{statistics.mean(values):.1f}{spread}")
        lines += f"| `{fit}` | {' | '.join(means)} |\n"
    section = f"""# Images in their own proportions

`{COMMAND} --updates {given.updates} --seeds {given.seeds} --rows {given.rows}` on {machine()}:
pictures of proportions from 1:3 to 3:1, at most 64 tokens each; mean ± standard deviation over
{given.seeds} seeds. `shape`: exact match of six answers that differ in proportions, in percent;
`where`: boxes with an IoU of 0.5 at least.

| `fit` | shape | where |
| --- | --: | --: |
{lines}"""
    print(section)
    record(section, [{"command": COMMAND, **row} for row in results])


if __name__ == "__main__":
    main()
