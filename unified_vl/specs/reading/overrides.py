"""A task answered in another way than its spec says, for once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from unified_vl.errors import UserError
from unified_vl.specs.reading.parse import problems_of
from unified_vl.specs.tasks.generate import GenerateSpec
from unified_vl.specs.tasks.generate_rules import ONLY_FOR, generate_problems

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec

CHANGEABLE: Mapping[str, Any] = MappingProxyType(
    {
        "method": Literal["greedy", "beam", "sample", "constrained", "score_choices"],
        "beams": int,
        "length_penalty": float,
        "max_tokens": int,
        "min_tokens": int,
        "no_repeat_ngram": int,
        "repetition_penalty": float,
        "prefix": str,
        "bad_words": list[str],
        "language": bool,
        "temperature": float,
        "top_k": int,
        "top_p": float,
        "best_of": int,
        "seed": int,
        "guidance": float,
        "normalize": Literal["none", "tokens"],
    }
)
"""The keys of `generate` that whoever asks may give, with the types of their values."""


def option(key: str) -> str:
    """How the command line calls a key of `generate`."""
    named = {"language": "--enforce-language", "bad_words": "--bad-word"}
    return named.get(key, f"--{key.replace('_', '-')}")


def with_generate(
    spec: TaskSpec, given: Mapping[str, Any], called: Callable[[str], str] = option
) -> TaskSpec:
    """A spec with other keys of `generate`.

    Several beams make greedy decoding a beam search, and one makes a beam search greedy, unless
    the method is given too. With another method, keys of the spec that it does not read are left
    out.

    Args:
        spec: the task.
        given: keys of `generate` and their values; none change nothing.
        called: what whoever gave them calls a key.

    Raises:
        UserError: naming the key, when a value is wrong or does not fit the others.
    """
    if not given:
        return spec
    before = spec.generate
    method = given.get("method", before.method)
    if "method" not in given and "beams" in given:
        several = {"greedy": "beam", "beam": "beam"}.get(method, method)
        one = {"beam": "greedy"}.get(method, method)
        method = several if given["beams"] > 1 else one
    kept = {
        key: value
        for key, value in before.model_dump(exclude_defaults=True).items()
        if method == before.method or method in ONLY_FOR.get(key, (method,))
    }
    try:
        generate = GenerateSpec.model_validate({**kept, **given, "method": method})
    except ValidationError as error:
        first = next(problems_of(error, GenerateSpec))
        raise _wrong(called, str(first.path[0]), first.message, first.expected) from error
    if method in ONLY_FOR["choices"] and generate.choices is None:  # no option gives any
        raise _wrong(
            called,
            "method",
            f"{method} takes one of the choices, and task {spec.task!r} has none",
            "another method, or a spec file that has generate.choices (--task SPEC)",
        )
    changed = spec.model_copy(update={"generate": generate})
    for problem in generate_problems(changed):
        key = str(problem.path[1] if problem.path[0] == "generate" else problem.path[0])
        raise _wrong(called, key, f"{problem.message} (task {spec.task!r})", problem.expected)
    return changed


def _wrong(
    called: Callable[[str], str], key: str, message: str, expected: str | None = None
) -> UserError:
    return UserError(message, file="command line", field=called(key), expected=expected)
