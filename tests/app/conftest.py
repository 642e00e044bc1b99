"""The page of the tiny model and a task that ranks choices, on a port of this machine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.tiny import COMPARE, Tiny, model_directory, picture, tiny  # noqa: F401
from unified_vl.app.server import make_app
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_task

CHOOSE = """
task: tiny_choose
version: 1
about: Choose one.
data: {reader: jsonl, path: "choose/{split}.jsonl", splits: {test: test}, languages: [en]}
fields:
  picture: {kind: image, column: image}
  second: {kind: image, column: second}
  spot: {kind: box, column: spot, layout: xyxy, units: pixels}
  answer: {kind: text, column: answer}
example: {source: "{picture} {second} {spot} {answer}", target: "{answer}"}
generate: {method: score_choices, choices: {values: [yes, no, "a red cat"]}, max_tokens: 12}
score: [{metric: accuracy, against: answer, primary: true}]
"""


@dataclass(frozen=True)
class Served:
    """A page that can be asked."""

    url: str
    files: Path
    predictor: UnifiedVL

    def upload(self, content: bytes, name: str = "a.png") -> httpx.Response:
        return httpx.post(f"{self.url}/gradio_api/upload", files={"files": (name, content)})

    def ask(self, task: str, language: str, count: int = 1, **fields: Any) -> httpx.Response:
        """Join the queue as the page's button does; an image is an uploaded path."""
        config = httpx.get(f"{self.url}/config").json()
        by_id = {c["id"]: c["props"] for c in config["components"]}
        (said,) = (i for i, props in by_id.items() if props.get("elem_id") == "said")
        (event,) = (d for d in config["dependencies"] if said in d["outputs"])
        names = {"task": task, "count": count, "language": language}
        names |= {f"input-{name}": value for name, value in fields.items()}
        data = [names.get(by_id[i]["elem_id"]) for i in event["inputs"]]
        body = {"data": data, "fn_index": event["id"], "session_hash": "session"}
        return httpx.post(f"{self.url}/gradio_api/queue/join", json=body)

    def result(self, joined: httpx.Response) -> dict[str, Any]:
        """What became of an event."""
        assert joined.status_code == 200, joined.text
        address = f"{self.url}/gradio_api/queue/data?session_hash=session"
        with httpx.stream("GET", address, timeout=None) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line.removeprefix("data:"))
                    if message["msg"] == "process_completed":
                        return message
        raise AssertionError("the queue closed without an answer")


def file_data(path: object) -> dict[str, Any]:
    """An upload as a browser names it."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="session")
def served(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:  # noqa: F811
    folder = tmp_path_factory.mktemp("page")
    specs = dict(tiny.specs)
    for name, text in (("tiny_choose", CHOOSE), ("tiny_compare", COMPARE)):
        (folder / f"{name}.yaml").write_text(text)
        specs[name] = load_task(folder / f"{name}.yaml")
    predictor = UnifiedVL(replace(tiny.saved, specs=specs))
    files = folder / "files"
    files.mkdir()
    app = make_app(predictor, "tiny", files, tiny.data)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1)
    )
    started = threading.Event()

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}", files.resolve(), predictor)
    server.should_exit = True
    thread.join()
