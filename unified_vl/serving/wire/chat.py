"""Chat completions as OpenAI's API has them, answered by the tasks of the model.

The model has tasks and no conversation: `model` names the task, the last message of the user is the
question, and what was said before is not read. Its text is the value of the task's one field of
text, or fills in the task's own wording (`unified_vl.serving.wire.wordings`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unified_vl.inference.inputs import source_fields, target_fields
from unified_vl.inference.prediction import Alternative, Prediction, lines_of
from unified_vl.kinds.registry import kind_of
from unified_vl.parts import Part
from unified_vl.serving.asking import Asker, Question
from unified_vl.serving.faults import Fault
from unified_vl.serving.limits import MOST_ANSWERS
from unified_vl.serving.wire.replies import reply
from unified_vl.serving.wire.requests import Choice
from unified_vl.serving.wire.values import ValueReader
from unified_vl.serving.wire.wordings import filled_in
from unified_vl.specs.task import TaskSpec

BETWEEN = "/"  # of a task and a language in the name of a model


class ImageUrl(BaseModel):
    """Where an image is."""

    model_config = ConfigDict(frozen=True)
    url: str


class ContentPart(BaseModel):
    """A text or an image of a message."""

    model_config = ConfigDict(frozen=True)
    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: ImageUrl | None = None


class Message(BaseModel):
    """What somebody said."""

    model_config = ConfigDict(frozen=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None


class ResponseFormat(Part):
    """How the answer is written."""

    type: Literal["text"]


class StreamOptions(BaseModel):
    """What a stream holds beside the answer."""

    model_config = ConfigDict(frozen=True)
    include_usage: bool = False


class ChatRequest(Part):
    """A chat completion. `language`, `fields` and `choices` are our own keys (`extra_body`)."""

    model: str = Field(description="A task, or TASK/LANGUAGE; GET /v1/models lists them.")
    messages: list[Message] = Field(min_length=1, max_length=1000)
    language: str | None = Field(default=None, description="Tag of the answer's language.")
    fields: dict[str, Any] = Field(
        default_factory=dict, description="More fields of the task, as for /predict."
    )
    choices: list[Choice] | None = Field(
        default=None, min_length=1, max_length=1000, description="The closed answers."
    )
    n: int | None = Field(default=None, ge=1, le=MOST_ANSWERS)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    # what says nothing to these models, where it is as if it were not said
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None


def fits(spec: TaskSpec) -> bool:
    """Whether messages can ask a task: it reads at most one text beside images, and no video or
    regions, and writes no image."""
    needed = [
        spec.fields[name]
        for name in source_fields(spec)
        if not kind_of(spec.fields[name].kind).is_image and spec.fields[name].missing != "allow"
    ]
    drawn = any(spec.fields[name].writing == "codes" for name in target_fields(spec))
    beyond = any(field.of_kind.is_video or field.of_kind.has_features for field in needed)
    return len(needed) <= 1 and not drawn and not beyond


def models(specs: Mapping[str, TaskSpec], created: int) -> dict[str, Any]:
    """What `GET /v1/models` says: tasks that fit, and each in each of its languages."""
    names = []
    for name, spec in specs.items():
        if fits(spec):
            tags = spec.data.languages
            names += [name, *(f"{name}{BETWEEN}{tag}" for tag in tags if len(tags) > 1)]
    data = [
        {"id": name, "object": "model", "created": created, "owned_by": "unified_vl"}
        for name in names
    ]
    return {"object": "list", "data": data}


def chat_question(asked: ChatRequest, asker: Asker, reader: ValueReader) -> Question:
    """The question that messages ask.

    Raises:
        UserError: for an unknown task, what the task cannot be asked, or a bad image.
    """
    task, _, tag = asked.model.partition(BETWEEN)
    spec = asker.spec(task)
    if any(spec.fields[name].writing == "codes" for name in target_fields(spec)):
        raise Fault(f"the task {task!r} writes images", field="model", expected="POST /predict")
    if any(spec.fields[name].of_kind.is_video for name in source_fields(spec)):
        raise Fault(f"the task {task!r} reads a video", field="model", expected="POST /predict")
    if spec.regions_field in source_fields(spec):
        raise Fault(f"the task {task!r} reads regions", field="model", expected="POST /predict")
    text, images = _said(asked)
    language = asked.language or tag or None
    given = dict(asked.fields)
    given |= _images(spec, images, given)
    words, meant = filled_in(spec, text, language, given)
    variant = asker.variant(task, _settings(asked, spec), asked.choices)
    values = reader.values(spec, {**given, **words})
    return asker.question(variant, values, meant, asked.n or 1)


def _said(asked: ChatRequest) -> tuple[str, list[str]]:
    """The text and the images of the last message of the user."""
    last = next((one for one in reversed(asked.messages) if one.role == "user"), None)
    if last is None:
        raise Fault("no message is the user's", field="messages", expected="one of role 'user'")
    if not isinstance(last.content, list):
        return (last.content or "").strip(), []
    texts, images = [], []
    for part in last.content:
        if part.type == "text":
            texts.append(part.text or "")
        elif part.image_url is None:
            raise Fault("is missing", field="messages.content.image_url", expected="{url: ...}")
        else:
            images.append(part.image_url.url)
    return "\n".join(texts).strip(), images


def _images(spec: TaskSpec, urls: list[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The images of a message as the task's fields, in the order of its source."""
    names = [
        name
        for name in source_fields(spec)
        if kind_of(spec.fields[name].kind).is_image and name not in given
    ]
    many = [name for name in names if spec.fields[name].many]
    if many and len(names) == 1:
        return {many[0]: urls} if urls else {}
    needed = [name for name in names if spec.fields[name].missing != "allow"]
    if not len(needed) <= len(urls) <= len(names):
        raise Fault(
            f"found {len(urls)} images",
            field="messages",
            expected=f"{len(names)} for the task {spec.task!r}",
        )
    chosen = names if len(urls) == len(names) else needed
    found: dict[str, Any] = dict(zip(chosen, urls, strict=False))
    return {name: [url] if spec.fields[name].many else url for name, url in found.items()}


def _settings(asked: ChatRequest, spec: TaskSpec) -> dict[str, Any]:
    """Keys of `generate`. A temperature draws answers, where the task writes freely."""
    how: dict[str, Any] = {}
    most = asked.max_completion_tokens or asked.max_tokens
    if most is not None:  # clients say thousands, as a bound and not as a wish
        how["max_tokens"] = min(most, spec.generate.max_tokens)
    free = spec.generate.method not in ("constrained", "score_choices") and asked.choices is None
    if asked.temperature and free:
        how |= {"method": "sample", "temperature": asked.temperature}
        how |= {"top_p": asked.top_p, "seed": asked.seed}
    elif asked.temperature == 0 and spec.generate.method == "sample":
        how["method"] = "greedy"
    return how


def completion(asked: ChatRequest, asker: Asker, question: Question, found: Prediction) -> Any:
    """The response. Each choice has the row of `/predict` beside its message, as `unified_vl`."""
    several: Sequence[Prediction | Alternative] = found.alternatives or (found,)
    row = reply(question, found)
    rows = row.pop("alternatives", None) or [row]
    choices = [
        _choice(number, one, asked.stop, {**row, **each})
        for number, (one, each) in enumerate(zip(several, rows, strict=True))
    ]
    codec = asker.predictor.codec
    prompt = len(question.encoded.source.ids)
    written = sum(len(codec.encode_target(one.segments).ids) for one in several)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        },
    }


def _choice(
    number: int, found: Prediction | Alternative, stop: str | list[str] | None, row: dict[str, Any]
) -> dict[str, Any]:
    text = "\n".join(lines_of(found))
    for word in [stop] if isinstance(stop, str) else stop or []:
        text = text.partition(word)[0] if word else text
    return {
        "index": number,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "finish_reason": "length" if found.cut else "stop",
        "logprobs": None,
        "unified_vl": row,
    }


def chunks(whole: dict[str, Any], usage: bool) -> Iterator[dict[str, Any]]:
    """A completion as the pieces of a stream: each choice whole in one, for an answer is searched
    for as a whole."""
    shared = {key: whole[key] for key in ("id", "created", "model")}
    shared["object"] = "chat.completion.chunk"
    for choice in whole["choices"]:
        index, message = choice["index"], choice["message"]
        delta = {"role": message["role"], "content": message["content"]}
        said = {"index": index, "delta": delta, "finish_reason": None, "logprobs": None}
        yield {**shared, "choices": [{**said, "unified_vl": choice["unified_vl"]}]}
        ended = {"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}
        yield {**shared, "choices": [ended]}
    if usage:
        yield {**shared, "choices": [], "usage": whole["usage"]}
