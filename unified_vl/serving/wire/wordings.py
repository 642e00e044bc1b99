"""A sentence back to the fields that a task's template put into it.

Of `{image} {ask} {phrase}` with the wording "Where is", the text "Where is the key?" means that
`phrase` is "the key?"; any text that is not in the task's wording is the value of its one field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from unified_vl.data.templates import Plan, make_plan
from unified_vl.inference.inputs import input_language, source_fields
from unified_vl.kinds.registry import kind_of
from unified_vl.serving.faults import Fault
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.template import Slot

MOST_WORDINGS = 200  # of a language, all combinations together


def filled_in(
    spec: TaskSpec, text: str, language: str | None, given: Mapping[str, Any]
) -> tuple[dict[str, str], str | None]:
    """The fields that a text gives, and the language of its wording.

    Args:
        spec: the task.
        text: of a message; "" for none.
        language: that is asked for; None where the wording may say it.
        given: fields that are there already.

    Raises:
        UserError: for an unknown language.
        Fault: for a text of which it is not clear what it is.
    """
    languages = spec.data.languages
    if language is not None or len(languages) == 1:
        language = input_language(spec, language)
        languages = (language,)
    texts = [
        name
        for name in source_fields(spec)
        if not kind_of(spec.fields[name].kind).has_pixels and name not in given
    ]
    for tag in languages:
        for pattern in _patterns(spec, tag, texts):
            if (found := pattern.fullmatch(text)) is not None:
                return found.groupdict(), tag
    if not texts or not text:
        return {}, language  # a task that reads images alone is asked by its name
    needed = [name for name in texts if spec.fields[name].missing != "allow"] or texts
    if len(needed) > 1:
        raise Fault(
            f"the task {spec.task!r} reads {', '.join(needed)}, and a message is one text",
            field="messages",
            expected="`fields` with all but one of them",
        )
    return {needed[0]: text}, language


def _patterns(spec: TaskSpec, language: str, texts: list[str]) -> Iterator[re.Pattern[str]]:
    """What sentences of the task's own wording look like, one a combination of wordings; none of a
    template that is all slots."""
    plan = make_plan(spec, language, "none")
    names = list(plan.wordings)
    for number, chosen in enumerate(product(*(plan.wordings[name] for name in names))):
        if number == MOST_WORDINGS:
            return
        pattern = _pattern(plan, dict(zip(names, chosen, strict=True)), texts)
        if pattern is not None:
            yield pattern


def _pattern(plan: Plan, wordings: Mapping[str, str], texts: list[str]) -> re.Pattern[str] | None:
    parts: list[str] = []
    seen: set[str] = set()
    says = False
    for piece in plan.source:
        said = wordings.get(piece.name) if isinstance(piece, Slot) else piece
        if isinstance(said, str):
            words = [re.escape(word) for word in said.split()]
            says = says or any(re.search(r"\w", word) for word in said.split())
            around = (r"\s*" if said[:1].isspace() else "", r"\s*" if said[-1:].isspace() else "")
            parts.append(around[0] + r"\s+".join(words) + around[1] if words else r"\s*")
        elif isinstance(piece, Slot) and piece.name in texts:
            if piece.name in seen:
                return None
            seen.add(piece.name)
            parts.append(f"(?P<{piece.name}>.+)")
        elif isinstance(piece, Slot) and piece.name in plan.joins:
            return None
    return re.compile(r"\s*" + "".join(parts) + r"\s*", re.DOTALL) if says else None
