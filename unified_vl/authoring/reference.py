"""The pages keys.md, readers.md and metrics.md of docs, out of what the code itself goes by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unified_vl.authoring.metrics_page import WRITTEN, metrics_page
from unified_vl.authoring.yaml_text import in_flow
from unified_vl.readers.reader import Reader
from unified_vl.readers.registry import READERS
from unified_vl.specs.reading.schema import json_schemas

Schema = Mapping[str, Any]
TITLES = {
    "task": "Task specs",
    "mixture": "Mixtures",
    "run": "Runs",
    "image_tokenizer": "Image tokenizers",
    "engine": "Engines (JSON)",
}
_PRIMITIVES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "keys and values",
}


def pages() -> dict[str, str]:
    """Markdown by the name of its file."""
    return {"keys.md": keys_page(), "readers.md": readers_page(), "metrics.md": metrics_page()}


def keys_page() -> str:
    """Every key of every kind of file."""
    lines = [
        "# Every key of every file",
        "",
        WRITTEN,
        "",
        "Each table is a mapping of a file: what its keys are called, what they hold, what they "
        "are when they are left out, and an example. `NAME` stands for a name of your own, a "
        "number for the place in a list.",
        "",
    ]
    for name, schema in json_schemas().items():
        lines += [f"## {TITLES.get(name, name)}", ""]
        for path, part in _parts(schema):
            lines += _table(schema, path, part)
    return "\n".join(lines).rstrip() + "\n"


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Each mapping of a kind of file with the path of its keys, as `fields.NAME`."""
    queue: list[tuple[str, Schema]] = [("", schema)]
    seen: set[str] = set()
    while queue:
        path, part = queue.pop(0)
        yield path, part
        found: list[tuple[str, Schema]] = []
        for key, value in part["properties"].items():
            for suffix, reference in _references(value):
                if reference not in seen:
                    seen.add(reference)
                    below = f"{path}.{key}" if path else key
                    found.append((below + suffix, schema["$defs"][reference]))
        queue = found + queue


def _references(node: Schema, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Names of the mappings that a value is made of, and where they are in it."""
    if "$ref" in node:
        yield suffix, node["$ref"].rsplit("/", 1)[-1]
    for option in (*node.get("anyOf", ()), *node.get("allOf", ())):
        yield from _references(option, suffix)
    if isinstance(node.get("items"), Mapping):
        yield from _references(node["items"], f"{suffix}.0")
    for values in _free_values(node):
        yield from _references(values, f"{suffix}.NAME")


def _free_values(node: Schema) -> list[Schema]:
    """The schemas of the values of a mapping whose keys are free."""
    extra = node.get("additionalProperties")
    found = [*node.get("patternProperties", {}).values(), extra]
    return [each for each in found if isinstance(each, Mapping)]


def _table(schema: Schema, path: str, part: Schema) -> list[str]:
    lines = []
    if path:
        lines += [f"### `{path}`", "", part.get("description", ""), ""]
    lines += [
        "| key | holds | unless given | what it says | example |",
        "|---|---|---|---|---|",
    ]
    required = part.get("required", ())
    for key, value in part["properties"].items():
        described = {**_resolved(schema, value), **value}
        default = "**needed**" if key in required else _default(value)
        example = described.get("examples", [None])[0]
        cells = (
            f"`{key}`",
            _type(schema, value),
            default,
            described.get("description", ""),
            f"`{key}: {in_flow(example)}`",
        )
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return [*lines, ""]


def _resolved(schema: Schema, node: Schema) -> Schema:
    return schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else {}


def _default(node: Schema) -> str:
    if node.get("default") is None:
        return "-"
    return f"`{in_flow(node['default'])}`"


def _type(schema: Schema, node: Schema) -> str:
    """What a value is, in words."""
    if "$ref" in node:
        return "keys below"
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        return " or ".join(_type(schema, option) for option in options)
    if node.get("type") == "array":
        each = _type(schema, node["items"]) if "items" in node else _tuple(schema, node)
        return f"list: {each}"
    if free := _free_values(node):
        names = node.get("propertyNames", {}).get("enum")
        keys = f"for {', '.join(f'`{name}`' for name in names)}" if names else "by name"
        return f"{keys}: {_type(schema, free[0])}"
    return _PRIMITIVES.get(node.get("type", ""), "any value") + _limits(node)


def _tuple(schema: Schema, node: Schema) -> str:
    return ", ".join(_type(schema, each) for each in node.get("prefixItems", ()))


def _limits(node: Schema) -> str:
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    said = []
    if low is not None:
        said.append(f"{'above' if 'exclusiveMinimum' in node else 'from'} {low:g}")
    if high is not None:
        said.append(f"{'below' if 'exclusiveMaximum' in node else 'to'} {high:g}")
    return f" {' '.join(said)}" if said else ""


def readers_page() -> str:
    """What each reader reads, and the columns that it gives."""
    lines = [
        "# Every reader",
        "",
        WRITTEN,
        "",
        "`data.reader` of a task spec names one of these. A reader with a table of columns gives "
        "these, whatever the data; the columns of the others are those of the file. Paths are "
        "relative to the data root; paths of images to `data.images`, where the spec has it.",
        "",
    ]
    for name, info in READERS.items():
        lines += [f"## `{name}`", "", info.about, "", *_reads(name, info), ""]
        if info.columns is not None:
            lines += ["| column | holds | what it is |", "|---|---|---|"]
            lines += [f"| `{n}` | {c.type} | {c.about} |" for n, c in info.columns.items()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _reads(name: str, info: Reader) -> list[str]:
    if info.files:
        files = ", ".join(f"`{n}`{' (optional)' if n in info.optional else ''}" for n in info.files)
        lines = [f"- `data.files`: {files}"]
    else:
        what = {"id": "the id of a data set", "either": "a file or a folder"}
        lines = [f"- `data.path`: {what.get(info.path, f'a {info.path}')}"]
    if info.named != "never":
        lines.append(f"- `data.columns`: {info.named}")
    if info.images == "always":
        lines.append("- `data.images`: always")
    return lines
