"""Values as YAML on one line, quoted only where they must be."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")  # what YAML takes for text without quotes
_WORDS = ("yes", "no", "true", "false", "null", "on", "off", "y", "n", "none")


def quoted(text: str) -> str:
    """A text, in quotes unless it is a plain word."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def in_flow(value: Any) -> str:
    """A value of JSON as YAML has it in a line: `{kind: box, layout: xywh}`."""
    match value:
        case dict():
            pairs = ", ".join(f"{quoted(str(key))}: {in_flow(each)}" for key, each in value.items())
            return f"{{{pairs}}}"
        case list() | tuple():
            return f"[{', '.join(map(in_flow, value))}]"
        case str():
            return quoted(value)
    return json.dumps(value)
