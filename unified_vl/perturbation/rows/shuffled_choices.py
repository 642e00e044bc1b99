"""The choices of a row in another order; the right answer is the same choice, wherever it is."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from unified_vl.data.rows.inputs import Inputs
from unified_vl.kinds.hooks.options import written_options
from unified_vl.perturbation.perturbation import InputPerturbation
from unified_vl.specs.reading.checks import named_slots
from unified_vl.specs.task import TaskSpec


class ShuffledChoices(InputPerturbation):
    """Another order of the texts that an answer chooses from, and of what is listed beside them."""

    def lacks(self, spec: TaskSpec) -> str | None:
        if not _chosen(spec):
            return "it lists no choices in a row's source"
        if any(score.relevance or score.columns for score in spec.score):
            return "a score compares its choices in the order that the data have"
        return None

    def change(self, inputs: Inputs, severity: int, random: Random, spec: TaskSpec) -> Inputs:
        asked, own = dict(inputs.asked), dict(inputs.own)
        for answer, options in _chosen(spec).items():
            before = own.get(options, ())
            order = list(range(len(before)))
            random.shuffle(order)
            after = tuple(before[place] for place in order)
            if after == before:
                continue
            write = spec.fields[answer].write
            where = written_options(before, write).index(own[answer][0])
            said = (written_options(after, write)[order.index(where)],)
            for values in (asked, own):
                for name in (options, *_beside(spec, options)):
                    if len(values.get(name, ())) == len(order):
                        values[name] = tuple(values[name][place] for place in order)
                values[answer] = said
        if asked == inputs.asked:
            return inputs
        return replace(inputs, asked=asked, own=own)


def _chosen(spec: TaskSpec) -> dict[str, str]:
    """The fields that the target chooses, each with that of its choices, which the source has."""
    read = spec.fields_of(spec.source)
    written = {*spec.fields_of(spec.target), *(score.against for score in spec.score)}
    return {
        name: field.of
        for name, field in spec.fields.items()
        if name in written and field.of is not None and field.of in read
    }


def _beside(spec: TaskSpec, options: str) -> tuple[str, ...]:
    """Other fields of the join that lists the choices."""
    joins = (named_slots(join.each) for join in spec.example.join.values())
    listed = {name for names in joins if options in names for name in names}
    return tuple(name for name in spec.fields if name in listed and name != options)


PERTURBATIONS = (
    ShuffledChoices(
        "shuffled_choices",
        "The choices of a row are in another order.",
        "choices",
        severities=1,
    ),
)
