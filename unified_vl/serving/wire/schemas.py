"""JSON schemas of what a task wants and gives, made of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.inference.inputs import source_fields, target_fields
from unified_vl.kinds.registry import kind_of
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec

NUMBERS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
TEXTS = {"type": "array", "items": {"type": "string"}}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "numbers": NUMBERS,
    "texts": TEXTS,
    "labels": {"type": "array", "items": {"type": ["string", "null"]}},
}


def described(spec: TaskSpec) -> dict[str, Any]:
    """What people need to know of a task to ask it."""
    said = {
        "task": spec.task,
        "version": spec.version,
        "about": spec.about,
        "languages": list(spec.data.languages),
        "method": spec.generate.method,
        "writes": {name: spec.fields[name].kind for name in target_fields(spec)},
    }
    if spec.choices:
        said["choices"] = list(spec.choices)
    return said | {"request": request_schema(spec), "response": response_schema(spec)}


def request_schema(spec: TaskSpec) -> dict[str, Any]:
    """The body of `POST /predict` for a task."""
    names = source_fields(spec)
    languages = list(spec.data.languages)
    needed = [name for name in names if spec.fields[name].missing != "allow"]
    required = ["task", "fields"] if needed else ["task"]
    if len(languages) > 1:
        required.append("language")
    return {
        "title": spec.task,
        "description": spec.about,
        "type": "object",
        "properties": {
            "task": {"const": spec.task},
            "language": {"enum": languages},
            "fields": {
                "type": "object",
                "properties": {name: field_schema(spec.fields[name]) for name in names},
                "required": needed,
                "additionalProperties": False,
            },
        },
        "required": required,
    }


def field_schema(field: FieldSpec) -> dict[str, Any]:
    """A field's value in a request."""
    one = {**kind_of(field.kind).json_schema, "description": f"A value of kind {field.kind}."}
    names = field.names.values if field.names is not None else None
    if names:
        one |= {"anyOf": [{"enum": list(names)}, {"type": "integer"}]}
    return {"type": "array", "items": one} if field.many else one


def response_schema(spec: TaskSpec) -> dict[str, Any]:
    """What the task answers."""
    text = {"type": "string"}
    kinds = {spec.fields[name].kind for name in target_fields(spec)}
    shapes = {
        key: dict(ROWS[kind])
        for name in sorted(kinds)
        for key, kind in kind_of(name).row_types().items()
    }
    pictures = any(kind_of(name).writing == "codes" for name in kinds)
    properties: dict[str, Any] = {
        "task": {"const": spec.task},
        "language": text,
        "prediction": text,
        "boxes": {"anyOf": [NUMBERS, {"type": "null"}]},
        "score": {"type": ["number", "null"], "description": "Mean log-probability of a token."},
        **{flag: {"type": "boolean"} for flag in ("cut", "source_cut", "other_script")},
        **shapes,
        "alternatives": {"type": "array", "items": {"type": "object"}},
    }
    if pictures:
        properties["images"] = TEXTS
    if spec.image_field is not None and shapes:
        properties["drawn"] = text
    return {
        "type": "object",
        "properties": properties,
        "required": ["task", "language", "prediction", "score"],
    }
