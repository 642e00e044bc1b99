"""Score a model on its tasks, as their specs say, and keep every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL.Image import Image

from unified_vl.evaluation.answering import Answering
from unified_vl.evaluation.partners import Rights, in_order_of_need, right_partners
from unified_vl.evaluation.prediction_rows import prediction_rows
from unified_vl.evaluation.results import Evaluation
from unified_vl.evaluation.robustness.perturbed import PerturbationPlan, perturbed_rows
from unified_vl.evaluation.robustness.suites import mean_of_tasks
from unified_vl.evaluation.rows import ScoredRows
from unified_vl.evaluation.scoring import measure, rows_of, score_task
from unified_vl.inference.pictures import to_complete
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.metrics.intervals import RESAMPLES
from unified_vl.other_models.answerer import Answerer, OtherAnswerer
from unified_vl.perturbation.asked import asked_perturbations
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

Progress = Callable[[str, int, int], None]
"""Called as (task, rows done, rows in total)."""


def evaluate(
    predictor: Answerer,
    specs: Sequence[TaskSpec],
    split: SplitName | None,
    data_root: Path,
    *,
    model_name: str = "model",
    batch_size: int = 128,
    limit: int | None = None,
    resamples: int = RESAMPLES,
    progress: Progress | None = None,
    perturb: Sequence[str] = (),
    perturb_seed: int = 0,
) -> Evaluation:
    """Answer a split of every task and score the answers.

    Args:
        predictor: the model, or else who answers.
        specs: the tasks.
        split: `train`, `validation` or `test`; None takes test, of a task without one validation.
        data_root: the folder that the specs' paths are relative to.
        model_name: how the report calls the model.
        batch_size: rows that the model reads at once.
        limit: at most so many rows of each task, a fixed random choice.
        resamples: of the intervals; 0 for none.
        progress: told what is done.
        perturb: suites and perturbations that the rows are scored with, too, as
            `["typos", "gaussian_noise:3"]` (docs/robustness.md).
        perturb_seed: with the row it decides all that they draw.

    Returns:
        report: `{"model", "training", "version", "seconds", "tasks": {NAME: {"split", "generate",
        "count", "skipped", "seconds", "primary", "metrics": {METRIC: value}, "flags": {FLAG: rate},
        "intervals": {METRIC: [low, high]}, "by": {DIMENSION: {VALUE: {"count", METRIC: value}}},
        "flags_by": {DIMENSION: {VALUE: {FLAG: rate}}}}}}`; values are percentages, flags those of
        `inference.prediction.FLAGS`, the ends of an interval hold 95 % of the resamples;
        dimensions are `language` and the spec's `report_by`; `training` is what the model's
        `training.json` says, such as the step that it is of; `truncated`, beside `skipped`, is
        how many rows were read though an image of theirs ends early, where there are any;
        `counts`, where a score is not of all rows: by its name of how many it is. Of another model
        also `answered_by`, which it is and how it was asked, and in a task `failed`, how many
        answers are none by its grammar (`failed_by` in each dimension), and `left_out`, the metrics
        that need what it does not give. With perturbations also `perturbation`, what was asked for,
        and `suites`, the means over the tasks; in a task `perturbed`, `suites` and `not_perturbed`
        (`evaluation.robustness.perturbed`).

        predictions, each: `{"key", "task", the dimensions, "inputs", "input_languages", "image",
        "image_size", "prediction", "references", "boxes", "score", the flags, "correct"}`; boxes,
        and references that are shapes, in pixels of the image; `boxes` null where the task has
        none. `labels`, `points` and others as `predict` has them, and `reference_labels`.
        References that are images are their paths, or null. A row of several images has all
        their paths in `several_images`. Where a score has `read_by`, also
        `readings`: by task and number of texts what it reads in the picture, the best first. Of
        another model also `asked`, the prompt, `said`, the answer before it was parsed, and
        `error`, why it is none.

        rows: by task, what `compare` needs; perturbed rows by `TASK PERTURBATION:SEVERITY`.

        images: the pictures that were written, by the place of their prediction.

        given: of the pictures that were to be completed what was known, grey where nothing was.

    Raises:
        UserError: when data are missing, a row is bad and its spec says `stop`, there is no such
            perturbation, or nobody reads the rows whose answers are scored.
    """
    plan = PerturbationPlan(asked_perturbations(perturb), perturb_seed, resamples)
    if perturb:
        plan.require_reader(predictor)
    specs = in_order_of_need(specs)
    splits = [_split_of(spec, split) for spec in specs]
    left_out: dict[str, list[str]] = {}
    if isinstance(predictor, OtherAnswerer):
        scorable = [predictor.spec_for(spec) for spec in specs]
        specs = [spec for spec, _ in scorable]
        left_out = {spec.task: metrics for spec, metrics in scorable if metrics}
    started = time.perf_counter()
    tasks: dict[str, Any] = {}
    predictions: list[dict[str, Any]] = []
    rows: dict[str, ScoredRows] = {}
    images: dict[int, tuple[Image, ...]] = {}
    given: dict[int, Image] = {}
    rights: dict[str, Rights] = {}
    for spec, scored_split in zip(specs, splits, strict=True):
        begun = time.perf_counter()
        asking = Answering(predictor, spec, scored_split, data_root, batch_size, limit)
        scored = asking.rows(partial(_tell, progress, spec.task, total=asking.count))
        scored.partners = right_partners(scored.examples, rights)
        measured = measure(spec, scored)
        beside = partial(_tell, progress, f"{spec.task}, perturbed")
        changes, changed_rows = perturbed_rows(plan, asking, scored, measured, beside)
        tasks[spec.task] = {
            "split": scored_split,
            "generate": spec.generate.model_dump(mode="json", exclude_defaults=True),
            **score_task(spec, scored, measured, resamples),
            **({"left_out": left_out[spec.task]} if spec.task in left_out else {}),
            **changes,
            "seconds": round(time.perf_counter() - begun, 3),
        }
        first = len(predictions)
        predictions += prediction_rows(spec, scored)
        rights[spec.task] = {
            (row["language"], row["key"]): row["correct"] for row in predictions[first:]
        }
        images |= {
            first + place: found.images
            for place, found in enumerate(scored.predictions)
            if found.images
        }
        if isinstance(predictor, UnifiedVL):
            masked = to_complete(predictor, scored.examples)
            given |= {first + place: image for place, image in masked.items()}
        rows[spec.task] = rows_of(spec, scored, measured)
        rows |= changed_rows
    report = {
        "model": model_name,
        "training": dict(predictor.facts),
        **(
            {"answered_by": dict(predictor.identity)}
            if isinstance(predictor, OtherAnswerer)
            else {}
        ),
        "version": version("unified_vl"),
        "seconds": round(time.perf_counter() - started, 3),
        **(plan.said | {"suites": mean_of_tasks(tasks, plan.draws)} if perturb else {}),
        "tasks": tasks,
    }
    return Evaluation(report, predictions, rows, images, given)


def _split_of(spec: TaskSpec, split: SplitName | None) -> SplitName:
    """The split to score; or a refusal before any task is answered, of what there is instead."""
    wanted: tuple[SplitName, ...] = ("test", "validation") if split is None else (split,)
    for name in wanted:
        if name in spec.data.splits:
            return name
    others = " or ".join(f"--split {name}" for name in spec.data.splits)
    shares = "splits: {fraction: {train: 0.9, test: 0.1}} holds rows out (docs/own_data.md)"
    raise spec.error(
        ("data", "splits"),
        f"there is no split {wanted[0]!r}",
        expected=others + ("" if len(spec.data.splits) > 1 else f"; {shares}"),
    )


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)
