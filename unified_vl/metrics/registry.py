"""All metrics by name: those of this folder, and those that others register.

They are read when one is first asked for, so that `--help` need not wait for numpy.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from unified_vl import metrics

if TYPE_CHECKING:
    from unified_vl.metrics.metric import Metric

# what people look for most comes first wherever metrics are listed
FIRST = ("exact_match", "accuracy", "vqa_accuracy", "anls", "f1", "bleu", "chrf", "ter")


class _Metrics(Mapping[str, "Metric"]):
    """Metrics by name, as they are by now."""

    def __getitem__(self, name: str) -> Metric:
        return _known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_known())

    def __len__(self) -> int:
        return len(_known())


METRICS: Mapping[str, Metric] = _Metrics()


def register(metric: Metric) -> None:
    """Let task specs name a metric, from now on and in this process.

    What an installed package registers in a module that it names as an entry point of the group
    `unified_vl.plugins` is known in every process, also on the command line (docs/extending.md).

    Raises:
        ValueError: when another metric has its name.
    """
    _add(_known(), metric)


def refused() -> dict[str, str]:
    """Names that people may ask for, and why there is no such metric."""
    found: dict[str, str] = {}
    for family in _families():
        found |= getattr(family, "REFUSED", {})
    return found


@cache
def _known() -> dict[str, Metric]:
    own = [metric for family in _families() for metric in getattr(family, "METRICS", ())]
    own.sort(key=lambda each: FIRST.index(each.name) if each.name in FIRST else len(FIRST))
    known: dict[str, Metric] = {}
    for metric in own:
        _add(known, metric)
    return known


def _add(known: dict[str, Metric], metric: Metric) -> None:
    if known.setdefault(metric.name, metric) is not metric:
        raise ValueError(f"there is a metric {metric.name!r} already")


def _families() -> Iterator[object]:
    """The modules of this folder and those below."""
    for module in pkgutil.walk_packages(metrics.__path__, f"{metrics.__name__}."):
        if module.name != __name__:
            yield import_module(module.name)
