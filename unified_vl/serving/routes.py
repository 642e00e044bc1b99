"""The paths of the service, as a FastAPI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from unified_vl.errors import UserError, nearest
from unified_vl.serving.asking import Question
from unified_vl.serving.door import Door
from unified_vl.serving.faults import Fault, body_of, to_json
from unified_vl.serving.limits import MOST_PARTS
from unified_vl.serving.service import Service
from unified_vl.serving.wire.chat import ChatRequest, chat_question, chunks, completion, models
from unified_vl.serving.wire.openapi import describe
from unified_vl.serving.wire.pictures import enlarged
from unified_vl.serving.wire.replies import has_pictures, reply
from unified_vl.serving.wire.requests import PredictRequest, checked, parsed
from unified_vl.serving.wire.values import Upload, first_image

T = TypeVar("T")
JSON, FORM = "application/json", "multipart/form-data"
GONE = 499  # as nginx has it: nobody reads the response


def make_routes(service: Service) -> FastAPI:
    """The application of a service."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title=f"unified_vl: {service.name}",
        description="Questions to a model of unified_vl.",
        version="1",
        docs_url=None,  # their pages load programs from elsewhere
        redoc_url=None,
        lifespan=living,
    )
    _add_errors(app)
    app.openapi = cache(lambda: describe(app, service.predictor.specs.values()))  # type: ignore[method-assign]

    @app.get("/health", summary="Whether the service answers.")
    async def health() -> Response:
        return _answer({"status": "ok", "model": service.name})

    @app.get("/tasks", summary="The tasks of the model, and what each wants.")
    async def tasks() -> Response:
        return _answer(service.tasks)

    @app.get("/metrics", summary="Counts, in the text format of Prometheus.")
    async def metrics() -> Response:
        text, kind = await asyncio.to_thread(service.metrics.text)
        return Response(text, media_type=kind)

    @app.post("/predict", summary="Ask the model one question.")
    async def predict(request: Request) -> Response:
        asker = service.asker
        with asker.expected():
            body = await _body(request, JSON, FORM)
            question = await _in_thread(service.threads, _question, service, body)
            future = asker.submit(question)
        found = await _unless_gone(request, asyncio.wrap_future(future))
        if has_pictures(question, found):
            return _answer(await _in_thread(service.threads, reply, question, found))
        return _answer(reply(question, found))

    @app.get("/v1/models", summary="Tasks that messages can ask, as OpenAI's API lists models.")
    async def list_models() -> Response:
        return _answer(models(service.predictor.specs, service.started))

    @app.post("/v1/chat/completions", summary="Ask a task by messages, as in OpenAI's API.")
    async def chat(request: Request) -> Response:
        asker = service.asker
        with asker.expected():
            body = await _body(request, JSON)
            assert isinstance(body, bytes)
            asked, question = await _in_thread(service.threads, _asked_in_chat, service, body)
            future = asker.submit(question)
        found = await _unless_gone(request, asyncio.wrap_future(future))
        whole = completion(asked, asker, question, found)
        if not asked.stream:
            return _answer(whole)
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        events = [b"data: " + to_json(one) for one in chunks(whole, usage)]
        lines = b"\n\n".join([*events, b"data: [DONE]", b""])
        return Response(lines, media_type="text/event-stream")

    if service.retriever is not None:

        @app.post("/retrieve", summary="Find what fits a text or an image best.")
        async def retrieve(request: Request) -> Response:
            body = await _body(request, JSON)
            assert isinstance(body, bytes)
            search = await _in_thread(service.threads, service.search, body)
            hits = await _unless_gone(request, asyncio.wrap_future(service.asker.run(search)))
            return _answer({"hits": await _in_thread(service.threads, service.hits, search, hits)})

    return app


def behind_door(service: Service, routes: FastAPI) -> Door:
    """The application that a server runs."""
    return Door(
        routes,
        paths_of(routes),
        service.limits,
        service.keys,
        service.metrics,
        lambda: service.asker.seconds_ahead,
    )


def paths_of(routes: FastAPI) -> frozenset[str]:
    """The paths that are answered, what is mounted aside."""
    return frozenset(one.path for one in routes.routes if isinstance(one, Route))


Body = bytes | Mapping[str, Any]


def _question(service: Service, body: Body) -> Question:
    """What a body asks; run in a thread, for images are decoded.

    Raises:
        UserError: for what is wrong with it.
    """
    asked = parsed(PredictRequest, body) if isinstance(body, bytes) else _of_form(service, body)
    settings = None if asked.generate is None else asked.generate.model_dump()
    variant = service.asker.variant(asked.task, settings, asked.choices)
    values = service.reader.values(variant.spec, asked.fields)
    picture = first_image(values, variant.spec) if asked.draw else None
    question = service.asker.question(variant, values, asked.language, asked.n)
    if picture is None:
        return question
    return Question(variant, question.encoded, question.n, enlarged(picture))


def _asked_in_chat(service: Service, body: bytes) -> tuple[ChatRequest, Question]:
    asked = parsed(ChatRequest, body)
    return asked, chat_question(asked, service.asker, service.reader)


def _of_form(service: Service, parts: Mapping[str, Any]) -> PredictRequest:
    """A request out of the parts of a form: those of `PredictRequest` by name, all others being
    the task's fields.

    Raises:
        Fault: for a part that is wrong.
    """
    parts = dict(parts)
    own = PredictRequest.model_fields
    fields = {name: parts.pop(name) for name in list(parts) if name not in own}
    if "fields" in parts:
        raise Fault("a form has each field as a part of its own", field="fields")
    for name in ("generate", "choices"):
        if name in parts:
            try:
                parts[name] = json.loads(parts[name])
            except (ValueError, TypeError, RecursionError) as error:
                raise Fault("is not JSON", field=name) from error
    asked = checked(PredictRequest, parts)
    spec = service.asker.spec(asked.task)
    many = {name for name, field in spec.fields.items() if field.many}
    listed = {
        name: [value] if name in many and not isinstance(value, list) else value
        for name, value in fields.items()
    }
    return asked.model_copy(update={"fields": listed})


async def _body(request: Request, *kinds: str) -> Body:
    """The body of a request: JSON as its bytes, a form as its parts.

    Raises:
        Fault: for another content type, or a form that is none.
    """
    said = request.headers.get("content-type", "")
    kind, _, rest = said.partition(";")
    kind = kind.strip().lower()
    charset = rest.lower().partition("charset=")[2].strip(' "')
    if kind not in kinds or (kind == JSON and charset not in ("", "utf-8", "utf8")):
        raise Fault(
            f"found the content type {said[:100]!r}", status=415, expected=" or ".join(kinds)
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Fault("the body is compressed", status=415, expected="no content-encoding")
    if kind == JSON:
        return await request.body()
    parts: dict[str, Any] = {}
    # a part that is no file is held whole, and so may be as large as an image in a data URL
    async with request.form(
        max_files=MOST_PARTS, max_fields=MOST_PARTS, max_part_size=1 << 30
    ) as form:
        for name, part in form.multi_items():
            value = Upload(await part.read()) if isinstance(part, UploadFile) else part
            if name in parts:
                before = parts[name]
                parts[name] = [*(before if isinstance(before, list) else [before]), value]
            else:
                parts[name] = value
    return parts


async def _in_thread(threads: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


async def _unless_gone(request: Request, wanted: asyncio.Future[T]) -> T:
    """What is wanted, unless nobody is there any more to have it.

    Raises:
        ClientDisconnect: when the other side left; what waits in a queue leaves it, too.
    """

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(left())
    either: set[asyncio.Future[Any]] = {wanted, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise ClientDisconnect
        return wanted.result()
    finally:
        gone.cancel()
        wanted.cancel()


def _add_errors(app: FastAPI) -> None:
    """Everything that goes wrong is one message in one form."""

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> Response:
        status = error.status if isinstance(error, Fault) else 400
        headers = error.headers if isinstance(error, Fault) else {}
        return _answer(body_of(status, str(error), error.field), status, headers)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        message = str(error.detail)
        if error.status_code == 404:
            paths = sorted(paths_of(app))
            asked = request.url.path[:100]
            fault = Fault(
                f"there is no path {asked!r}",
                expected=f"one of {', '.join(paths)}",
                nearest=nearest(asked, paths),
            )
            message = str(fault)
        return _answer(body_of(error.status_code, message), error.status_code, error.headers or {})

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(Exception)
    async def fault_of_ours(request: Request, error: Exception) -> Response:
        return _answer(body_of(500, "the server failed; its log says where"), 500)


def _answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value), status, dict(headers or {}), JSON)
