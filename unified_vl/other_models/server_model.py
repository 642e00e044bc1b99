"""Models behind a server that speaks OpenAI's chat completions, `unified-vl serve` among them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import httpx

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import parse_json
from unified_vl.other_models.asking import Question
from unified_vl.other_models.other_model import How, Respondent
from unified_vl.other_models.reading import Said
from unified_vl.png import data_url
from unified_vl.specs.tasks.template import TemplateError, fill, parse_template

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # worth another try
OF_THE_ROW = frozenset({400, 413, 415, 422})  # the question alone is refused
LONGEST_WAIT = 60.0  # seconds between two tries
OF_OURS = "{task}/{language}"  # how `unified-vl serve` names what it can be asked
SHOWN = 300  # characters of a server's message


@dataclass(frozen=True)
class ServerOptions:
    """How a server is asked.

    Attributes:
        model: the name that it knows the model by, in which {task} and {language} stand for those
            of a row; None for the only one it has.
        key_variable: the environment variable with its key; no key is sent where it is not set.
        timeout: seconds for one answer.
        retries: how often a question is asked again, after 1, 2, 4, ... seconds or as long as the
            server says.
    """

    model: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    retries: int = 5


class ServerModel(Respondent):
    """A model behind URL/chat/completions.

    Args:
        url: up to and with /v1.
        options: how it is asked.
        wait: sleeps so many seconds; tests wait for nothing.

    Raises:
        UserError: for what is no URL, a server that does not answer, or a model that it does not
            have.
    """

    def __init__(
        self,
        url: str,
        options: ServerOptions = ServerOptions(),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise UserError(
                "this is no URL", file=f"openai:{url}", expected="openai:https://HOST/v1"
            )
        self._options = options
        self._wait = wait
        key = os.environ.get(options.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=options.timeout, follow_redirects=True)
        self._left_out: set[str] = set()
        self.asks_source_alone = False
        self.model = self._named(options.model)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"kind": "openai", "name": self.url, "model": self.model}

    def respond(
        self, questions: Sequence[Question], how: How, batch_size: int
    ) -> Iterator[tuple[int, Said]]:
        """As `Respondent.respond`; `batch_size` questions are on their way at once.

        Raises:
            UserError: when the server refuses the key or the model, or is not there.
        """
        with ThreadPoolExecutor(batch_size) as pool:
            places = {pool.submit(self._ask, q, how): place for place, q in enumerate(questions)}
            try:
                for done in as_completed(places):
                    yield places[done], done.result()
            finally:
                for waiting in places:
                    waiting.cancel()

    def _ask(self, question: Question, how: How) -> Said:
        given = how.generate
        sampled = given.method == "sample"
        body: dict[str, Any] = {
            "model": fill(self.model, task=question.task, language=question.language),
            "messages": [{"role": "user", "content": _content(question)}],
            "max_tokens": how.max_tokens,
            "temperature": (given.temperature or 1.0) if sampled else 0.0,
        }
        if sampled:
            body["seed"] = given.seed or 0
            body |= {} if given.top_p is None else {"top_p": given.top_p}
        return self._post(body)

    def _post(self, body: dict[str, Any]) -> Said:
        """The server's answer, or why there is none to this question.

        Raises:
            UserError: where no question would be answered.
        """
        reason, asked_to_wait = "", 0.0
        for attempt in range(self._options.retries + 1):
            if attempt:  # not all at once, and twice as long each time
                pause = min(2.0 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
                self._wait(max(pause, asked_to_wait))
            try:
                answer = self._client.post(f"{self.url}/chat/completions", json=self._fitted(body))
            except httpx.TimeoutException:
                reason = f"no answer within {self._options.timeout:g} s"
                continue
            except httpx.TransportError as error:
                reason = f"the server cannot be reached: {error}"
                continue
            if answer.status_code == 200:
                return _said(answer)
            reason = f"{answer.status_code}: {_message(answer)}"
            if answer.status_code == 400 and self._unwanted(reason):
                continue
            if answer.status_code in OF_THE_ROW:
                return Said(error=reason)
            if answer.status_code not in AGAIN:
                raise self._refused(answer.status_code, reason)
            asked_to_wait = _seconds(answer.headers.get("retry-after", ""))
        return Said(error=reason)

    def _fitted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request without what this server does not take."""
        fitted = {key: value for key, value in body.items() if key not in self._left_out}
        if "max_tokens" in self._left_out:
            fitted["max_completion_tokens"] = body["max_tokens"]
        return fitted

    def _unwanted(self, reason: str) -> bool:
        """Whether a server refuses a key of all requests, as some models of OpenAI do, and did not
        before: such a key is left out from then on."""
        signs = {
            "max_tokens": "max_completion_tokens",
            "temperature": "temperature",
            "seed": "seed",
        }
        found = {key for key, sign in signs.items() if sign in reason} - self._left_out
        self._left_out |= found
        return bool(found)

    def _refused(self, status: int, reason: str) -> UserError:
        expected = None
        if status in (401, 403):
            expected = (
                f"a key that it takes, in the environment variable {self._options.key_variable}"
            )
        elif status == 404:
            expected = f"a server with {self.url}/chat/completions and the model {self.model!r}"
        return UserError(f"the server refuses it: {reason}", file=self.url, expected=expected)

    def _named(self, wanted: str | None) -> str:
        """The model's name, which the server knows; of a server of ours the task's and language's.

        Raises:
            UserError: for a name that it does not have, or none where it has several.
        """
        listed = self._listed()
        names = [str(each["id"]) for each in listed or ()]
        ours = bool(listed) and all(each.get("owned_by") == "unified_vl" for each in listed or ())
        self.asks_source_alone = ours
        if wanted is None and ours:
            return OF_OURS
        if wanted is None and len(names) == 1:
            return names[0]
        if wanted is None or (names and "{" not in wanted and wanted not in names):
            said = "which model of the server?" if wanted is None else f"it has no {wanted!r}"
            raise UserError(
                said,
                file=self.url,
                field="--served-model",
                expected=f"one of {', '.join(names[:20])}" if names else "its name",
                nearest=None if wanted is None else nearest(wanted, names),
            )
        if "{" in wanted:
            try:
                parse_template(wanted)
                fill(wanted, task="", language="")
            except (TemplateError, KeyError) as error:
                raise UserError(
                    f"{wanted!r} is no name of a model: {error}",
                    file="command line",
                    field="--served-model",
                    expected="no other braces than {task} and {language}",
                ) from error
        return wanted

    def _listed(self) -> list[Mapping[str, Any]] | None:
        """The server's models; None where it does not tell.

        Raises:
            UserError: for a server that is not there, or refuses the key.
        """
        try:
            answer = self._client.get(f"{self.url}/models")
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UserError(
                f"the server cannot be reached: {error}", file=self.url, expected="a running server"
            ) from error
        if answer.status_code in (401, 403):
            raise self._refused(answer.status_code, f"{answer.status_code}: {_message(answer)}")
        try:
            listed = parse_json(answer.content)["data"] if answer.status_code == 200 else []
            return [each for each in listed if isinstance(each, Mapping) and "id" in each] or None
        except (ValueError, KeyError, TypeError):
            return None


def _seconds(asked: str) -> float:
    """How long a server asks to wait (Retry-After in seconds); 0 where it does not say so."""
    try:
        return min(max(float(asked), 0.0), LONGEST_WAIT)
    except ValueError:
        return 0.0


def _content(question: Question) -> Any:
    """The parts of a question; images as data URLs of PNG files."""
    if not question.images:
        return question.text
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": data_url(part)}}
        for part in question.parts
    ]


def _said(answer: httpx.Response) -> Said:
    """The first choice of a completion."""
    try:
        choice = parse_json(answer.content)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return Said(error="the server's answer has no choices[0].message.content")
    if text is None:
        refusal = choice["message"].get("refusal") or choice.get("finish_reason")
        return Said(error=f"the server gives no text: {refusal}")
    return Said(str(text), cut=choice.get("finish_reason") == "length")


def _message(answer: httpx.Response) -> str:
    """What a server says of an error, in a line."""
    try:
        found = parse_json(answer.content)
    except ValueError:
        found = answer.text
    if isinstance(found, Mapping):
        found = found.get("error", found.get("detail", found.get("message", found)))
    if isinstance(found, Mapping):
        found = found.get("message", found)
    return " ".join(str(found).split())[:SHOWN]
