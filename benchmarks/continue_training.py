"""What a trained model is worth to a new task: `python benchmarks/continue_training.py MODEL DATA`.

From a model of Emoji World's demo to a task that it does not know (counting things in a picture)
and to a 15th language (Dutch captions), each at equal updates from nothing, from the model's
weights, and from these with two of its old tasks kept in the mixture. Afterwards the new task and
the old ones are scored on test rows. `--names` takes names of emoji as CLDR writes them
(`annotations/nl/annotations.json` of the npm package cldr-annotations-full). One seed.

    python benchmarks/continue_training.py runs/demo/model data/emoji_world --names annotations.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from record import machine, record

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import read_json_object
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.pretrained.saved_model import SavedModel
from unified_vl.specs.load import load_run, load_task, load_tasks
from unified_vl.specs.runs.vision import ENCODERS
from unified_vl.training.tokenizers.tokenizer_extension import extend_tokenizer
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji_names import join_names

COMMAND = "python benchmarks/continue_training.py"
KEPT = ("emoji_caption", "emoji_translate")
PIECES = 200
COUNT = """\
task: emoji_count
version: 1
about: Say how many things are in a picture.
data:
  {reader: jsonl, path: "count_{split}.jsonl", splits: {train: train, test: test},
   languages: [en]}
fields:
  image: {kind: image, column: image}
  count: {kind: text, column: count}
example:
  source: "{task} {image}"
  target: "{count}"
score:
  - {metric: exact_match, against: count, primary: true}
"""
DUTCH = """\
task: dutch_caption
version: 1
about: Name the things of a picture from left to right, in Dutch.
data:
  {reader: jsonl, path: "dutch_{split}.jsonl", splits: {train: train, test: test},
   languages: [nl]}
fields:
  image: {kind: image, column: image}
  caption: {kind: text, column: caption}
example:
  source: "{task} {language} {image}"
  target: "{caption}"
score:
  - {metric: exact_match, against: caption, primary: true}
  - {metric: chrf, against: caption}
"""
RUN = """\
run: new_task
version: 1
seed: 0
mixture: MIXTURE
data: data
tokenizer: tokenizer
output: OUTPUT
steps: STEPS
batch_size: 16
model: MODEL
optimizer: {lr: 8e-4, vision_lr_scale: 3, embedding_lr_scale: 3, betas: [0.9, 0.98],
  weight_decay: 0.01, warmup_steps: 20, decay: linear}
max_source_tokens: 96
max_target_tokens: 48
validation_rows: 0
checkpoint_every: 100000
"""


def write_data(world: Path, root: Path, names: Path, rows: int) -> None:
    """Emoji World's pictures and rows of two old tasks, and rows of the two new ones."""
    shutil.copytree(world / "scenes", root / "scenes", copy_function=os.link)
    for task in KEPT:
        shutil.copytree(world / task, root / task, copy_function=os.link)
    table = read_json_object(names)["annotations"]["annotations"]
    for split, most in (("train", rows), ("test", 300)):
        scenes: dict[str, list[str]] = {}
        path = world / f"emoji_caption/{split}.parquet"
        for row in pq.read_table(path, columns=["image", "emoji"]).to_pylist():
            scenes.setdefault(row["image"], row["emoji"])
        count, dutch = [], []
        for image, emoji in sorted(scenes.items())[:most]:
            count.append({"image": image, "count": str(len(emoji))})
            said = [_name(table, each) for each in emoji]
            dutch.append({"image": image, "caption": join_names(said, "nl")})
        for task, lines in (("count", count), ("dutch", dutch)):
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (root / f"{task}_{split}.jsonl").write_text(text, encoding="utf-8")


def _name(table: Mapping[str, Any], emoji: str) -> str:
    known = table.get(emoji) or table[emoji.replace("\ufe0f", "")]
    return str(known["tts"][0])


def runs(model: Path, spec: Path, old: Sequence[Path]) -> Iterator[tuple[str, list[str], str]]:
    """What each side starts from: its name, the tasks of its mixture, its `model` section."""
    keys = dict(SavedModel(model).architecture)
    keys = {key: value for key, value in keys.items() if value is not None}
    read = ("kind", "image_size", *ENCODERS[keys["vision"]["kind"]].reads)
    keys["vision"] = {key: keys["vision"][key] for key in read}
    alone = [f"  - {{spec: {spec}}}"]
    kept = [f"  - {{spec: {spec}, batches: 2}}", *(f"  - {{spec: {each}}}" for each in old)]
    yield "nothing", alone, json.dumps(keys, default=list)
    yield "the model", alone, f"{{from: {model}}}"
    yield "the model, old tasks kept", kept, f"{{from: {model}}}"


def score(model: Path, specs: Sequence[Path], data: Path, rows: int) -> dict[str, float]:
    """The primary metric of each task on test rows, in percent."""
    predictor = UnifiedVL.from_pretrained(model)
    tasks = [load_task(path) for path in specs]
    done = evaluate(predictor, tasks, "test", data, limit=rows, resamples=0)
    return {
        name: round(of["metrics"][of["primary"]], 1) for name, of in done.report["tasks"].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--names", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--scored", type=int, default=150)
    given = parser.parse_args()
    model = given.model.resolve()
    old = [model / "specs" / f"{task}.yaml" for task in KEPT]
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=given.data.resolve().parent) as name:
        root = Path(name)
        write_data(given.data.resolve(), root / "data", given.names, given.rows)
        before = score(model, old, root / "data", given.scored)
        for task, text in (("emoji_count", COUNT), ("dutch_caption", DUTCH)):
            spec = root / f"{task}.yaml"
            spec.write_text(text)
            specs = load_tasks([spec])
            shutil.rmtree(root / "tokenizer", ignore_errors=True)
            texts = texts_of_specs(specs, root / "data")
            pieces = PIECES if task == "dutch_caption" else 0
            extend_tokenizer(model / "tokenizer", root / "tokenizer", specs, texts, pieces)
            for place, (side, mixture, keys) in enumerate(runs(model, spec, old)):
                steps = given.updates * (2 if len(mixture) > 1 else 1)
                (root / "mixture.yaml").write_text(
                    "mixture: new\nversion: 1\ntasks:\n" + "\n".join(mixture) + "\n"
                )
                run = RUN.replace("MIXTURE", "mixture.yaml").replace("STEPS", str(steps))
                run = run.replace("OUTPUT", f"out_{task}_{place}").replace("MODEL", keys)
                (root / "run.yaml").write_text(run)
                trained = train(load_run(root / "run.yaml"), progress=False)
                scored = [spec] if side == "nothing" else [spec, *old]
                found = score(trained, scored, root / "data", given.scored)
                results.append({"task": task, "from": side, **found})
                print(results[-1], flush=True)
    tell(results, before, given, str(read_json_object(model / "training.json").get("steps")))


def tell(
    results: Sequence[Mapping[str, Any]], before: Mapping[str, float], given: Any, steps: str
) -> None:
    """Record the table."""
    lines = ""
    for row in results:
        olds = " | ".join(str(row.get(task, "")) for task in KEPT)
        lines += f"| {row['task']} | {row['from']} | {row[row['task']]} | {olds} |\n"
    section = f"""# Starting from a trained model

`{COMMAND}` on {machine()}: {given.updates} updates of 16 rows of the new task, which has
{given.rows} training rows, from Emoji World's demo after {steps} steps; with old tasks kept, as
many updates again go to them. Exact match in percent of {given.scored} test rows. Old tasks before:
{", ".join(f"{task} {before[task]}" for task in KEPT)}. One seed.

| new task | started from | new task | {" | ".join(KEPT)} |
| --- | --- | --- | --- | --- |
{lines}"""
    print(section)
    record(section, [{"command": COMMAND, **row} for row in results])


if __name__ == "__main__":
    main()
