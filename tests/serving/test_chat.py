"""Chat completions in OpenAI's wire format."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.serving.conftest import Running, url_of


def chat(served: Running, text: str, *images: str, **more: Any) -> httpx.Response:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in images]
    content = [*parts, {"type": "text", "text": text}]
    messages = [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "an earlier question"},
        {"role": "assistant", "content": "an answer"},
        {"role": "user", "content": content},
    ]
    return served.ask("/v1/chat/completions", messages=messages, **more)


def test_models_are_tasks_and_their_languages(served: Running) -> None:
    found = httpx.get(f"{served.url}/v1/models").json()
    names = [one["id"] for one in found["data"]]
    assert "tiny_copy" in names and "tiny_ground/fa" in names
    assert "tiny_choose" not in names, "it reads a box and a question"


@pytest.mark.parametrize(
    ("model", "more"), [("tiny_ground/fa", {}), ("tiny_ground", {"language": "fa"})]
)
def test_an_answer_is_that_of_predict(
    served: Running, picture, model: str, more: dict[str, Any]
) -> None:
    found = chat(served, "a dog", url_of(picture(1)), model=model, **more).json()
    expected = served.predictor.predict("tiny_ground", "fa", image=picture(1), phrase="a dog")
    (choice,) = found["choices"]
    numbers = [float(number) for number in choice["message"]["content"].split()]
    assert numbers == pytest.approx(expected.boxes[0], abs=0.06)
    assert choice["unified_vl"]["boxes"] == expected.boxes
    assert choice["finish_reason"] in ("stop", "length")
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_says_the_same(served: Running) -> None:
    asked = {"model": "tiny_copy", "n": 2, "stream_options": {"include_usage": True}}
    whole = chat(served, "a red cat", **asked).json()
    streamed = chat(served, "a red cat", stream=True, **asked)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    texts = {0: "", 1: ""}
    for event in map(json.loads, events):
        for choice in event["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    said = {one["index"]: one["message"]["content"] for one in whole["choices"]}
    assert texts == said
    assert json.loads(events[-1])["usage"] == whole["usage"]


def test_a_task_of_several_fields_takes_the_others_by_name(served: Running, picture) -> None:
    fields = {"spot": [1, 2, 30, 12]}
    given = {"picture": picture(2), **fields}
    expected = served.predictor.predict("tiny_choose", question="a dog", **given).text
    for text in ("a dog", "Say which: a dog"):  # with the task's own wording, or without
        found = chat(served, text, url_of(picture(2)), model="tiny_choose", fields=fields)
        assert found.json()["choices"][0]["message"]["content"] == expected
        assert found.status_code == 200


@pytest.mark.parametrize(
    ("more", "images", "status", "said"),
    [
        ({"model": "tiny_cpoy"}, 0, 404, "did you mean 'tiny_copy'?"),
        ({"model": "tiny_ground"}, 1, 400, "language: no language is given"),
        ({"model": "tiny_ground/tlh"}, 1, 400, "unknown language 'tlh'"),
        ({"model": "tiny_ground/en"}, 0, 400, "found 0 images; expected 1"),
        ({"model": "tiny_ground/en"}, 2, 400, "found 2 images; expected 1"),
        ({"model": "tiny_copy"}, 1, 400, "found 1 images; expected 0"),
        ({"model": "tiny_copy", "temperatur": 1}, 0, 400, "did you mean 'temperature'?"),
        ({"model": "tiny_copy", "tools": []}, 0, 400, "tools: is not a known key"),
        ({"model": "tiny_copy", "n": 1000}, 0, 400, "n: "),
        ({"model": "tiny_copy", "messages": []}, 0, 400, "messages: "),
        (
            {"model": "tiny_copy", "response_format": {"type": "json_object"}},
            0,
            400,
            "response_format.type: found 'json_object'; expected 'text'",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_message(
    served: Running, picture, more: dict[str, Any], images: int, status: int, said: str
) -> None:
    urls = [url_of(picture(1))] * images
    if "messages" in more:
        found = served.ask("/v1/chat/completions", **more)
    else:
        found = chat(served, "a dog", *urls, **more)
    assert (found.status_code, said in found.json()["error"]["message"]) == (status, True), (
        found.text
    )


def test_a_temperature_draws_answers_unless_they_are_closed(served: Running, picture) -> None:
    def content(temperature: float, seed: int) -> str:
        asked = {"model": "tiny_copy", "temperature": temperature, "seed": seed}
        return chat(served, "a red cat", **asked).json()["choices"][0]["message"]["content"]

    assert len({content(2.0, seed) for seed in range(4)}) > 1
    assert len({content(0, seed) for seed in range(2)}) == 1
    fields = {"spot": [1, 2, 30, 12]}
    more = {"model": "tiny_choose", "fields": fields, "temperature": 1.5}
    found = chat(served, "a dog", url_of(picture(2)), **more)
    assert found.json()["choices"][0]["message"]["content"] in ("yes", "no", "a red cat")
