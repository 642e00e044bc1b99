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

from unified_vl.data.rows.paths import existing
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.readers.registry import READERS
from unified_vl.specs.load import load_task

SPECS = Path(__file__).parents[2] / "task_specs"
FIXTURES = (
    "coco",
    "vqa",
    "text_vqa",
    "visual_genome",
    "refcoco",
    "flickr30k",
    "crossmodal",
    "reasoning",
    "videos",
)
JSON = (".json", ".jsonl")
JUNK = (None, True, -1, 10**30, 0.5, "", "text", [], [1], ["a"], [[]], {}, {"a": 1}, [{}], [None])
TRIES = 60


def writers() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Of the specs with files of JSON, one for each reader that knows its columns."""
    seen = set()
    for name in FIXTURES:
        path = Path(__file__).parent / f"fixtures/{name}.py"
        loader = importlib.util.spec_from_file_location(f"spoilt_{name}", path)
        assert loader is not None and loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        loader.loader.exec_module(module)
        for spec, write in module.WRITERS.items():
            data = load_task(SPECS / f"{spec}.yaml").data
            reader, endings = data.reader, [Path(file).suffix for file in data.templates.values()]
            known = READERS[reader].columns is not None and set(endings) & set(JSON)
            if known and reader not in seen:
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


def spoilt_text(text: str, random: Random) -> str:
    """A JSON file, or one of a value a line, with one value replaced or taken away."""
    try:
        return json.dumps(spoilt(json.loads(text), random))
    except ValueError:
        lines = text.splitlines()
        place = random.randrange(len(lines))
        lines[place] = json.dumps(spoilt(json.loads(lines[place]), random))
        return "\n".join(lines)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_spoilt_file_has_a_message(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    spec = load_task(SPECS / f"{name}.yaml")
    every = dict.fromkeys(READERS[spec.data.reader].columns or (), ("report_by",))
    spec = spec.model_copy(update={"report_by": tuple(every)})
    split = next(iter(spec.data.splits))
    tag = (
        spec.data.languages[0]
        if any("{language}" in t for t in spec.data.templates.values())
        else None
    )
    found = existing(spec, split, tmp_path, tag)
    files = [path for each in found for path in each.values() if path.suffix in JSON]
    random = Random(0)
    refused = 0
    assert len(TaskData(spec, split, tmp_path))
    for _ in range(TRIES):
        path = random.choice(files)
        whole = path.read_text(encoding="utf-8")
        path.write_text(spoilt_text(whole, random), encoding="utf-8")
        try:
            TaskData(spec, split, tmp_path)
        except UserError:
            refused += 1
        path.write_text(whole, encoding="utf-8")
    assert refused > TRIES / 20
