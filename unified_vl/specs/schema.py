"""JSON Schemas of the three kinds of file, for editors that complete and check."""

from __future__ import annotations

from typing import Any

from unified_vl.specs.mixture import Mixture
from unified_vl.specs.run import Run
from unified_vl.specs.task import TaskSpec


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (draft 2020-12) of task, mixture and run files."""
    schemas = {}
    for name, model in (("task", TaskSpec), ("mixture", Mixture), ("run", Run)):
        schema = model.model_json_schema()
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schemas
