"""What single ideas of published vision-language systems give here, beside the plain model.

    python benchmarks/systems.py                            # all rows, writes its section
    python benchmarks/systems.py --rows contrast masked     # some; the plain model comes with them
    python benchmarks/systems.py --list                     # what there is

A small Emoji World in one language or a few; all rows are scored by its captions. Each row trains
for the same processor time: how many updates that is, is measured first. Rows of `--once`, which
are far from the plain model, are trained with one seed. Finished trainings in the
output folder are not done again, and one that was stopped goes on where its last checkpoint is.
docs/systems.md has the list of systems, and what each row is of.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from efficientnet_lite0 import BACKBONE, write_weights
from pyarrow import array, compute, parquet
from record import machine, record
from ruamel.yaml import YAML

from unified_vl.authoring.region_features import make_regions, region_backbone
from unified_vl.data.regions.writing import write_regions
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.run import Run
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[1]
TASKS = ("emoji_caption", "emoji_match", "emoji_ground")
READ_CAPTION = {"source": "{task} {language} {image} {caption}"}
DERIVED: dict[str, dict[str, Any]] = {  # of the captions
    "masked_caption": READ_CAPTION | {"noise": {"caption": {"kind": "masking", "rate": 0.5}}},
    "prefix_caption": READ_CAPTION | {"noise": {"caption": {"kind": "prefix_lm"}}},
}
CAPTION, REGION_CAPTION = "emoji_caption", "region_caption"
PLAIN = "plain"
SIDE, BATCH = 64, 16  # pixels; rows
SHORT, LONGER = 80, 180  # updates that are timed: a queue of 1,024 rows is full after 64
GRID, FEATURES = (4, 4), 320  # regions of a picture; numbers of EfficientNet-Lite0's last map


@dataclass(frozen=True)
class Idea:
    """A row of the table.

    Attributes:
        systems: that have it.
        caption: keys of the captioning task in the mixture.
        beside: further tasks of the mixture, a batch each.
        model: keys of the model that differ from the plain one's.
        task: that captions, with a tokenizer of its own unless it is the plain one.
    """

    systems: str
    caption: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[str] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    task: str = CAPTION


STEM = {"kind": "stem", "image_size": [SIDE, SIDE], "patch_size": 16, "channels": [32, 64]}
IDEAS = {
    PLAIN: Idea("OFA, GIT: captions are written, nothing else is learnt"),
    "contrast": Idea("FILIP, ALBEF: image-text contrast, token by token", {"contrast": 1.0}),
    "queue": Idea(
        "ALBEF, BriVL, MoCo: contrast with a momentum copy and a queue",
        {"contrast": 1.0, "contrast_queue": 1024},
    ),
    "within": Idea(
        "TCL: contrast within a modality, too", {"contrast": 1.0, "contrast_within": 1.0}
    ),
    "negatives": Idea(
        "ALBEF, VLMo: matching with negatives that the contrast draws",
        {"contrast": 1.0, "matching": 1.0},
    ),
    "distilled": Idea(
        "ALBEF: soft targets of a momentum copy, of captions and of the contrast",
        {"contrast": 1.0, "contrast_queue": 1024, "momentum_distillation": 0.4},
    ),
    "adversarial": Idea(
        "VILLA, FreeLB: embeddings changed against the model",
        {"adversarial": {"weight": 1.0, "epsilon": 0.05, "step_size": 0.05, "steps": 1}},
    ),
    "transport": Idea(
        "UNITER, ViLT: words moved to places at least cost", {"contrast": 1.0, "alignment": 0.1}
    ),
    "matching": Idea("ViLBERT, UNITER: image-text matching", beside=("emoji_match",)),
    "masked": Idea("UNITER, FLAVA: masked words beside an image", beside=("masked_caption",)),
    "prefix": Idea("SimVLM: prefix language modelling", beside=("prefix_caption",)),
    "grounding": Idea("VL-T5, OFA: places as tokens, learnt together", beside=("emoji_ground",)),
    "patches": Idea(
        "ViLT: patches without convolutions",
        model={"vision": {"kind": "patches", "image_size": [SIDE, SIDE], "patch_size": 16}},
    ),
    "grid": Idea(
        "Pixel-BERT: the grid of a residual network, from random weights",
        model={
            "vision": {
                "kind": "timm",
                "backbone": "resnet10t",
                "image_size": [SIDE, SIDE],
                "feature_level": -2,
            }
        },
    ),
    "resampler": Idea(
        "Flamingo: eight learnt queries read the image",
        model={"vision": STEM | {"pool": {"kind": "resampler", "tokens": 8, "layers": 1}}},
    ),
    "regions": Idea(
        "VisualBERT, UNITER: features of regions from a frozen network (Lite0, ImageNet)",
        model={"region_features": FEATURES},
        task=REGION_CAPTION,
    ),
    "streams": Idea(
        "ViLBERT, LXMERT: text and images apart, then joined",
        model={"encoder": {"kind": "two_streams"}},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=IDEAS, default=list(IDEAS), metavar="ROW")
    parser.add_argument("--seconds", type=float, default=300, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--once", nargs="+", choices=IDEAS, default=[], metavar="ROW", help="rows of one seed"
    )
    parser.add_argument("--languages", nargs="+", default=["en"], metavar="TAG")
    parser.add_argument("--scenes", type=int, default=2000, help="pictures to train on")
    parser.add_argument("--test", type=int, default=200, help="test captions")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "systems")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {idea.systems}" for name, idea in IDEAS.items()))
        return
    prepare(options)
    names = [name for name in IDEAS if name == PLAIN or name in options.rows]
    seeds = {name: 1 if name in options.once else options.seeds for name in names}
    results = [finished(name, seed, options) for name in names for seed in range(seeds[name])]
    command = command_of(options)
    section = as_table(results, command, options)
    print(section)
    record(section, [{"command": command, "machine": machine(), **each} for each in results])


def command_of(options: argparse.Namespace) -> str:
    chosen = "" if set(options.rows) == set(IDEAS) else f" --rows {' '.join(options.rows)}"
    chosen += f" --once {' '.join(options.once)}" if options.once else ""
    return (
        f"python benchmarks/systems.py --seconds {options.seconds:g} --seeds {options.seeds} "
        f"--languages {' '.join(options.languages)} --scenes {options.scenes} "
        f"--test {options.test}{chosen}"
    )


def prepare(options: argparse.Namespace) -> None:
    """What the rows asked for read, unless it is there."""
    if not (options.output / "tokenizer" / "vocabulary.json").exists():
        prepare_world(options)
    regions = any(IDEAS[name].task == REGION_CAPTION for name in options.rows)
    if regions and not (options.output / REGION_CAPTION / "vocabulary.json").exists():
        prepare_regions(options)


def prepare_world(options: argparse.Namespace) -> None:
    """The world in the languages asked for, the specs and a tokenizer."""
    world = EmojiWorldOptions(
        concepts=28, train_scenes=options.scenes, validation_scenes=60, test_scenes=options.test
    )
    write_emoji_world(options.output / "data", world)
    keep_languages(options.output / "data", options.languages)
    specs = [load_task(path) for path in write_specs(options.output / "specs")]
    texts = texts_of_specs(specs, options.output / "data")
    train_tokenizer(texts, specs, options.output / "tokenizer", 280 + 120 * len(options.languages))


def prepare_regions(options: argparse.Namespace) -> None:
    """Features of a grid of regions of each picture, rows that name them, and a tokenizer."""
    data = options.output / "data"
    weights = write_weights(options.output / "weights") / "model.safetensors"
    backbone = region_backbone(BACKBONE, str(weights), 224, -1)
    for split in ("train", "validation", "test"):
        regions = make_regions(backbone, data / "scenes" / split, GRID, torch.device("cpu"))
        write_regions(data / REGION_CAPTION / split, regions)
        rows = parquet.read_table(data / CAPTION / f"{split}.parquet")
        names = [f"{REGION_CAPTION}/{split}/{Path(p).stem}.npz" for p in rows["image"].to_pylist()]
        rows = rows.append_column("regions", array(names))
        parquet.write_table(rows, data / REGION_CAPTION / f"{split}.parquet")
    specs = [load_task(write_region_spec(options.output / "specs"))]
    pieces = 280 + 120 * len(options.languages)
    train_tokenizer(texts_of_specs(specs, data), specs, options.output / REGION_CAPTION, pieces)


def write_region_spec(folder: Path) -> Path:
    """The task of captions, of which the picture is its regions."""
    spec = YAML().load((ROOT / f"task_specs/emoji/{CAPTION}.yaml").read_text(encoding="utf-8"))
    most = GRID[0] * GRID[1]
    spec["task"] = REGION_CAPTION
    spec["data"]["path"] = f"{REGION_CAPTION}/{{split}}.parquet"
    spec["fields"]["image"] = {"kind": "regions", "column": "regions", "most": most}
    del spec["example"]["forbid_augment"]
    _write(folder / f"{REGION_CAPTION}.yaml", spec)
    return folder / f"{REGION_CAPTION}.yaml"


def keep_languages(data: Path, languages: Sequence[str]) -> None:
    """Leave out the rows in all other languages."""
    for path in (file for task in TASKS for file in (data / task).glob("*.parquet")):
        table = parquet.read_table(path)
        kept = compute.is_in(table["language"], value_set=array(list(languages)))
        parquet.write_table(table.filter(kept), path)


def write_specs(folder: Path) -> list[Path]:
    """The specs of all rows' tasks."""
    shipped = [ROOT / f"task_specs/emoji/{task}.yaml" for task in TASKS]
    derived = []
    for task, example in DERIVED.items():
        base = os.path.relpath(shipped[0], folder)
        spec = {"include": base, "task": task, "example": example}
        derived.append(folder / f"{task}.yaml")
        _write(derived[-1], spec)
    return [*shipped, *derived]


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
    where = {path.stem: str(path) for path in write_specs(root / "specs")}
    where[REGION_CAPTION] = str(write_region_spec(root / "specs"))
    tasks = [{"spec": where[idea.task], **idea.caption}]
    tasks += [{"spec": where[task]} for task in idea.beside]
    _write(folder / "mixture.yaml", {"mixture": "systems", "version": 1, "tasks": tasks})
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    run["model"] |= {"d_model": 96, "d_kv": 24, "d_ff": 192, "num_heads": 4}
    run["model"] |= {"vision": STEM, **idea.model}
    run["optimizer"]["warmup_steps"] = max(min(100, steps // 10), 1)
    run |= {
        "run": "systems",
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": str(root / "data"),
        "tokenizer": str(root / ("tokenizer" if idea.task == CAPTION else idea.task)),
        "output": "run",
        "engine": str(ROOT / "deepspeed_configs/zero0.json"),
        "steps": steps,
        "batch_size": BATCH,
        "validation_rows": 0,
        "checkpoint_every": max(steps // 4, 1),
    }
    _write(folder / "run.yaml", run)
    return load_run(folder / "run.yaml")


def _write(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(values, stream)


def as_table(
    results: Sequence[Mapping[str, Any]], command: str, options: argparse.Namespace
) -> str:
    """The benchmark's section, as Markdown: means and standard deviations over seeds."""
    lines = [
        "# Ideas of published systems",
        "",
        f"`{command}` on {machine()}: captions of Emoji World with 28 emoji, scored on at most "
        f"{options.test} test rows in cells that were seen, after {options.seconds:g} s of "
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
