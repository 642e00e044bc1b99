"""The scores of a report, as a model card has them: as tables, and as the Hub's metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.inference.inputs import is_captioning, source_fields, target_fields
from unified_vl.languages.tags import subtags
from unified_vl.specs.task import TaskSpec

REPORT = "report.json"


def report_of(
    directory: Path, facts: Mapping[str, Any], given: Path | None
) -> dict[str, Any] | None:
    """The report of `evaluate` that is about a model.

    Args:
        directory: of the model.
        facts: its `training.json`.
        given: the report; unless given, that beside the model's folder, if there is one.

    Returns:
        Its tasks by name; None without a report.

    Raises:
        UserError: when it is none, or that of another training.
    """
    path = directory.resolve().parent / REPORT if given is None else given
    if given is None and not path.is_file():
        return None
    if not path.is_file():
        raise UserError("there is no report here", file=path, expected="of `evaluate --output`")
    report = read_json_object(path)
    tasks = report.get("tasks")
    if not isinstance(tasks, dict) or not all(isinstance(t, dict) for t in tasks.values()):
        raise UserError("this is not a report", file=path, expected="of `evaluate --output`")
    if report.get("training", facts) != facts:
        raise UserError(
            "this report is of another model: its training is not that of training.json",
            file=path,
            field="training",
            expected=f"`unified-vl evaluate {directory.name} --data DATA --output {path.name}`",
        )
    return tasks


def task_type(spec: TaskSpec) -> str:
    """What the Hub calls a task like this."""
    reads = [spec.fields[name] for name in source_fields(spec)]
    writes = [spec.fields[name] for name in target_fields(spec)]
    sees = any(field.of_kind.is_image for field in reads)
    if any(field.of_kind.is_video for field in reads):
        return "video-text-to-text"
    if any(field.of_kind.is_image or field.in_codes for field in writes):
        return "image-to-image" if sees else "text-to-image"
    if any(field.writing == "places" for field in writes):
        return "object-detection"
    if is_captioning(spec):
        return "image-to-text"
    if sees:
        return "visual-question-answering"
    return "translation" if len(spec.data.languages) > 1 else "text-generation"


def evaluation_results(specs: Mapping[str, TaskSpec], tasks: Mapping[str, Any]) -> list[EvalResult]:
    """Every metric of every task, over all rows and, for the primary one, by language."""
    return [
        EvalResult(
            task_type=task_type(specs[name]),
            task_name=name,
            dataset_type=name,
            dataset_name=name,
            dataset_config=language,
            dataset_split=str(said.get("split", "test")),
            metric_type=metric,
            metric_name=metric if language is None else f"{metric} ({language})",
            metric_value=round(float(value), 2),
        )
        for name, said in tasks.items()
        if name in specs
        for language, metric, value in _values(said)
    ]


def _values(said: Mapping[str, Any]) -> Iterator[tuple[str | None, str, float]]:
    for metric, value in said.get("metrics", {}).items():
        if _is_number(value):
            yield None, metric, value
    primary = said.get("primary")
    for language, row in said.get("by", {}).get("language", {}).items():
        if _is_number(row.get(primary)):
            yield language, str(primary), row[primary]


def score_tables(specs: Mapping[str, TaskSpec], tasks: Mapping[str, Any]) -> str:
    """Markdown: a row for each metric, and the primary one by language."""
    lines = [
        "| task | split | rows | metric | score | 95 % |",
        "| --- | --- | ---: | --- | ---: | --- |",
    ]
    for name, said in tasks.items():
        for metric, value in said.get("metrics", {}).items():
            ends = said.get("intervals", {}).get(metric)
            between = f"{ends[0]:.1f} to {ends[1]:.1f}" if ends else ""
            shown = f"{value:.1f}" if _is_number(value) else ""
            lines.append(
                f"| `{name}` | {said.get('split')} | {said.get('count')} | {metric} | {shown} | "
                f"{between} |"
            )
    languages = sorted(
        {tag for said in tasks.values() for tag in said.get("by", {}).get("language", {})}
    )
    if len(languages) > 1:
        primaries = {name: said.get("primary") for name, said in tasks.items()}
        heads = [f"`{name}` ({metric})" for name, metric in primaries.items()]
        lines += ["", "By language:", "", f"| language | {' | '.join(heads)} |"]
        lines.append("| --- |" + " ---: |" * len(heads))
        for tag in languages:
            cells = [
                _cell(said.get("by", {}).get("language", {}).get(tag, {}), primaries[name])
                for name, said in tasks.items()
            ]
            lines.append(f"| {tag} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any], metric: Any) -> str:
    value = row.get(metric)
    return f"{value:.1f}" if _is_number(value) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def hub_languages(tags: Iterator[str]) -> list[str]:
    """Languages without script and territory, as the Hub lists them."""
    return sorted({subtags(tag).language or tag for tag in tags})
