"""Every number and every switch of every kind of file, given what it cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from unified_vl.authoring.reference import _parts
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.reading.document import Document, Origin
from unified_vl.specs.reading.parse import InvalidSpec, Parsed, validate
from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import EngineSpec
from unified_vl.specs.task import TaskSpec

DOCUMENTS: tuple[type[Document], ...] = (TaskSpec, Mixture, Run, ImageTokenizerSpec, EngineSpec)
NUMBERS = [0, -1, 0.5, 10**12 + 1, 10**40, 1e308, -1e308, math.nan, math.inf, -math.inf]
NO_NUMBERS = ["four", "1", "off", "", True, [1], {"a": 1}]


def options(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a value may be, and where; items of lists and values of mappings too."""
    for each in (node, *node.get("anyOf", ())):
        yield ".".join(path), each
        for below in (each.get("items"), each.get("additionalProperties")):
            if isinstance(below, dict):
                yield from options(below, (*path, "0" if below is each.get("items") else "name"))
        for index, item in enumerate(each.get("prefixItems", ())):
            yield from options(item, (*path, str(index)))


def keys(*types: str) -> Iterator[Any]:
    for document in DOCUMENTS:
        schema = document.model_json_schema()
        for path, part in _parts(schema):
            for key, value in part["properties"].items():
                whole = tuple(filter(None, path.replace("NAME", "name").split(".")))
                for place, node in options(value, (*whole, key)):
                    if node.get("type") in types:
                        yield pytest.param(document, place, node, id=f"{document.__name__}.{place}")


def errors(document: type[Document], place: str, value: object) -> list[str]:
    """What is said of a key in a file that has nothing else."""
    values: Any = value
    for part in reversed(place.split(".")):
        # an item that is wrong is told whatever stands before it
        values = [None] * int(part) + [values] if part.isdigit() else {part: values}
    with pytest.raises(InvalidSpec) as error:
        validate(document, Parsed({**values, "surely_unknown": 1}, Origin()))
    return [str(each) for each in error.value.all if each.field == place]


def allowed(node: dict[str, Any], value: float) -> bool:
    """Whether the schema takes a number."""
    if "enum" in node:
        return value in node["enum"]
    low, above = node.get("minimum", -math.inf), node.get("exclusiveMinimum", -math.inf)
    high, below = node.get("maximum", math.inf), node.get("exclusiveMaximum", math.inf)
    whole = node["type"] == "number" or isinstance(value, int)
    multiple = node.get("multipleOf", 1)
    fits = node["type"] == "number" or (whole and value % multiple == 0)
    return math.isfinite(value) and fits and low <= value <= high and above < value < below


@pytest.mark.parametrize(("document", "place", "node"), keys("integer", "number"))
def test_a_number_has_two_ends_and_nothing_beyond_them_passes(
    document: type[Document], place: str, node: dict[str, Any]
) -> None:
    if "enum" not in node:
        assert {"minimum", "exclusiveMinimum"} & node.keys(), "no least value"
        assert {"maximum", "exclusiveMaximum"} & node.keys(), "no largest value"
    for value in NUMBERS:
        if not allowed(node, value):
            assert errors(document, place, value), f"{value} passes"
    for value in NO_NUMBERS:
        assert errors(document, place, value), f"{value!r} passes"


@pytest.mark.parametrize(("document", "place", "node"), keys("boolean"))
def test_a_switch_is_never_taken_for_its_opposite(
    document: type[Document], place: str, node: dict[str, Any]
) -> None:
    for text, meant in (("off", "false"), ("no", "false"), ("on", "true"), ("yes", "true")):
        (told,) = errors(document, place, text)
        assert told.endswith(f"found {text!r}; expected true or false; did you mean {meant!r}?")
    for value in (0, 1, "true", "auto", [True]):
        assert errors(document, place, value), f"{value!r} passes"
