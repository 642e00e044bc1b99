from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from unified_vl.specs.reading.schema import json_schemas


def objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield schema["title"], schema
    yield from schema["$defs"].items()


@pytest.mark.parametrize("name", ["task", "mixture", "run"])
def test_every_key_is_described_and_no_other_is_allowed(name: str) -> None:
    schema = json_schemas()[name]
    assert name in schema["required"]
    for title, part in objects(schema):
        assert part["additionalProperties"] is False, title
        for key, value in part["properties"].items():
            # a part whose own description says it needs no other
            part_name = value.get("$ref", "").rsplit("/", 1)[-1]
            described = {**schema["$defs"].get(part_name, {}), **value}
            assert described.get("description"), f"{title}.{key}"
