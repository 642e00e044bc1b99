"""The rows of a task once more, perturbed: answered, scored, and beside the clean ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.evaluation.answering import Answering, chosen_rows
from unified_vl.evaluation.robustness.cells import Cell, weighted
from unified_vl.evaluation.robustness.shift import MOST_ROWS, answers_of, trained_answers
from unified_vl.evaluation.robustness.suites import mean_of_cells
from unified_vl.evaluation.rows import ScoredRows
from unified_vl.evaluation.scoring import Measured, Scored, label_of, measure, rows_of
from unified_vl.metrics.intervals import differences
from unified_vl.metrics.statistics import Floats
from unified_vl.other_models.answerer import Answerer, OtherAnswerer
from unified_vl.perturbation.perturbation import (
    InputPerturbation,
    Perturbation,
    Perturbing,
    RowWeighting,
)

NOTHING = "there is nothing in its rows that it changes"
Told = Callable[[int, int], None]
"""Called with the rows done, each as often as it is perturbed, and of how many."""


@dataclass
class PerturbationPlan:
    """What is done to all tasks.

    Attributes:
        asked: the severities of each perturbation.
        seed: with the row it decides what they draw.
        resamples: of the intervals.
        draws: by suite and task so far, resamples of the mean difference.
    """

    asked: Mapping[Perturbation, tuple[int, ...]]
    seed: int
    resamples: int
    draws: dict[str, dict[str, Floats]] = field(default_factory=dict)

    @property
    def said(self) -> dict[str, Any]:
        """What a report says of it."""
        asked = {each.name: list(levels) for each, levels in self.asked.items()}
        return {"perturbation": {"seed": self.seed, "asked": asked}}

    def require_reader(self, predictor: Answerer) -> None:
        """That somebody reads the rows.

        Raises:
            UserError: where the answers are there already.
        """
        if isinstance(predictor, OtherAnswerer) and not predictor.reads_rows:
            raise UserError(
                "has no effect on a file of answers: nobody reads the perturbed rows",
                file="--perturb",
                expected="a model",
            )


def perturbed_rows(
    plan: PerturbationPlan,
    asking: Answering,
    clean: Scored,
    measured: Mapping[str, Measured],
    told: Told,
) -> tuple[dict[str, Any], dict[str, ScoredRows]]:
    """What a plan does to the scores of a task.

    Args:
        plan: the perturbations.
        asking: has rows of the task answered.
        clean: their answers as they are.
        measured: the scores of these.
        told: told what is done.

    Returns:
        Its part of the report: `{"perturbed": {PERTURBATION: {"suite", "probe", "severities":
        {SEVERITY: Cell.said}}}, "suites": {SUITE: mean_of_cells}, "not_perturbed": {WHY:
        [PERTURBATION]}}`, nothing where nothing is asked for; and the rows of each cell, by `TASK
        PERTURBATION:SEVERITY`.
    """
    if not plan.asked:
        return {}, {}
    spec, lacking = asking.spec, dict[str, list[str]]()
    primary = label_of(spec, spec.primary)
    found: dict[str, Any] = {}
    rows: dict[str, ScoredRows] = {}
    by_suite: dict[str, list[Cell]] = {}
    said_of: dict[str, list[dict[str, Any]]] = {}
    known = rows_of(spec, clean, measured)
    total = sum(map(len, plan.asked.values()))
    done = 0
    for each, levels in plan.asked.items():
        why = each.lacks(asking.asked)
        weighed_by = Counter[str]()
        if why is None and isinstance(each, RowWeighting):
            weighed_by, why = _trained(asking)
        severities: dict[str, Any] = {}
        if why is not None:
            cells: Iterator[tuple[int, Cell]] = iter(())
        elif isinstance(each, RowWeighting):
            cells = _weighings(asking, each, levels, clean, measured, weighed_by)
        else:
            assert isinstance(each, InputPerturbation)
            cells = _answered(plan, asking, each, levels, clean, measured)
        for level, cell in cells:
            said = cell.said(primary, clean.examples, plan.resamples)
            if primary not in said["metrics"]:
                continue
            severities[str(level)] = said
            by_suite.setdefault(each.suite, []).append(cell)
            said_of.setdefault(each.suite, []).append(said)
            rows[f"{spec.task} {each.name}:{level}"] = _kept(known, cell)
        if severities:
            found[each.name] = {
                "suite": each.suite,
                "probe": each.probe,
                "severities": severities,
            }
        else:
            lacking.setdefault(why or NOTHING, []).append(each.name)
        done += len(levels)
        told(done * len(clean.rows), total * len(clean.rows))
    means = {}
    for suite, several in by_suite.items():
        drawn_R = _drawn(several, primary, plan)
        if drawn_R is not None:
            plan.draws.setdefault(suite, {})[spec.task] = drawn_R
        means[suite] = mean_of_cells(primary, said_of[suite], drawn_R)
    return {"perturbed": found, "suites": means, "not_perturbed": lacking}, rows


def _answered(
    plan: PerturbationPlan,
    asking: Answering,
    each: InputPerturbation,
    levels: tuple[int, ...],
    clean: Scored,
    measured: Mapping[str, Measured],
) -> Iterator[tuple[int, Cell]]:
    """The severities of a perturbation that change any row, with their scores."""
    for level in levels:
        perturber = Perturbing(each, level, asking.asked, plan.seed)
        scored, changed_N = asking.perturbed(clean, perturber)
        if changed_N.any():
            yield level, Cell(measured, measure(asking.spec, scored), changed_N, scored.skipped)


def _trained(asking: Answering) -> tuple[Counter[str], str | None]:
    """How often training has each answer, or why that is not known."""
    try:
        train = TaskData(asking.spec, "train", asking.data_root)
    except UserError as error:
        return Counter(), f"its training rows cannot be read: {error}"
    indices = chosen_rows(len(train), MOST_ROWS)
    return trained_answers(asking.builder, train, indices, asking.spec.primary.against), None


def _weighings(
    asking: Answering,
    each: RowWeighting,
    levels: tuple[int, ...],
    clean: Scored,
    measured: Mapping[str, Measured],
    trained: Counter[str],
) -> Iterator[tuple[int, Cell]]:
    """The severities of a perturbation that counts rows more or less, with their scores."""
    answers = answers_of(clean.examples, asking.spec.primary.against)
    for level in levels:
        weights_N = each.weights(answers, trained, level)
        if weights_N is not None:
            found = weighted(measured, weights_N)
            everything = np.ones(len(answers), np.bool_)
            yield level, Cell({label: measured[label] for label in found}, found, everything)


def _drawn(cells: list[Cell], primary: str, plan: PerturbationPlan) -> Floats | None:
    """Resamples of the mean difference of a suite, of other draws in each task."""
    pairs = [pair for cell in cells if (pair := cell.pair(primary)) is not None]
    if not plan.resamples or len(pairs) < len(cells):
        return None
    seed = 1 + max(map(len, plan.draws.values()), default=0)
    return differences(pairs, plan.resamples, seed)


def _kept(known: ScoredRows, cell: Cell) -> ScoredRows:
    """What `compare` needs to know of the rows of a cell."""
    pairs = {label: cell.pair(label) for label in cell.perturbed if label in known.measured}
    kept = {label: pair[1] for label, pair in pairs.items() if pair is not None}
    return replace(known, measured=kept)
