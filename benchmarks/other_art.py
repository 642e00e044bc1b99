"""What augmentation does for pictures of the same things that look otherwise.

Models of each task on Emoji World, of equally many updates, with and without `augment`. All are
scored on the usual test rows, and on the same rows with each emoji drawn anew: recoloured, bent
and pulled askew, in the same boxes.

    python benchmarks/other_art.py                      # prints the table, records it
    python benchmarks/other_art.py --seeds 1 --updates 20 --output /tmp/try   # to try it

Finished trainings in the output folder are not done again, and one that was interrupted goes on.

Legend: H height, W width, 4 red, green, blue and alpha, 3 those without alpha.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from record import machine, record
from ruamel.yaml import YAML

from unified_vl.evaluation.evaluate import evaluate
from unified_vl.files import write_atomically
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.runs.augment import AUGMENTATIONS, AugmentSpec
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train
from unified_vl.worlds.emoji import (
    EmojiWorldOptions,
    choose_world,
    draw_scenes,
    write_emoji_world,
)
from unified_vl.worlds.emoji_art import tight_art
from unified_vl.worlds.emoji_scenes import Scene
from unified_vl.worlds.emoji_tasks import image_path

ROOT = Path(__file__).parents[1]
TASKS = ("emoji_caption", "emoji_ground")
AUGMENT = {
    "none": [],
    "colours": [
        {"name": "color_jitter", "hue": 0.5, "saturation": 0.8, "rate": 0.8},
        {"name": "grayscale", "rate": 0.1},
    ],
    "colours and places": [
        {"name": "affine", "scale": [0.8, 1.2], "translate": 0.1, "rate": 0.5},
        {"name": "color_jitter", "hue": 0.5, "saturation": 0.8, "rate": 0.8},
        {"name": "grayscale", "rate": 0.1},
        {"name": "blur", "sigma": [0.1, 1.0], "rate": 0.2},
    ],
}
SIDES = (64, 224)  # of pictures whose augmentation is timed
ART_SIDE = 128  # pixels of the longer side of art that is drawn anew


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=600, help="of each model")
    parser.add_argument(
        "--after", type=int, default=0, help="updates without augmentation that came before"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=300, help="test rows of each task")
    parser.add_argument("--concepts", type=int, default=28, help="emoji of the world")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--augment", nargs="+", choices=list(AUGMENT), default=list(AUGMENT))
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "other_art")
    parser.add_argument("--record", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    prepare(options)
    for seed in range(options.seeds):
        for task in options.tasks:
            for augment in options.augment:
                finished(task, augment, seed, options)
    kept = sorted((options.output / "results").glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in kept]
    section = as_section(results, options)
    print(section)
    if options.record:
        record(section, [{"command": _command(each, options), **each} for each in results])


def prepare(options: argparse.Namespace) -> None:
    """The world, its tokenizer, and its test rows with other pictures."""
    world = EmojiWorldOptions(
        concepts=options.concepts, train_scenes=4000, validation_scenes=100, test_scenes=200
    )
    data = options.output / "data"
    write_emoji_world(data, world)
    specs = [load_task(ROOT / f"task_specs/emoji/{task}.yaml") for task in TASKS]
    if not (options.output / "tokenizer").exists():
        train_tokenizer(texts_of_specs(specs, data), specs, options.output / "tokenizer", 2000)
    other = options.output / "other_data"
    shutil.rmtree(other, ignore_errors=True)
    (other / "scenes/test").mkdir(parents=True)
    for task in TASKS:
        (other / task).mkdir()
        shutil.copy(data / task / "test.parquet", other / task)
    _, arts = choose_world(world)
    drawn = [drawn_anew(art, number) for number, art in enumerate(arts)]
    for number, scene in enumerate(draw_scenes(world, "test", arts)):
        painted(scene, drawn, world.image_size).save(other / image_path("test", number))


def drawn_anew(art: Path, number: int) -> Image.Image:
    """An emoji (RGBA) as somebody else might draw it, a function of its number.

    Its colours are turned around the circle and half of them are those of a scale between two drawn
    ones, which recolours what is black, white and grey, too. Its outline is pulled by its corners
    and bent by waves.
    """
    random = np.random.default_rng([7, number])
    return _bent(_recoloured(tight_art(art, ART_SIDE), random), random)


def _recoloured(art: Image.Image, random: np.random.Generator) -> Image.Image:
    alpha = art.getchannel("A")
    hue, saturation, value = art.convert("RGB").convert("HSV").split()
    turn = int(random.integers(48, 208))  # of 256: never less than a sixth of the circle
    hue = hue.point([(step + turn) % 256 for step in range(256)])
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    grey_HW1 = np.asarray(turned.convert("L"), dtype=np.float32)[..., None] / 255
    dark_3, light_3 = random.uniform(0, 140, 3), random.uniform(115, 255, 3)
    scale_HW3 = dark_3 + (light_3 - dark_3) * grey_HW1
    mixed_HW3 = 0.5 * np.asarray(turned, dtype=np.float32) + 0.5 * scale_HW3
    found = Image.fromarray(mixed_HW3.round().astype(np.uint8))
    found.putalpha(alpha)
    return found


def _bent(art: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = art.size
    pull = random.uniform(-0.16, 0.16, (4, 2)) * (width, height)
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)]) + pull
    margin = round(0.2 * max(art.size))
    canvas = Image.new("RGBA", (width + 2 * margin, height + 2 * margin))
    canvas.paste(art, (margin, margin))
    pulled = canvas.transform(
        art.size,
        Image.Transform.QUAD,
        tuple((corners + margin).ravel().tolist()),
        Image.Resampling.BICUBIC,
    )
    pixels_HW4 = np.asarray(pulled)
    rows_HW, columns_HW = np.mgrid[:height, :width].astype(np.float32)
    turns, phases = random.uniform(1.0, 2.0, 2), random.uniform(0, 2 * np.pi, 2)
    along_HW = 2 * np.pi * turns[0] * rows_HW / height + phases[0]
    across_HW = 2 * np.pi * turns[1] * columns_HW / width + phases[1]
    columns_HW = columns_HW + 0.05 * width * np.sin(along_HW)
    rows_HW = rows_HW + 0.05 * height * np.sin(across_HW)
    columns_HW = np.clip(columns_HW.round(), 0, width - 1).astype(int)
    rows_HW = np.clip(rows_HW.round(), 0, height - 1).astype(int)
    bent = Image.fromarray(pixels_HW4[rows_HW, columns_HW])
    return bent.crop(bent.getchannel("A").getbbox())


def painted(scene: Scene, drawn: Sequence[Image.Image], side: int) -> Image.Image:
    """A scene with other art, each in the box of the usual one."""
    image = Image.new("RGB", (side, side), scene.ground)
    for concept, (x1, y1, x2, y2) in zip(scene.concepts, scene.boxes, strict=True):
        art = drawn[concept].resize((x2 - x1, y2 - y1), Image.Resampling.LANCZOS)
        image.paste(art, (x1, y1), art)
    return image


def finished(task: str, augment: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The result of a training, which is done unless it was before."""
    name = f"{task}-{augment.replace(' ', '-')}-{seed}-{options.updates}"
    if options.after:
        name += f"-after-{options.after}"
    kept = options.output / "results" / f"{name}.json"
    if not kept.exists():
        write_atomically(kept, json.dumps(trained(task, augment, seed, options, name)))
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    print(f"{name}: {result['scores']}", file=sys.stderr, flush=True)
    return result


def trained(
    task: str, augment: str, seed: int, options: argparse.Namespace, name: str
) -> dict[str, Any]:
    """Train and test: the primary metric on seen cells, with the usual art and with the other."""
    run = load_run(write_run(task, augment, seed, options, name))
    whole, started = not run.output.exists(), time.process_time()
    model = UnifiedVL.from_pretrained(train(run, resume=True, progress=False))
    seconds = time.process_time() - started if whole else None
    scores = {}
    for art, data in (("usual", "data"), ("other", "other_data")):
        report = evaluate(
            model,
            run.loaded_mixture.specs,
            "test",
            options.output / data,
            model_name=name,
            limit=options.rows,
        ).report["tasks"][task]
        scores[art] = report["by"]["cell"]["seen"][report["primary"]]
    return {
        "task": task,
        "augment": augment,
        "seed": seed,
        "updates": options.updates,
        "after": options.after,
        "seconds": seconds,
        "scores": scores,
    }


def write_run(task: str, augment: str, seed: int, options: argparse.Namespace, name: str) -> Path:
    """The mixture and run files of one training."""
    folder = options.output / name
    spec = {"spec": str(ROOT / f"task_specs/emoji/{task}.yaml")}
    contrast = {"contrast": 1.0} if task == "emoji_caption" else {}
    mixture = {"mixture": "other_art", "version": 1, "tasks": [spec | contrast]}
    run = YAML().load((ROOT / "task_specs/runs/emoji_demo.yaml").read_text(encoding="utf-8"))
    if options.after:
        before = argparse.Namespace(**{**vars(options), "updates": options.after, "after": 0})
        finished(task, "none", seed, before)
        start = options.output / f"{task}-none-{seed}-{options.after}" / "run" / "model"
        run["model"] = {"from": str(start.resolve())}
    run |= {
        "run": "other_art",
        "seed": seed,
        "mixture": "mixture.yaml",
        "data": str((options.output / "data").resolve()),
        "tokenizer": str((options.output / "tokenizer").resolve()),
        "output": "run",
        "engine": str(ROOT / "deepspeed_configs/zero0_bf16.json"),
        "steps": options.updates,
        "validation_rows": 0,
        "checkpoint_every": max(options.updates // 4, 1),
        "augment": AUGMENT[augment],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, values in (("mixture.yaml", mixture), ("run.yaml", run)):
        with (folder / file).open("w", encoding="utf-8") as stream:
            YAML().dump(values, stream)
    return folder / "run.yaml"


def as_section(results: Sequence[dict[str, Any]], options: argparse.Namespace) -> str:
    """Means (with the standard deviation of several seeds) of all trainings that are finished."""
    commands = dict.fromkeys(f"`{_command(each, options)}`" for each in results)
    lines = [
        "# Augmentation, and other art",
        "",
        f"{' and '.join(commands)} on {machine()}.",
        "A model a task on Emoji World; the primary metric on seen cells of test rows, with the",
        "usual art and with each emoji recoloured and bent. Updates are those with `augment`, and",
        "those without it before (after). Seconds of processor time are of trainings that were not",
        "interrupted.",
        "",
        "| task | updates | after | augment | seeds | usual art | other art | s |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for each in results:
        row = tuple(each[key] for key in ("task", "updates", "after", "augment"))
        rows.setdefault(row, []).append(each)
    order = list(AUGMENT)
    for row in sorted(rows, key=lambda row: (*row[:3], order.index(row[3]))):
        some = rows[row]
        cells = [_spread([each["scores"][art] for each in some]) for art in ("usual", "other")]
        whole = [each["seconds"] for each in some if each["seconds"] is not None]
        seconds = f"{statistics.mean(whole):.0f}" if whole else "-"
        values = (*row, len(some), *cells, seconds)
        lines.append(f"| {' | '.join(map(str, values))} |")
    costs = {side: _costs(side) for side in SIDES}
    lines += [
        "",
        "Milliseconds of one core for a picture, the best of three hundreds:",
        "",
        "| augmentation | " + " | ".join(f"{side} x {side}" for side in SIDES) + " |",
        "| --- |" + " ---: |" * len(SIDES),
    ]
    for name in AUGMENTATIONS:
        lines.append(f"| {name} | {' | '.join(f'{costs[side][name]:.2f}' for side in SIDES)} |")
    return "\n".join([*lines, ""])


def _costs(side: int) -> dict[str, float]:
    """Milliseconds of processor time that each augmentation takes for a picture."""
    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    image, costs = Image.fromarray(pixels_HW3), {}
    for name in AUGMENTATIONS:
        spec, taken = AugmentSpec(name=name), []
        for _ in range(3):
            started = time.process_time()
            for number in range(100):
                spec.augmentation.draw(spec, Random(number), image.size).pixels(image)
            taken.append(time.process_time() - started)
        costs[name] = min(taken) * 10
    return costs


def _spread(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {statistics.stdev(values):.1f}"


def _command(result: dict[str, Any], options: argparse.Namespace) -> str:
    after = f" --after {result['after']}" if result["after"] else ""
    return (
        f"python benchmarks/other_art.py --updates {result['updates']}{after} "
        f"--seeds {options.seeds} --rows {options.rows} --concepts {options.concepts}"
    )


if __name__ == "__main__":
    main()
