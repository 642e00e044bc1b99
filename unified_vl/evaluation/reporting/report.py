"""The report of a run as one page that needs nothing beside it.

It is made from what the run wrote: report.json, predictions.jsonl, retrieval.json,
events.jsonl and the saved model's facts. Images are within the page; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from unified_vl.errors import number_of
from unified_vl.evaluation.metric_names import is_percentage, pretty
from unified_vl.evaluation.reporting import browser, gallery
from unified_vl.evaluation.reporting.beside import Course, beside, specialists
from unified_vl.evaluation.reporting.charts import Curve, curves_of, draw_curve
from unified_vl.evaluation.reporting.conflicts import conflicts
from unified_vl.evaluation.reporting.drawings import SHOWN, drawings
from unified_vl.evaluation.reporting.report_tables import (
    breakdowns,
    flags_table,
    language_table,
    retrieval_table,
)
from unified_vl.evaluation.reporting.robustness import robustness
from unified_vl.evaluation.reporting.speed import speed_facts, speed_of
from unified_vl.evaluation.results import (
    read_events,
    read_facts,
    read_predictions,
    read_report,
    read_retrieval,
)
from unified_vl.files import write_atomically
from unified_vl.languages.tags import distinct
from unified_vl.run_record import EVENTS, MODEL, PREDICTIONS, REPORT, RETRIEVAL

PAGE = "report.html"
PARTS = (
    "header",
    "curves",
    "beside",
    "conflicts",
    "gallery",
    "drawings",
    "table",
    "robustness",
    "retrieval",
    "breakdowns",
    "flags",
    "texts",
    "mistakes",
    "footer",
)
PICTURES: dict[str, tuple[Collection[str], int]] = {  # file name: parts of the page, width
    "drawings.png": (("drawings",), 1200),
    "gallery.png": (("gallery",), 1200),
    "scores.png": (("curves", "table"), 1200),
}
SCENES_OF_PICTURE = 8
DRAWINGS_OF_PICTURE = 10  # of each task
FEW_ROWS = 30  # a score of fewer says how many they were


def write_report(run: Path, data_root: Path, specialist_runs: Sequence[Path] = ()) -> Path:
    """Write the page of a run beside its report.json.

    Args:
        run: the output directory of a run.
        data_root: the folder that image paths are relative to.
        specialist_runs: output directories of specialists, whose curves are drawn beside its own.

    Returns:
        The page's path.

    Raises:
        UserError: when report.json or predictions.jsonl is missing or broken, or a specialist is
            none of a task of the run.
    """
    others = specialists(run, specialist_runs)
    write_atomically(run / PAGE, render(run, data_root, PARTS, others=others))
    return run / PAGE


def write_pictures(run: Path, data_root: Path, directory: Path) -> list[Path]:
    """Write pictures of the page's parts as PNG files, drawn by a browser.

    Raises:
        UserError: when there is no browser `chromium`, or as for `write_report`.
    """
    written = []
    drawn = any(row.get("images") for row in read_predictions(run / PREDICTIONS))
    for name, (parts, width) in PICTURES.items():
        if parts == ("drawings",) and not drawn:
            continue
        page = render(run, data_root, parts, most_scenes=SCENES_OF_PICTURE, picture=True)
        write_atomically(directory / name, browser.picture_of(page, width))
        written.append(directory / name)
    return written


def render(
    run: Path,
    data_root: Path,
    parts: Collection[str],
    *,
    most_scenes: int = gallery.SCENES,
    picture: bool = False,
    others: Mapping[str, tuple[str, Course]] = MappingProxyType({}),
) -> str:
    """The page, or some of its parts, as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    report = read_report(run / REPORT)
    everything = read_predictions(run / PREDICTIONS)
    predictions = [row for row in everything if not row.get("images")]
    events = read_events(run / EVENTS)
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = pretty
    environment.filters["is_percentage"] = is_percentage
    # the scored model need not be OUTPUT/model: what the report itself says of it goes first
    facts = read_facts(run / MODEL) | report.get("training", {})
    curves = _curves(events) if "curves" in parts else []
    return environment.get_template("report.html.jinja").render(
        css=Markup((here / "report.css").read_text(encoding="utf-8")),
        parts=parts,
        picture=picture,
        few=FEW_ROWS,
        split=" and ".join(dict.fromkeys(task["split"] for task in report["tasks"].values())),
        header=_header(report, facts, speed_facts(events)),
        beside=beside(events, others),
        robustness=robustness(report),
        conflicts=conflicts(events) if "conflicts" in parts else None,
        curves=[curve | {"svg": Markup(curve["svg"])} for curve in curves],
        scenes=gallery.scenes(predictions, data_root)[:most_scenes] if "gallery" in parts else [],
        drawings=drawings(
            everything if "drawings" in parts else (),
            run,
            data_root,
            DRAWINGS_OF_PICTURE if picture else SHOWN,
        ),
        table=language_table(report),
        retrieval=retrieval_table(read_retrieval(run / RETRIEVAL)),
        breakdowns=breakdowns(report),
        flags=flags_table(report),
        texts=gallery.text_pairs(predictions),
        mistakes=gallery.worst_mistakes(predictions, data_root) if "mistakes" in parts else [],
    )


def _header(
    report: Mapping[str, Any], facts: Mapping[str, Any], speed: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    tasks = report["tasks"]
    languages = distinct(tag for task in tasks.values() for tag in task["by"].get("language", {}))
    rows = sum(task["count"] for task in tasks.values())
    skipped = sum(task.get("skipped", 0) for task in tasks.values())
    failed = sum(task.get("failed", 0) for task in tasks.values())
    by = report.get("answered_by", {})
    known = [
        ("parameters", _thousands(facts.get("parameters", by.get("parameters")))),
        ("updates", _thousands(facts.get("steps"))),
        ("best by what was measured after update", _thousands(facts.get("scored_step"))),
        ("examples an update", _thousands(facts.get("batch_size"))),
        ("trained in", _duration(facts.get("seconds"))),
        *speed,
        ("processes", facts.get("processes")),
        ("seed", facts.get("seed")),
        ("rows scored", _thousands(rows) if not skipped else f"{rows:,} ({skipped} skipped)"),
        ("answers that are none", f"{failed:,}" if failed else None),
        ("scored in", _duration(report["seconds"])),
        ("model", report["model"]),
        ("architecture", by.get("architecture")),
    ]
    return {
        "title": f"Run {facts['run']}" if "run" in facts else str(report["model"]),
        "version": report["version"],
        "lead": f"One model, {number_of(len(tasks), 'task')}, "
        f"{number_of(len(languages), 'language')}.",
        "tiles": [_tile(name, task) for name, task in tasks.items()],
        "facts": [(name, value) for name, value in known if value is not None],
    }


def _tile(name: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """The primary metric: on the seen cells where a task tells them apart, else in all."""
    metric = task["primary"]
    cells = task["by"].get("cell", {})
    if "seen" not in cells:
        others = [(m, v) for m, v in task["metrics"].items() if m != metric]
        return {
            "task": name,
            "metric": metric,
            "value": task["metrics"][metric],
            "interval": task.get("intervals", {}).get(metric),
            "group": "",
            "others": others,
        }
    others = [(m, cells["seen"][m]) for m in task["metrics"] if m != metric]
    others += [(cell, values[metric]) for cell, values in cells.items() if cell != "seen"]
    return {
        "task": name,
        "metric": metric,
        "value": cells["seen"][metric],
        "interval": None,  # known of all rows only
        "group": "seen",
        "others": others,
    }


def _curves(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    curves = curves_of(events)
    ends = [
        step
        for curve in curves.values()
        for points in (curve.training, curve.validation, curve.scores)
        for step, _ in points
    ]
    return [
        {
            "task": task,
            "last": curve.validation[-1][1] if curve.validation else None,
            "score": (curve.metric, curve.scores[-1][1]) if curve.scores else None,
            "rests": len(curve.rests),
            "spent": _spent(curve) if curve.updates else [],
            "svg": "" if curve.is_empty else draw_curve(task, curve, max(ends)),
        }
        for task, curve in curves.items()
    ]


def _spent(curve: Curve) -> list[tuple[str, str | None]]:
    return [
        ("batches", _thousands(curve.updates)),
        ("epochs", f"{curve.epochs:.1f}"),
        ("target tokens", _thousands(curve.tokens)),
        *speed_of(curve.speeds),
    ]


def _thousands(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
