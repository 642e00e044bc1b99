"""What the service takes on, says of itself, and does when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.processes import Forked, run_command
from tests.serving.conftest import Running, running, url_of
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.retriever import Retriever
from unified_vl.serving.limits import Limits
from unified_vl.serving.service import Service

COPY = {"task": "tiny_copy", "fields": {"text": "a dog"}}


@contextmanager
def held(service: Service) -> Iterator[threading.Event]:
    """The model is busy until the event is set."""
    go = threading.Event()
    busy = threading.Event()

    def work() -> None:
        busy.set()
        go.wait()

    future = service.asker.run(work)
    busy.wait(30)
    try:
        yield go
    finally:
        go.set()
        future.result(30)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_more_than_the_queue_holds_come_later(more_tasks: UnifiedVL) -> None:
    service = Service(more_tasks, "tiny", Limits(queue=2))
    with running(service) as found, ThreadPoolExecutor(2) as threads:
        with held(service):
            asked = [threads.submit(found.ask, **COPY) for _ in range(2)]
            until(lambda: service.asker.waiting == 2)
            refused = found.ask(**COPY)
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert "2 requests are being answered" in refused.json()["error"]["message"]
            assert httpx.get(f"{found.url}/health").status_code == 200
        assert [one.result().status_code for one in asked] == [200, 200]
        assert found.ask(**COPY).status_code == 200


def test_who_waits_too_long_is_told(more_tasks: UnifiedVL) -> None:
    service = Service(more_tasks, "tiny", Limits(seconds=3))
    with running(service) as found:
        with held(service):
            late = found.ask(**COPY)
            assert late.status_code == 504
            until(lambda: service.asker.waiting == 0)
            assert "took longer than 3 seconds" in late.json()["error"]["message"]
        assert found.ask(**COPY).status_code == 200


def test_who_leaves_takes_the_question_along(more_tasks: UnifiedVL) -> None:
    service = Service(more_tasks, "tiny")
    with running(service) as found, held(service):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{found.url}/predict", json=COPY, timeout=0.5)
        until(lambda: service.asker.waiting == 0)


def test_many_at_once_get_their_own_answers(served: Running, picture) -> None:
    words = ["a dog", "a red cat", "yes", "no", "Katze", "rote Katze", "ein Hund"]
    expected = {word: served.predictor.predict("tiny_copy", text=word).text for word in words}
    with ThreadPoolExecutor(16) as threads:
        asked: list[tuple[str, Future[httpx.Response]]] = [
            (word, threads.submit(served.ask, task="tiny_copy", fields={"text": word}))
            for word in words * 6
        ]
        for word, future in asked:
            assert future.result().json()["prediction"] == expected[word]
    counts = httpx.get(f"{served.url}/metrics").text
    sizes = re.findall(r'unified_vl_batch_size_bucket\{le="(.+?)",task="tiny_copy"\} (\S+)', counts)
    by_size = {le: float(count) for le, count in sizes}
    assert by_size["+Inf"] > by_size["1.0"], "some were answered together"


def test_counts_are_told(served: Running) -> None:
    served.ask(**COPY)
    served.ask(task="nothing")
    text = httpx.get(f"{served.url}/metrics").text
    for line in (
        'unified_vl_requests_total{path="/predict",status="200"}',
        'unified_vl_requests_total{path="/predict",status="404"}',
        'unified_vl_request_seconds_count{path="/predict"}',
        "unified_vl_requests_in_flight 0.0",
        "unified_vl_questions_waiting 0.0",
    ):
        assert line in text


def test_tasks_have_schemas_that_hold(served: Running, picture) -> None:
    tasks = {one["task"]: one for one in httpx.get(f"{served.url}/tasks").json()["tasks"]}
    assert set(tasks) == set(served.predictor.specs)
    assert tasks["tiny_choose"]["choices"] == ["yes", "no", "a red cat"]
    image = url_of(picture(1))
    asked: list[dict[str, Any]] = [
        COPY,
        {"task": "tiny_ground", "language": "de", "fields": {"image": image, "phrase": "a"}},
        {"task": "tiny_compare", "fields": {"pictures": [image, image]}},
        {
            "task": "tiny_choose",
            "fields": {"picture": image, "spot": [1, 2, 3, 4], "question": "a"},
        },
    ]
    described = httpx.get(f"{served.url}/openapi.json").json()
    body = described["paths"]["/predict"]["post"]["requestBody"]["content"]
    of_all = {**body["application/json"]["schema"], "components": described["components"]}
    for question in asked:
        task = tasks[question["task"]]
        jsonschema.validate(question, task["request"])
        jsonschema.validate(question, of_all)
        jsonschema.validate(served.ask(**question).json(), task["response"])
    for wrong in ({**asked[1], "language": "fr"}, {**asked[2], "fields": {}}, {"task": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, of_all)


def test_an_index_is_searched(more_tasks: UnifiedVL, tmp_path: Path, picture) -> None:
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
    retriever = Retriever.build(more_tasks, tmp_path, task="tiny_caption")
    with running(Service(more_tasks, "tiny", retriever=retriever)) as found:
        expected = retriever.search("a dog", "de", top=2)
        hits = found.ask("/retrieve", text="a dog", language="de", top=2, pictures=True)
        rows = hits.json()["hits"]
        assert [one["key"] for one in rows] == [one.key for one in expected]
        assert [one["score"] for one in rows] == pytest.approx([one.score for one in expected])
        assert all(one["picture"].startswith("data:image/png") for one in rows)
        assert str(tmp_path) not in hits.text, "where the files lie is the server's business"
        same = found.ask("/retrieve", image=url_of(picture(2)), top=1).json()["hits"]
        assert same[0]["key"] == retriever.search(image=picture(2), top=1)[0].key
        for wrong, said in (
            ({}, "the query is a text or an image"),
            ({"text": "a", "image": "b"}, "the query is a text or an image"),
            ({"text": " "}, "text: is empty"),
            ({"text": "a", "language": "tlh"}, "unknown language"),
            ({"image": "/etc/passwd"}, "in place of an image"),
            ({"text": "a", "tpo": 3}, "did you mean 'top'?"),
            ({"text": "a", "top": 10_000}, "top: "),
        ):
            refused = found.ask("/retrieve", **wrong)
            assert refused.status_code == 400, refused.text
            assert said in refused.json()["error"]["message"]


@contextmanager
def command(model: Path, *options: str) -> Iterator[tuple[Forked, str]]:
    with Forked("unified_vl", "serve", model, "--port", "0", *options) as process:
        until(lambda: "\n" in process.stderr or process.returncode is not None)
        found = re.search(r"serving (http://127\.0\.0\.1:\d+)", process.stderr)
        assert found, process.stderr
        yield process, found[1]


def test_the_command_ends_when_all_is_answered(model_directory: Path) -> None:
    with command(model_directory, "--batch-size", "1", "--token", "s") as (process, url):
        headers = {"authorization": "Bearer s"}
        slow = {**COPY, "n": 8, "generate": {"method": "sample", "max_tokens": 300}}
        with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=None) as client:
            assert client.get(f"{url}/health").status_code == 200
            assert client.get(f"{url}/tasks").status_code == 401
        with ThreadPoolExecutor(6) as threads:
            asked = [
                threads.submit(
                    httpx.post, f"{url}/predict", json=slow, headers=headers, timeout=None
                )
                for _ in range(6)
            ]

            def taken() -> bool:
                text = httpx.get(f"{url}/metrics", headers=headers, timeout=None).text
                return "unified_vl_requests_in_flight 6.0" in text or asked[0].done()

            until(taken)
            os.kill(process.pid, signal.SIGTERM)
            assert [one.result().status_code for one in asked] == [200] * 6
        assert process.wait() == 0


def test_a_model_that_is_none_is_said(tmp_path: Path) -> None:
    said = run_command("unified_vl", "serve", tmp_path)
    assert said.returncode == 2 and said.stderr.startswith("error: "), said.stderr


def test_pictures_that_a_model_draws_come_as_data_urls(tmp_path: Path) -> None:
    from tests.painting import SIDE, painter, task

    how = "generate: {method: sample, allow: image_codes, max_tokens: 5}"
    model = UnifiedVL(painter(tmp_path, [task(tmp_path, "paint", generate=how)]))
    with running(Service(model, "paints")) as found:
        answered = found.ask(task="paint", language="en", fields={"name": "red"}, n=2).json()
        expected = model.predict("paint", "en", name="red", n=2)
        assert answered["images"] == [url_of(expected.images[0])]
        assert [one["images"] for one in answered["alternatives"]] == [
            [url_of(one.images[0])] for one in expected.alternatives
        ]
        assert expected.images[0].size == (SIDE, SIDE)
        assert httpx.get(f"{found.url}/v1/models").json()["data"] == []
        chat = {"model": "paint", "messages": [{"role": "user", "content": "red"}]}
        refused = found.ask("/v1/chat/completions", **chat)
        assert "writes images; expected POST /predict" in refused.json()["error"]["message"]


def test_the_description_names_what_is_there(served: Running) -> None:
    paths = httpx.get(f"{served.url}/openapi.json").json()["paths"]
    assert set(paths) == {
        "/health",
        "/tasks",
        "/metrics",
        "/predict",
        "/v1/models",
        "/v1/chat/completions",
    }
    assert "HTTPValidationError" not in json.dumps(paths)


def test_several_workers_count_together(model_directory: Path) -> None:
    with command(model_directory, "--workers", "2") as (process, url):
        with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=None) as client:
            for _ in range(10):
                assert client.post(f"{url}/predict", json=COPY).status_code == 200
            text = client.get(f"{url}/metrics").text
        assert 'unified_vl_requests_total{path="/predict",status="200"} 10.0' in text
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
        assert process.returncode == 0
