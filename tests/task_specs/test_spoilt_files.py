"""Benchmark files with anything in any place: one message, never a traceback."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from unified_vl.data.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.data import SplitName
from unified_vl.specs.load import load_task
from unified_vl.specs.readers import READERS
from unified_vl.specs.template import fill

SPECS = Path(__file__).parents[2] / "task_specs"
FIXTURES = ("coco", "vqa", "text_vqa", "visual_genome", "refcoco")
JUNK = (None, True, -1, 10**30, 0.5, "", "text", [], [1], ["a"], [[]], {}, {"a": 1}, [{}], [None])
TRIES = 60


def writers() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Of the specs whose files are JSON, one for each reader."""
    seen = set()
    for name in FIXTURES:
        path = Path(__file__).parent / f"fixtures/{name}.py"
        loader = importlib.util.spec_from_file_location(f"spoilt_{name}", path)
        assert loader is not None and loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        loader.loader.exec_module(module)
        for spec, write in module.WRITERS.items():
            reader = load_task(SPECS / f"{spec}.yaml").data.reader
            if reader not in seen:
                seen.add(reader)
                yield spec, write


WRITERS = dict(writers())


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value inside a value."""
    if not isinstance(value, (dict, list)):
        return
    for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*way, key)
        yield from places(inside, (*way, key))


def spoilt(content: Any, random: Random) -> Any:
    """A copy with one value replaced, or taken away."""
    content = copy.deepcopy(content)
    *way, last = random.choice(list(places(content)))
    parent = content
    for key in way:
        parent = parent[key]
    if random.random() < 0.2:
        del parent[last]
    else:
        parent[last] = random.choice(JUNK)
    return content


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_spoilt_file_has_a_message(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    spec = load_task(SPECS / f"{name}.yaml")
    every = dict.fromkeys(READERS[spec.data.reader].columns or (), ("report_by",))
    spec = spec.model_copy(update={"report_by": tuple(every)})
    split: SplitName = "train" if "train" in spec.data.splits else "validation"
    files = [fill(text, split=spec.data.splits[split]) for text in spec.data.templates.values()]
    random = Random(0)
    refused = 0
    assert len(TaskData(spec, split, tmp_path))
    for _ in range(TRIES):
        path = tmp_path / random.choice(files)
        whole = path.read_text()
        path.write_text(json.dumps(spoilt(json.loads(whole), random)))
        try:
            TaskData(spec, split, tmp_path)
        except UserError:
            refused += 1
        path.write_text(whole)
    assert refused > TRIES / 20
