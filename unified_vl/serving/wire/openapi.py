"""The description of the service in OpenAPI, with a schema of each task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from unified_vl.parts import Part
from unified_vl.serving.wire.chat import ChatRequest
from unified_vl.serving.wire.requests import PredictRequest, RetrieveRequest
from unified_vl.serving.wire.schemas import request_schema, response_schema
from unified_vl.specs.task import TaskSpec

REFERENCE = "#/components/schemas/{model}"
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "integer"},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
SAID = {
    "400": "What is wrong with the request.",
    "401": "The token is missing or wrong.",
    "403": "Pages of other sites may not ask.",
    "404": "The model has no such task.",
    "408": "The request was too slow to come.",
    "413": "Something is above a limit.",
    "415": "Another content type.",
    "429": "Too many requests; Retry-After says when to try again.",
    "504": "The answer took too long.",
}


def describe(app: FastAPI, specs: Iterable[TaskSpec]) -> dict[str, Any]:
    """The document of `GET /openapi.json`."""
    said = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = said.setdefault("components", {}).setdefault("schemas", {})
    schemas.clear()  # those of an error that FastAPI would give, and this service does not
    schemas["Error"] = ERROR
    specs = list(specs)
    shared = _schema(PredictRequest, schemas)["properties"]
    asked = {"oneOf": [_of_task(spec, shared) for spec in specs]}
    form = {"type": "object", "properties": {"task": {"enum": [s.task for s in specs]}}}
    answers = {"oneOf": [response_schema(spec) for spec in specs]}
    hits = {"type": "object", "properties": {"hits": {"type": "array"}}}
    of_path: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "/predict": ({"application/json": asked, "multipart/form-data": form}, answers),
        "/retrieve": ({"application/json": _schema(RetrieveRequest, schemas)}, hits),
        "/v1/chat/completions": (
            {"application/json": _schema(ChatRequest, schemas)},
            {"type": "object"},
        ),
    }
    for path, ways in said["paths"].items():
        for way in ways.values():
            way["responses"].pop("422", None)
            way["responses"] |= {s: _response(text, "Error") for s, text in SAID.items()}
            if path in of_path:
                body, answer = of_path[path]
                content = {kind: {"schema": schema} for kind, schema in body.items()}
                way["requestBody"] = {"required": True, "content": content}
                way["responses"]["200"]["content"] = {"application/json": {"schema": answer}}
            elif path == "/metrics":
                way["responses"]["200"]["content"] = {"text/plain": {}}
    return said


def _of_task(spec: TaskSpec, shared: dict[str, Any]) -> dict[str, Any]:
    own = request_schema(spec)
    properties = {**shared, **own["properties"]}
    return {**own, "properties": properties, "additionalProperties": False}


def _schema(model: type[Part], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request; what it refers to goes among the shared ones."""
    found = model.model_json_schema(ref_template=REFERENCE)
    schemas |= found.pop("$defs", {})
    return found


def _response(text: str, name: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model=name)}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
