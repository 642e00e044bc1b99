"""Rows with too few answers for a metric that counts people who agree."""

from __future__ import annotations

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.data.example import Example
from unified_vl.specs.task import TaskSpec

FEWEST = 4  # with fewer, VQA accuracy is not what its official rules say
REMEDY = "take accuracy, where a question has one answer; or read all that people gave"


class FewAnswers:
    """Takes in the examples of one split, and says how many have fewer answers than
    a metric needs that counts people who agree."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        counted = (s.definition.references == "agreeing" for s in spec.score)
        self._places = [place for place, agreeing in enumerate(counted) if agreeing]
        self._few = dict.fromkeys(self._places, 0)
        self._examples = 0

    def add(self, example: Example) -> None:
        self._examples += 1
        for place in self._places:
            answers = example.references[self.spec.score[place].against]
            self._few[place] += len(answers) < FEWEST

    def report(self, split: str, findings: Findings) -> None:
        for place, few in self._few.items():
            if few:
                metric = self.spec.score[place].metric
                error = self.spec.error(
                    ("score", place, "metric"),
                    f"{share(few, self._examples)} of {split} have fewer than {FEWEST} answers, "
                    f"and {metric} then is no match for published numbers, which have ten",
                )
                findings.add(error, "warning", remedy=REMEDY, rate=few / self._examples)
