"""JSON Schemas of all kinds of spec file, for editors that complete and check."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.reading.document import Document
from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import EngineSpec
from unified_vl.specs.task import TaskSpec


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (draft 2020-12) of task, mixture, run, image tokenizer and engine files."""
    schemas = {}
    documents: dict[str, type[Document]] = {
        "task": TaskSpec,
        "mixture": Mixture,
        "run": Run,
        "image_tokenizer": ImageTokenizerSpec,
        "engine": EngineSpec,
    }
    for name, model in documents.items():
        schema = model.model_json_schema(schema_generator=_InOrder)
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schemas


def editor_schemas() -> dict[str, dict[str, Any]]:
    """The same for editors, where a task spec that includes another need give no key."""
    return {
        name: _including(schema) if "include" in schema["properties"] else schema
        for name, schema in json_schemas().items()
    }


def _including(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose mandatory keys are so only in files that include no other."""
    whole = {key: value for key, value in schema.items() if key not in ("$schema", "$defs")}
    names = ["Whole", *schema["$defs"]]
    strict = {name: schema["$defs"].get(name, whole) for name in names}
    lenient = {f"{name}Part": _lenient(part) for name, part in strict.items()}
    return {
        "$schema": schema["$schema"],
        "title": schema["title"],
        "type": "object",
        "if": {"required": ["include"]},
        "then": {"$ref": "#/$defs/WholePart"},
        "else": {"$ref": "#/$defs/Whole"},
        "$defs": {**strict, **lenient},
    }


def _lenient(node: Any, values: bool = False) -> Any:
    """A part without mandatory keys, each of which may be null, to take it away."""
    if isinstance(node, list):
        return [_lenient(each) for each in node]
    if not isinstance(node, dict):
        return node
    if values:
        # not of a mapping, whose errors an editor then would no longer say
        null = {"type": "null"}
        each = {key: _lenient(value) for key, value in node.items()}
        return {k: v if "$ref" in v else {"anyOf": [v, null]} for k, v in each.items()}
    found = {}
    for key, value in node.items():
        if key == "$ref":
            found[key] = f"{value}Part"
        elif key not in ("required", "minProperties"):
            inner = key in ("properties", "patternProperties")
            found[key] = value if key in _PLAIN else _lenient(value, inner)
    return found


_PLAIN = ("examples", "default", "enum", "const", "description", "title")


class _InOrder(GenerateJsonSchema):
    """Leaves keys in the order of their classes, and those of examples as they were written."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value
