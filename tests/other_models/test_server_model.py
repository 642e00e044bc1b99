"""Models behind a server of OpenAI's chat completions: a small one here, and `unified-vl serve`."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from tests.serving.conftest import running
from unified_vl.cli.evaluation.evaluate import evaluate
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.other_models import server_model
from unified_vl.serving.door import Keys
from unified_vl.serving.limits import Limits
from unified_vl.serving.service import Service

app = typer.Typer()
app.command()(evaluate)
SPEC = """
task: things
version: 1
about: Say what is there.
data:
  reader: jsonl
  path: "rows.jsonl"
  splits: {test: test}
  languages: [en, de]
  language_column: language
  key_column: key
fields:
  image: {kind: image, column: image}
  question: {kind: text, column: question}
  answer: {kind: text, column: answer}
example: {source: "{image} {question}", target: "{answer}"}
generate: {method: constrained, choices: {values: ["yes", "no"]}, max_tokens: 8}
score: [{metric: accuracy, against: answer, primary: true}]
"""
Answer = Callable[[int, dict[str, Any], dict[str, str]], tuple[int, Any]]


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


class Fake:
    """A server whose answers a function gives, of the number, body and headers of a request."""

    def __init__(self, answer: Answer, names: list[str] | None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = 0
        lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                data = None if names is None else {"data": [{"id": name} for name in names]}
                self.reply(404 if data is None else 200, data or {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    number = len(fake.asked)
                    fake.asked.append(body)
                self.reply(*answer(number, body, dict(self.headers)))

            def reply(self, status: int, value: Any) -> None:
                content = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Fake]]:
    """Starts servers; nobody waits between two tries."""
    monkeypatch.setattr(server_model.ServerModel.__init__, "__defaults__", _no_wait())
    running: list[Fake] = []

    def start(answer: Answer, names: list[str] | None = ["small"]) -> Fake:  # noqa: B006
        running.append(Fake(answer, names))
        return running[-1]

    yield start
    for fake in running:
        fake.server.shutdown()
        fake.server.server_close()


def _no_wait() -> tuple[Any, ...]:
    options, _ = server_model.ServerModel.__init__.__defaults__ or ()
    return options, lambda seconds: None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = []
    for number in range(10):
        Image.new("RGB", (60, 30), (20 * number, 90, 160)).save(tmp_path / f"{number}.png")
        rows.append(
            {
                "key": str(number),
                "language": ("en", "de")[number % 2],
                "image": f"{number}.png",
                "question": f"Is it number {number}?",
                "answer": ("yes", "no")[number % 2],
            }
        )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "things.yaml").write_text(SPEC)
    return tmp_path


def said(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}]}


def right(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    """Answers by the number in the question."""
    text = body["messages"][0]["content"][-1]["text"]
    asked = int(text.split("number ")[1][0])
    return 200, said("No." if asked % 2 else "Yes, it is.")


def score(data: Path, fake: Fake, *options: object) -> dict[str, Any]:
    asked = (f"openai:{fake.url}", data / "things.yaml", "--data", data, "--json", *options)
    return json.loads(call(*asked).stdout)


def test_rows_are_asked_with_images_and_scored(served, data: Path, monkeypatch) -> None:
    seen: list[str | None] = []

    def answer(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        seen.append(headers.get("authorization") or headers.get("Authorization"))
        return right(number, body, headers)

    monkeypatch.setenv("MY_KEY", "secret")
    fake = served(answer)
    report = score(data, fake, "--api-key-env", "MY_KEY", "--batch-size", 4)
    assert report["tasks"]["things"]["metrics"] == {"accuracy": 100.0}
    assert report["answered_by"] == {
        "kind": "openai",
        "name": fake.url,
        "model": "small",
        "places": "pixels",
    }
    assert "secret" not in json.dumps(report)
    assert set(seen) == {"Bearer secret"}
    body = next(b for b in fake.asked if "number 3" in b["messages"][0]["content"][-1]["text"])
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("small", 32, 0.0)
    about, picture, question = body["messages"][0]["content"]
    assert about == {"type": "text", "text": "Say what is there."}
    assert question["text"] == "Is it number 3?\nAnswer with one of these alone: yes; no."
    head, content = picture["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (image.size, image.getpixel((0, 0))) == ((60, 30), (60, 90, 160))


def test_a_busy_server_is_asked_again(served, data: Path) -> None:
    def busy(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        if number % 3:
            return (429, 503)[number % 2], {"error": {"message": "later"}}
        return right(number, body, headers)

    fake = served(busy)
    report = score(data, fake, "--batch-size", 1)
    assert report["tasks"]["things"]["metrics"] == {"accuracy": 100.0}
    assert len(fake.asked) == 28


def test_a_question_that_is_refused_counts_as_wrong(served, data: Path, tmp_path: Path) -> None:
    def picky(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        text = body["messages"][0]["content"][-1]["text"]
        for asked, answer in {
            "number 1": (400, {"error": {"message": "a bad picture"}}),
            "number 2": (200, said(None, "content_filter")),
            "number 3": (200, b"<html>"),
            "number 5": (200, said("no", "length")),
        }.items():
            if asked in text:
                return answer
        return right(number, body, headers)

    out = tmp_path / "said.jsonl"
    task = score(data, served(picky), "--predictions", out)["tasks"]["things"]
    assert (task["metrics"], task["failed"]) == ({"accuracy": 70.0}, 3)
    assert task["failed_by"] == {"language": {"de": 2, "en": 1}}
    assert task["flags"]["cut"] == 10.0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["error"] for row in rows[:4]] == [
        None,
        "400: a bad picture",
        "the server gives no text: content_filter",
        "the server's answer has no choices[0].message.content",
    ]


def test_keys_that_a_model_does_not_take_are_left_out(served, data: Path) -> None:
    def modern(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        if "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        if "temperature" in body:
            return 400, {"error": {"message": "Unsupported value: 'temperature'."}}
        return right(number, body, headers)

    fake = served(modern)
    report = score(data, fake, "--batch-size", 1)
    assert report["tasks"]["things"]["metrics"] == {"accuracy": 100.0}
    assert fake.asked[-1]["max_completion_tokens"] == 32
    assert len(fake.asked) == 12


def test_an_interrupted_scoring_goes_on(served, data: Path, tmp_path: Path) -> None:
    broken = True

    def breaks(number: int, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        if broken and number >= 6:
            return 401, {"error": "the key has run out"}
        return right(number, body, headers)

    fake = served(breaks)
    out = tmp_path / "report.json"
    with pytest.raises(UserError, match=r"401: the key has run out; expected a key that it takes"):
        score(data, fake, "--output", out, "--batch-size", 1)
    assert (tmp_path / "report.json.answers").is_file()
    broken = False
    asked = len(fake.asked)
    report = score(data, fake, "--output", out, "--batch-size", 1)
    assert report["tasks"]["things"]["metrics"] == {"accuracy": 100.0}
    assert len(fake.asked) - asked == 4
    assert not (tmp_path / "report.json.answers").exists()


@pytest.mark.parametrize(
    ("names", "answer", "options", "message"),
    [
        (
            ["a", "b"],
            right,
            (),
            r"--served-model: which model of the server\?; expected one of a, b",
        ),
        (["small"], right, ("--served-model", "smal"), "it has no 'smal'.*did you mean 'small'"),
        (None, right, (), r"--served-model: which model of the server\?; expected its name"),
        (["a"], right, ("--served-model", "{tsk}"), "no other braces than {task} and {language}"),
        (["a"], lambda *_: (404, {"error": "none"}), (), "404: none; expected a server with"),
        (
            ["a"],
            lambda *_: (500, {"detail": "broken"}),
            ("--retries", 1),
            "no question was answered; the first: 500: broken",
        ),
    ],
)
def test_servers_that_are_of_no_use(
    served, data: Path, names: list[str] | None, answer: Answer, options: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        score(data, served(answer, names), *options)


def test_a_served_model_of_ours_scores_as_it_does_itself(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    """The names of tasks and languages are the server's models, and sources are asked alone."""
    own, other = tmp_path / "own.jsonl", tmp_path / "other.jsonl"
    specs = model_directory / "specs"
    asked = ("--data", tiny.data, "--json", "--predictions")
    first = json.loads(call(model_directory, *asked, own).stdout)
    service = Service(UnifiedVL(tiny.saved), "tiny", Limits(body=2_000_000), Keys(by_address=True))
    with running(service) as server:
        second = json.loads(call(f"openai:{server.url}/v1", specs, *asked, other).stdout)
    assert second["answered_by"]["model"] == "{task}/{language}"
    assert second["answered_by"]["bare"] is True
    rows = [[json.loads(line) for line in path.open()] for path in (own, other)]
    for one, same in zip(*rows, strict=True):
        assert (one["key"], one["prediction"]) == (same["key"], same["prediction"])
        if one["boxes"] is not None:
            assert same["boxes"] == [pytest.approx(box, abs=0.06) for box in one["boxes"]]
    for task, found in first["tasks"].items():
        assert second["tasks"][task]["metrics"] == pytest.approx(found["metrics"], abs=0.5)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("openai:nowhere", "this is no URL; expected openai:https://HOST/v1"),
        ("openai:http://127.0.0.1:9/v1", "the server cannot be reached"),
    ],
)
def test_what_is_no_server(data: Path, url: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(url, data / "things.yaml", "--data", data)
