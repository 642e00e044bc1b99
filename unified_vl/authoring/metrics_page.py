"""The page docs/metrics.md, out of what the metrics say of themselves."""

from __future__ import annotations

import math

from unified_vl.metrics.metric import Metric
from unified_vl.metrics.registry import METRICS

WRITTEN = "<!-- Written by `unified-vl schema --markdown --output docs`. -->"
_REFERENCES = {
    "any": "",
    "agreeing": "`many: true`: the answers of all people",
    "all": "`many: true`, all of them in the target",
}
_ONLY_WITH = {  # options that a score must give
    "implies": "`implies`: the column with the keys of what follows",
    "group": "`group`: the column that is the same within a group",
    "keypoint": "`keypoint`: the column with the point's name",
    "area": "`area`: the column with the object's area in pixels",
    "rest": "`rest`: the column with the text behind the last box",
    "relevance": "`relevance`: the column with a number for each choice",
    "with": "`with`: the other task; `data.key_column`",
    "positive": "`positive`: the class",
}


def metrics_page() -> str:
    """What each metric is, and what it needs."""
    lines = [
        "# Every metric",
        "",
        WRITTEN,
        "",
        "What a spec's `score` may name, and what each number is. Higher is better, except where "
        "the table says otherwise. [How scores are computed](scoring.md) says how sentences become "
        "words, what several languages make, and which intervals there are.",
        "",
        "| `metric` | in reports | range | what it is | needs |",
        "|---|---|---|---|---|",
    ]
    for metric in METRICS.values():
        cells = (f"`{metric.name}`", metric.label, _range(metric), metric.about, _needs(metric))
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _range(metric: Metric) -> str:
    """`0–100`, and which direction is better where it is the other one."""
    low, high = (f"{end:g}".replace("-", "−") for end in metric.bounds)
    said = f"{low} and more" if math.isinf(metric.bounds[1]) else f"{low}–{high}"
    said += f" {metric.unit}" if metric.unit else ""
    return said if metric.higher_is_better else f"{said}, **lower is better**"


def _needs(metric: Metric) -> str:
    """The kinds of field that it scores, and the keys that must stand beside it."""
    said = [" or ".join(metric.kinds)]
    said += [_REFERENCES[metric.references]] if metric.references != "any" else []
    said += ["`generate.method: score_choices`"] if metric.ranks else []
    said += [text for key, text in _ONLY_WITH.items() if key in metric.options]
    said += [] if metric.rows is not None else ["no interval"]
    said += [f"only rows {metric.only}"] if metric.only else []
    said += [] if metric.may_be_primary else ["never primary"]
    return "; ".join(said)
