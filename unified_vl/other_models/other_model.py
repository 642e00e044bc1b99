"""A model of another project that is asked about the rows of a task, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.inference.inputs import chunks
from unified_vl.inference.prediction import Prediction
from unified_vl.other_models.answer_log import AnswerLog, digest_of
from unified_vl.other_models.answerer import OtherAnswerer
from unified_vl.other_models.asking import Asker, Question
from unified_vl.other_models.place_conventions import (
    CONVENTIONS,
    OF_MODEL_TYPES,
    PlaceConvention,
)
from unified_vl.other_models.reading import AnswerReader, Said
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.generate import GenerateSpec

CHUNK = 8  # batches of questions at hand at once: of like length together, and none waits
MOST_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class How:
    """How the questions of a task are answered.

    Attributes:
        generate: the spec's.
        max_tokens: most tokens of an answer, in those of the model.
        choices: what is scored, where no text is to be written.
        raw_tokens: whether special tokens are part of the answer, as places in tokens are.
        bare: whether a prompt is complete as it is.
    """

    generate: GenerateSpec
    max_tokens: int
    choices: tuple[str, ...] = ()
    raw_tokens: bool = False
    bare: bool = False


class Respondent(ABC):
    """Whatever runs a model.

    Attributes:
        model_type: of its config, where it is known.
        scores_choices: whether it can say how likely given answers are.
        asks_source_alone: whether it knows the tasks, so that a prompt need not explain them.
    """

    model_type: str | None = None
    scores_choices: bool = False
    asks_source_alone: bool = False

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Which model it is."""

    @abstractmethod
    def respond(
        self, questions: Sequence[Question], how: How, batch_size: int
    ) -> Iterator[tuple[int, Said]]:
        """The answers, each with the place of its question, in any order.

        Args:
            questions: those of one task.
            how: how they are answered.
            batch_size: how many at once.
        """


class OtherModel(OtherAnswerer):
    """Asks a model in words, and reads what it says by the grammar of the task.

    Args:
        respondent: what runs it.
        places: how it writes places in an image; None for what its family writes, or pixels.
        max_tokens: room for an answer; None for what the spec says, with more for another
            tokenizer and for places in digits.
        log: keeps the answers.
        bare: ask by the sources of specs alone, as those ask who were trained on them.

    Raises:
        UserError: for an unknown convention.
    """

    def __init__(
        self,
        respondent: Respondent,
        *,
        places: str | None = None,
        max_tokens: int | None = None,
        log: AnswerLog | None = None,
        bare: bool = False,
    ) -> None:
        self._respondent = respondent
        name = places or OF_MODEL_TYPES.get(respondent.model_type or "", "pixels")
        self._places: PlaceConvention = CONVENTIONS[name]
        self._max_tokens = max_tokens
        self._log = log
        self._bare = bare or respondent.asks_source_alone

    @property
    def identity(self) -> Mapping[str, Any]:
        bare = {"bare": True} if self._bare else {}
        return {**self._respondent.identity, "places": self._places.name, **bare}

    def ranks(self, spec: TaskSpec) -> bool:
        return self._respondent.scores_choices and spec.generate.method == "score_choices"

    def builder(self, spec: TaskSpec, root: Path, data: TaskData, /) -> ExampleBuilder:
        return super().builder(spec.prompted(), root, data)

    def predict_examples(
        self,
        spec: TaskSpec,
        examples: Iterable[Example],
        batch_size: int = 1,
        /,
        *,
        n: int = 1,
    ) -> Iterator[Prediction]:
        """The answers to the examples.

        Raises:
            UserError: when no question of the first chunk gets an answer, with its reason.
        """
        how, reader = self._how(spec), AnswerReader(spec, self._places)
        asker = Asker(spec, self._places, bare=how.bare)
        depends = {"by": dict(self._respondent.identity), "how": _plain(how)}
        answered = 0
        for chunk in chunks(examples, CHUNK * batch_size):
            questions = [asker.question(example) for example in chunk]
            found = self._ask(questions, how, depends, batch_size)
            answered += sum(said.error is None for said in found)
            if not answered:
                raise UserError(
                    f"no question was answered; the first: {found[0].error}",
                    file=str(self._respondent.identity.get("name")),
                )
            for example, question, said in zip(chunk, questions, found, strict=True):
                yield reader.read(replace(said, asked=question.text), example)

    def _ask(
        self, questions: Sequence[Question], how: How, depends: Mapping[str, Any], batch_size: int
    ) -> list[Said]:
        """An answer to each question: those that are known, and those of the model."""
        found: dict[int, Said] = {}
        digests: list[str] = []
        if self._log is not None:
            digests = [digest_of(question, depends) for question in questions]
            known = enumerate(map(self._log.find, digests))
            found = {place: said for place, said in known if said is not None}
        left = [place for place in range(len(questions)) if place not in found]
        asked = [questions[place] for place in left]
        for place, said in self._respondent.respond(asked, how, batch_size) if asked else ():
            found[left[place]] = said
            if self._log is not None:
                self._log.add(digests[left[place]], said)
        return [found[place] for place in range(len(questions))]

    def _how(self, spec: TaskSpec) -> How:
        scored = spec.generate.method == "score_choices" and self._respondent.scores_choices
        return How(
            spec.generate,
            self._max_tokens or room(spec),
            spec.choices if scored else (),
            raw_tokens=not self._places.ask and spec.answer_form.shape in _written(spec),
            bare=self._bare or spec.example.prompt is not None,
        )


def room(spec: TaskSpec) -> int:
    """Tokens of an answer: twice what the spec says, in another tokenizer; sixteen times where
    there are places, whose numbers are then digits."""
    places = spec.answer_form.shape in _written(spec)
    factor, least = (16, 128) if places else (2, 32)
    return min(MOST_TOKENS, max(least, factor * spec.generate.max_tokens))


def _written(spec: TaskSpec) -> set[str]:
    return {spec.fields[name].kind for name in spec.fields_of(spec.target)}


def _plain(how: How) -> dict[str, Any]:
    generate = how.generate.model_dump(mode="json", exclude_defaults=True)
    return {**{k: v for k, v in asdict(how).items() if k != "generate"}, "generate": generate}
