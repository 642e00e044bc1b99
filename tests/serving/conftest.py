"""Services of the tiny model, on ports of this machine."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from PIL import Image

from tests.tiny import COMPARE, Tiny, model_directory, picture, tiny  # noqa: F401
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.serving.door import Keys
from unified_vl.serving.limits import Limits
from unified_vl.serving.routes import behind_door, make_routes
from unified_vl.serving.service import Service
from unified_vl.specs.load import load_task

CHOOSE = """
task: tiny_choose
version: 1
about: Choose one.
data: {reader: jsonl, path: "choose/{split}.jsonl", splits: {test: test}, languages: [en]}
fields:
  picture: {kind: image, column: image}
  spot: {kind: box, column: spot, layout: xyxy, units: pixels}
  question: {kind: text, column: question}
  answer: {kind: text, column: answer}
example: {source: "{picture} {spot} {ask} {question}", target: "{answer}"}
wording: {ask: {en: "Say which:"}}
generate: {method: score_choices, choices: {values: [yes, no, "a red cat"]}, max_tokens: 12}
score: [{metric: accuracy, against: answer, primary: true}]
"""


@dataclass(frozen=True)
class Running:
    """A service that can be asked."""

    url: str
    service: Service

    @property
    def predictor(self) -> UnifiedVL:
        return self.service.predictor

    def ask(self, path: str = "/predict", **body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=60)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def url_of(image: Image.Image | bytes) -> str:
    content = image if isinstance(image, bytes) else png(image)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@contextmanager
def running(service: Service) -> Iterator[Running]:
    config = uvicorn.Config(
        behind_door(service, make_routes(service)),
        port=0,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
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
    try:
        yield Running(f"http://127.0.0.1:{port}", service)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def more_tasks(
    tiny: Tiny,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> UnifiedVL:
    folder: Path = tmp_path_factory.mktemp("service")
    specs = dict(tiny.specs)
    for name, text in (("tiny_choose", CHOOSE), ("tiny_compare", COMPARE)):
        (folder / f"{name}.yaml").write_text(text)
        specs[name] = load_task(folder / f"{name}.yaml")
    return UnifiedVL(replace(tiny.saved, specs=specs))


@pytest.fixture(scope="session")
def served(more_tasks: UnifiedVL) -> Iterator[Running]:
    service = Service(more_tasks, "tiny", Limits(body=2_000_000), Keys(by_address=True))
    with running(service) as found:
        yield found
