"""What the `generate` key of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import KINDS, names_where
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.choices import repeated_choice
from unified_vl.specs.tasks.generate import MIXED
from unified_vl.specs.tasks.template import Template, TemplateError, parse_template, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec
    from unified_vl.specs.tasks.generate import ChoicesSpec

ONLY_FOR = {  # a key of `generate`, and the methods that read it
    "beams": ("beam", "constrained"),
    "choices": ("constrained", "score_choices"),
    "normalize": ("score_choices",),
    "temperature": ("sample",),
    "top_k": ("sample",),
    "top_p": ("sample",),
    "best_of": ("sample",),
    "seed": ("sample",),
    "guidance": ("greedy", "sample"),
    "length_penalty": ("beam", "constrained"),
    "min_tokens": ("greedy", "beam", "sample"),
    "no_repeat_ngram": ("greedy", "beam", "sample"),
    "repetition_penalty": ("greedy", "beam", "sample"),
    "prefix": ("greedy", "beam", "sample"),
    "bad_words": ("greedy", "beam", "sample"),
    "rerank": ("sample",),
}

TEXT_ALONE = ("min_tokens", "no_repeat_ngram", "repetition_penalty", "prefix", "bad_words")
"""Keys that look at the words of an answer, and would cut through shapes, numbers and images."""


def generate_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `generate`."""
    generate = spec.generate
    if generate.method == "beam" and generate.beams < 2:
        yield Problem(("generate", "beams"), "a beam search of width 1", expected="2 or more")
    for key, methods in ONLY_FOR.items():
        value = getattr(generate, key)
        given = value > 1 if key == "beams" else value is not None
        if given and generate.method not in methods:
            yield Problem(
                ("generate", key),
                f"has no effect with {generate.method}",
                expected=f"method: {' or '.join(methods)}",
            )
    if generate.choices is None and generate.method in ONLY_FOR["choices"]:
        yield Problem(
            ("generate", "choices"),
            f"is missing for {generate.method}",
            expected="{file: NAME.txt}, {values: [...]} or {field: NAME}",
        )
    if generate.choices is not None:
        yield from _choices_problems(spec, generate.choices)
    yield from _words_problems(spec)
    try:
        target = parse_template(spec.example.target)
    except TemplateError:
        return
    yield from _allow_problems(spec, target)
    yield from _guidance_problems(spec)


def _words_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What the keys about an answer's words need of the rest."""
    generate = spec.generate
    if generate.allow != "text":
        for key in TEXT_ALONE:
            if getattr(generate, key) is not None:
                message = f"has no effect with {generate.allow}"
                yield Problem(("generate", key), message, expected="allow: text")
    if generate.method == "constrained" and generate.beams == 1 and generate.length_penalty:
        yield Problem(("generate", "length_penalty"), "ranks beams", expected="beams: 2 or more")
    if generate.min_tokens is not None and generate.min_tokens > generate.max_tokens:
        yield Problem(
            ("generate", "min_tokens"),
            f"is more than max_tokens, {generate.max_tokens}",
            expected=f"at most {generate.max_tokens}",
        )
    if generate.language == "enforce":
        from unified_vl.languages.scripts import scripts_of

        unknown = [tag for tag in spec.data.languages if not scripts_of(tag)]
        if unknown:
            yield Problem(
                ("generate", "language"),
                f"the scripts of {unknown[0]!r} are not known",
                expected=f"a tag that says the script, such as {unknown[0].split('-')[0]}-Latn",
            )


def _allow_problems(spec: TaskSpec, target: Template) -> Iterator[Problem]:
    """That the grammar of the answers is that of the target."""
    place: KeyPath = ("generate", "allow")
    allow = spec.generate.allow
    fields = [spec.fields[name] for name in spec.fields_of(target)]
    joined = any(name in spec.example.join for name in slots(target))
    shapes = [field for field in fields if field.writing == "places"]
    rest = [p for p in target if not (isinstance(p, str) and not p.strip())]
    alone = len(rest) == len(fields) == 1 and not joined
    if len({field.kind for field in shapes}) > 1:
        kinds = one_of(dict.fromkeys(field.kind for field in shapes), "and")
        yield Problem(("example", "target"), f"{kinds} are written alike", expected="one of them")
        return
    if spec.generate.choices is not None:
        if allow != "text":
            yield Problem(place, "has no effect with choices", expected="no `allow`")
        return
    pictures = [field for field in fields if field.writing == "codes"]
    fitting: list[str | None] = ["text", MIXED]
    if pictures and shapes:
        message = "an image and shapes are written"
        yield Problem(("example", "target"), message, expected="one of them")
        return
    if pictures:
        fitting = [pictures[0].of_kind.grammar(pictures)] if alone else [MIXED]
    elif named := [field for field in fields if field.writing == "names"]:
        fitting = [named[0].of_kind.grammar(named)] if alone else []
        if not alone:
            message = "the name of a region stands beside something else"
            yield Problem(("example", "target"), message, expected="the name alone")
            return
    elif shapes:
        only = len(rest) == len(shapes) and not joined
        fitting = [*([shapes[0].of_kind.grammar(shapes)] if only else []), MIXED]
    elif alone:
        fitting.insert(0, fields[0].of_kind.grammar(fields))
    names = dict.fromkeys(name for name in fitting if name is not None)
    if allow not in names:
        yield Problem(
            place,
            f"{allow!r} does not fit the target {spec.example.target!r}",
            expected=f"allow: {' or '.join(names)}",
        )


def _guidance_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What guidance and the ranking of images need of the rest."""
    generate = spec.generate
    if generate.guidance is not None and spec.example.drop is None:
        place: KeyPath = ("generate", "guidance")
        yield Problem(place, "nothing is dropped in training", expected="example.drop")
    if generate.rerank is None:
        return
    place = ("generate", "rerank")
    drawn = [name for kind in KINDS.values() if kind.writing == "codes" for name in kind.allows]
    if generate.allow not in drawn:
        expected = f"allow: {' or '.join(drawn)}"
        yield Problem(place, f"has no effect with {generate.allow}", expected=expected)
    if generate.best_of is None:
        yield Problem(("generate", "best_of"), "is missing for rerank", expected="2 or more")
    name = generate.rerank.field
    field = spec.fields.get(name)
    if field is None or field.writing != "text" or field.many:
        found = "not a field" if field is None else f"a field of kind {field.kind!r}"
        yield Problem(
            (*place, "field"),
            f"{name!r} is {found}" if field is None or not field.many else f"{name!r} is a list",
            expected="a field with one text",
            nearest=nearest(name, spec.fields) if field is None else None,
        )


def _choices_problems(spec: TaskSpec, choices: ChoicesSpec) -> Iterator[Problem]:
    place: KeyPath = ("generate", "choices")
    given = [key for key in ("file", "values", "field") if getattr(choices, key) is not None]
    if len(given) != 1:
        found = one_of(given, "and") or "none"
        yield Problem(place, f"found {found}", expected="one of 'file', 'values' and 'field'")
    if choices.file is not None:
        path = PurePosixPath(choices.file)
        if path.is_absolute() or ".." in path.parts:
            yield Problem(
                (*place, "file"),
                f"{choices.file!r} leaves the spec's folder",
                expected="a path below it",
            )
    if choices.field is not None:
        field = spec.fields.get(choices.field)
        if field is None or not field.of_kind.closed:
            found = "not a field" if field is None else f"a field of kind {field.kind!r}"
            yield Problem(
                (*place, "field"),
                f"{choices.field!r} is {found}",
                expected=f"a field of kind {one_of(names_where(lambda kind: kind.closed))}",
                nearest=nearest(choices.field, spec.fields) if field is None else None,
            )
    values = choices.values or ()
    for index, value in enumerate(values):
        if not value.strip() or "\n" in value:
            yield Problem((*place, "values", index), f"found {value!r}", expected="a line of text")
    repeated = repeated_choice(values)
    if repeated:
        again, first = repeated
        yield Problem(
            (*place, "values", again), f"{values[again]!r} is also number {first + 1} of the list"
        )
