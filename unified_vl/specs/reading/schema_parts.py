"""What a JSON Schema says of one place of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.parts import KeyPath, one_of


def keys_at(schema: Mapping[str, Any], path: KeyPath) -> list[str]:
    """The keys that the mapping at `path` may have."""
    return list(_part_of(schema, path).get("properties", {}))


def expected_at(schema: Mapping[str, Any], path: KeyPath) -> str | None:
    """What belongs at `path`, in words; None where the schema says nothing."""
    part = _part_of(schema, path)
    if "enum" in part:
        return one_of(part["enum"])
    words = {
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "array": "a list",
        "object": "keys and values",
    }
    return words.get(part.get("type", ""))


def _part_of(schema: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any]:
    """The JSON Schema of the value at `path`; empty where it says nothing."""
    node: Mapping[str, Any] = schema
    for key in path:
        node = _resolve(schema, node)
        if isinstance(key, int):
            places = node.get("prefixItems", ())  # of a list of a fixed length
            node = places[key] if key < len(places) else node.get("items", {})
        else:
            # keys of their own, or names that follow one pattern
            node = node.get("properties", {}).get(key) or _values_of(node)
    return _resolve(schema, node)


def _values_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the values of a mapping whose keys are free."""
    extra = node.get("additionalProperties")
    by_pattern = list(node.get("patternProperties", {}).values())
    return extra if isinstance(extra, dict) else by_pattern[0] if by_pattern else {}


def _resolve(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in node:
        resolved: Mapping[str, Any] = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return resolved
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    return _resolve(schema, options[0]) if len(options) == 1 else node
