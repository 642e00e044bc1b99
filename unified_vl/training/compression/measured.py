"""How good, how large and how fast saved models are, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.closed_answers import learn_choices
from unified_vl.data.rows.sources import TaskData
from unified_vl.evaluation.answering import chosen_rows
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

BATCH = 64  # rows that are answered at once
TIMED_ROWS = 128  # of a task
REPEATS = 3


def measure(
    models: Mapping[str, Path], tasks: Sequence[str], data: Path, limit: int | None
) -> list[dict[str, Any]]:
    """A row a model, in their order.

    Args:
        models: directories of saved models, by the name that the table calls them.
        tasks: of all models.
        data: the data root.
        limit: rows of a task that are scored; all unless given.

    Returns:
        `{"model", "directory", "weights", "bytes", "heads", "units", "layers", "scores": {TASK:
        {"metric", "score", "rows"}}, "rows_per_second"}`: of the primary metrics of test (or
        validation); the time is that of answering rows that have been read, the median of turns.
    """
    found, opened = [], {}
    for name, folder in models.items():
        predictor = opened[name] = UnifiedVL.from_pretrained(folder, "cpu")
        specs = [predictor.spec(task) for task in tasks]
        report = evaluate(
            predictor, specs, None, data, batch_size=BATCH, limit=limit, resamples=0
        ).report["tasks"]
        config: Any = predictor.model.config
        found.append(
            {
                "model": name,
                "directory": str(folder),
                "weights": sum(each.numel() for each in predictor.model.parameters()),
                "bytes": sum(each.stat().st_size for each in folder.glob("*.safetensors")),
                "heads": config.num_heads,
                "units": config.d_ff,
                "layers": [config.num_layers, config.num_decoder_layers],
                "scores": {
                    task: {
                        "metric": scores["primary"],
                        "score": scores["metrics"][scores["primary"]],
                        "rows": scores["count"],
                    }
                    for task, scores in report.items()
                },
            }
        )
    speeds = _speeds(opened, tasks, data)
    return [{**row, "rows_per_second": speeds[row["model"]]} for row in found]


def _speeds(models: Mapping[str, UnifiedVL], tasks: Sequence[str], data: Path) -> dict[str, float]:
    """Rows that each answers in a second, the models by turns."""
    work = {name: [_read(each, task, data) for task in tasks] for name, each in models.items()}
    rows = sum(len(examples) for _, examples in next(iter(work.values())))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(REPEATS + 1):
        for name, predictor in models.items():
            started = time.perf_counter()
            for spec, examples in work[name]:
                for _ in predictor.predict_examples(spec, examples, BATCH):
                    pass
            if turn:  # the first one fills caches
                seconds[name].append(time.perf_counter() - started)
    return {name: rows / statistics.median(each) for name, each in seconds.items()}


def _read(predictor: UnifiedVL, task: str, data: Path) -> tuple[TaskSpec, list[Any]]:
    spec = learn_choices(predictor.spec(task), data)
    split: SplitName = "test" if "test" in spec.data.splits else "validation"
    rows = TaskData(spec, split, data)
    builder = predictor.builder(spec, data, rows)
    chosen = rows.rows(chosen_rows(len(rows), TIMED_ROWS))
    built = (example for _, example in good_examples(builder, chosen, stops=False))
    return spec, list(islice((each for each in built if each is not None), TIMED_ROWS))
