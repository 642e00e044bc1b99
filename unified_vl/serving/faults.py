"""What is wrong with a request, as one message with a status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from unified_vl.errors import UserError, visible

TYPES = {401: "authentication_error", 404: "not_found_error", 429: "overloaded_error"}


class Fault(UserError):
    """A request that is refused.

    Args:
        message, field, expected, nearest: as of a `UserError`.
        status: of HTTP.
        headers: more of the response.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        field: str | None = None,
        expected: str | None = None,
        nearest: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, field=field, expected=expected, nearest=nearest)
        self.status = status
        self.headers = dict(headers or {})


class TooLarge(Fault):
    """What is above a limit (413)."""

    def __init__(self, message: str, *, expected: str, field: str | None = None) -> None:
        super().__init__(message, status=413, field=field, expected=expected)


def without_place(error: UserError) -> None:
    """Take file and line from an error: a request is no file of anybody's, and files of the
    server are nobody's business."""
    error.file = error.line = None


def body_of(status: int, message: str, field: str | None = None) -> dict[str, Any]:
    """What a response says that is no answer, in the form of OpenAI's API."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    said = {"message": visible(message), "type": kind, "param": field, "code": status}
    return {"error": said}


def to_json(value: Any) -> bytes:
    """A value as JSON in UTF-8; half of a surrogate pair is written as the escape that it is."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
