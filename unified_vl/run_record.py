"""What a run leaves in its output directory: the names of its files, and the events of its record.

OUTPUT/events.jsonl has an event a line, `{"event": KIND, "step": ..., ...}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

EVENTS = "events.jsonl"  # losses and events of the training
MODEL = "model"  # the saved model of the last step
WEIGHTS = "model.safetensors"  # of a saved model
ADAPTER = "adapter.json"  # of one that is an adapter: what it stands beside
FACTS = "training.json"  # what a saved model tells of its training
BEST_MODEL = "best_model"  # that of the best checkpoint
CHECKPOINTS = "checkpoints"
SPECS = "specs"  # of a run that was made in Python
REPORT = "report.json"  # the scores of `evaluate`
PREDICTIONS = "predictions.jsonl"  # every answer that they were made from
RETRIEVAL = "retrieval.json"  # recall and ranks of `evaluate-retrieval`

Note = Literal[
    "best",
    "changed",
    "changed_data",
    "bad_row",
    "truncated_image",
    "early_stop",
    "started_from",
    "trained",
]

TIMED = ("seconds", "speed")  # keys of events that are not the same each time a run is done


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run; the attributes are the keys of its line."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The line, as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"event": self.kind, **values}


@dataclass(frozen=True, kw_only=True)
class StepEvent(Event):
    """How a task's training went since its last one.

    Attributes:
        step: of the run, counted from 1.
        loss: the mean over its batches.
        seconds: of the run, those before a resume included.
        target_tokens: of its batches.
        density: the share of tokens in what rank 0 computed for them; the rest was padding.
        steps: that it had.
        updates: that it made in all.
        epochs: how often its rows have been seen; 0 of a streamed task, whose rows nobody counts.
        objectives: means of its other losses, by name.
        balance: the last factor of its loss or gradient, where the mixture has a balance.
        speed: of those steps since the start or the last resume: `step_seconds` that they took;
            of all ranks `tokens_per_second` (ids of sources and targets, no padding) and
            `images_per_second`; the share `data_wait` of the time in which rank 0 had no batch yet;
            its `peak_memory_mb` so far; and `mfu`, where it is known.
    """

    kind: ClassVar[str] = "step"
    step: int
    task: str
    loss: float
    smoothed_loss: float = 0.0
    lr: float = 0.0
    grad_norm: float = 0.0
    seconds: float = 0.0
    target_tokens: int = 0
    density: float = 1.0
    steps: int = 0
    updates: int = 0
    epochs: float = 0.0
    balance: float | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)
    speed: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The line: other losses stand beside that of the tokens."""
        values = super().to_json()
        objectives = values.pop("objectives")
        if self.balance is None:
            del values["balance"]
        return values | dict(objectives)


@dataclass(frozen=True, kw_only=True)
class ValidationEvent(Event):
    """A task's loss on its validation rows."""

    kind: ClassVar[str] = "validation"
    step: int
    task: str
    loss: float


@dataclass(frozen=True, kw_only=True)
class ScoreEvent(Event):
    """A task's primary metric on validation rows, after so many of its updates."""

    kind: ClassVar[str] = "score"
    step: int
    task: str
    metric: str
    score: float
    updates: int = 0


@dataclass(frozen=True, kw_only=True)
class StopAndGoEvent(Event):
    """A task rests from now on, or trains again."""

    kind: ClassVar[str] = "stop_and_go"
    step: int
    task: str
    state: Literal["GO", "STOP"]
    reason: str = ""


ALL_WEIGHTS = "all"  # a group of weights in `GradientsEvent`


@dataclass(frozen=True, kw_only=True)
class GradientsEvent(Event):
    """How large the gradients of the tasks were, and how alike, each of one batch.

    Attributes:
        step: the next one, whose weights they are of.
        tasks: their names, in the order of all that follows.
        norms: of each task's gradient, by group of weights; `all` is the whole model.
        cosines: of each pair of tasks, by group of weights, in a square; None where a gradient is
            zero, or no number.
    """

    kind: ClassVar[str] = "gradients"
    step: int
    tasks: Sequence[str]
    norms: Mapping[str, Sequence[float | None]]
    cosines: Mapping[str, Sequence[Sequence[float | None]]]


@dataclass(frozen=True, kw_only=True)
class RefusedEvent(Event):
    """A step that made no update."""

    kind: ClassVar[str] = "refused"
    step: int
    task: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ResumeEvent(Event):
    """The run went on after a step."""

    kind: ClassVar[str] = "resume"
    step: int


@dataclass(frozen=True, kw_only=True)
class SkippedEvent(Event):
    """How many bad rows a task skipped; said at the end."""

    kind: ClassVar[str] = "skipped"
    task: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class TruncatedEvent(Event):
    """How many rows a task read though an image ends early; said at the end."""

    kind: ClassVar[str] = "truncated"
    task: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class NoteEvent(Event):
    """Any other: how many weights are trained, a checkpoint that is the best, what a resume finds
    changed, a bad row, an image that ends early, a run that does, what the weights started from."""

    name: Note
    step: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The line, with its facts."""
        return {"event": self.name, "step": self.step, **self.facts}


AT_THE_END = (SkippedEvent, TruncatedEvent)  # a run that goes on says them again
DRAWN = (StepEvent, ValidationEvent, ScoreEvent, StopAndGoEvent)
_OF_KIND: dict[str, type[Event]] = {each.kind: each for each in (*DRAWN, GradientsEvent)}


def event_of(values: Mapping[str, Any]) -> Event | None:
    """The event of a line that curves, trackers or schedules go by; None for any other.

    Raises:
        ValueError: for one of their kinds without all that it has to say.
    """
    event = _OF_KIND.get(str(values.get("event")))
    if event is None:
        return None
    known = {each.name: str(each.type) for each in fields(event)}
    given = {key: value for key, value in values.items() if key in known}
    more = {key: value for key, value in values.items() if key not in known and key != "event"}
    try:
        read = {key: _READ.get(known[key], _same)(value) for key, value in given.items()}
        if event is StepEvent:
            read["objectives"] = {key: float(value) for key, value in more.items()}
        return event(**read)
    except TypeError as error:
        raise ValueError(f"an event of kind {event.kind!r} is incomplete: {error}") from error


def _same(value: Any) -> Any:
    return value


def _numbers(values: Any) -> dict[str, float]:
    return {str(key): float(value) for key, value in dict(values).items()}


_READ: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Mapping[str, float]": _numbers,
}
