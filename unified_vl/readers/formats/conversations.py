"""Conversations in JSON, as LLaVA, ShareGPT and OpenAI's chats have them: a row each answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import json_objects
from unified_vl.parts import one_of
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import read_items
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

TURNS = ("conversations", "messages", "conversation")
IMAGES = ("image", "images", "image_path", "image_paths", "image_file", "img", "file_name")
KEYS = ("id", "question_id", "uid")
SPEAKER, SAID = ("from", "role"), ("value", "content")
_ROLES = {
    **dict.fromkeys(("human", "user"), "question"),
    **dict.fromkeys(("gpt", "assistant", "model", "bot", "chatgpt"), "answer"),
    "system": "system",
}
# where an image stood; example.source says where it stands
_IMAGE_MARK = re.compile(
    r"\s*<\|?image(?:[_ ]?\d+|_?placeholder|here)?\|?>[ \t]*\n?", re.IGNORECASE
)


@dataclass
class _Talk:
    """A conversation as far as it was read."""

    images: list[str]
    system: str = ""
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def _rows(source: Source) -> Iterator[Mapping[str, Any]]:
    yield from rows_of(source.path, source.lose)


def rows_of(
    path: Path, lose: Callable[[str, int], None] = lambda what, count: None
) -> Iterator[dict[str, Any]]:
    """The rows of a file, one after the other.

    Args:
        path: the file.
        lose: is told what is left out, and how often.

    Raises:
        UserError: for what is no conversation.
    """
    for number, (where, line, item) in enumerate(items(path)):
        place = _Place(path, where, line)
        key = next((str(item[k]) for k in KEYS if item.get(k) is not None), str(number))
        talk = _Talk(list(place.images(item)))
        for role, text, images in place.turns(item):
            talk.images += [name for name in images if name not in talk.images]
            if role == "system":
                talk.system = _joined(talk.system, text)
            elif role == "question":
                _ask(talk, text)
            elif len(talk.answers) == len(talk.questions):
                lose("answers that nobody asked for", bool(text))
            else:
                talk.answers.append(text)
                yield _row(key, talk)
        left = len(talk.questions) - len(talk.answers)
        lose("questions without an answer", left)


def _ask(talk: _Talk, text: str) -> None:
    if len(talk.questions) > len(talk.answers):  # two turns of the person in a row
        talk.questions[-1] = _joined(talk.questions[-1], text)
    else:
        talk.questions.append(text)


def _row(key: str, talk: _Talk) -> dict[str, Any]:
    turn = len(talk.answers)
    return {
        "key": f"{key}_{turn}",
        "conversation": key,
        "turn": turn,
        "image": talk.images[0] if talk.images else None,
        "images": list(talk.images),
        "system": talk.system or None,
        "questions": talk.questions[:-1],
        "answers": talk.answers[:-1],
        "question": talk.questions[-1],
        "answer": talk.answers[-1],
    }


def _joined(one: str, other: str) -> str:
    return f"{one}\n{other}".strip()


def items(path: Path) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
    """Conversations with their place: of a JSON list, or an object a line."""
    with path.open("rb") as file:
        first = file.read(1 << 10).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"{":
        yield from (("", line, item) for line, item in json_objects(path))
        return
    for where, item in read_items(path, list):
        if not isinstance(item, dict):
            raise UserError("is not an object", file=path, field=where, expected="a conversation")
        yield where, None, item


@dataclass(frozen=True)
class _Place:
    """Where a conversation is, for messages."""

    path: Path
    where: str
    line: int | None

    def error(self, message: str, key: str, expected: str, close: str | None = None) -> UserError:
        return UserError(
            message,
            file=self.path,
            line=self.line,
            field=".".join(filter(None, (self.where, key))) or None,
            expected=None if close else expected,
            nearest=close,
        )

    def turns(self, item: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
        """Who speaks, what they say, and the images in it."""
        key = next((k for k in TURNS if isinstance(item.get(k), list)), None)
        if key is None:
            close = next((c for k in item if (c := nearest(k, TURNS))), None)
            raise self.error("holds no list of turns", "", one_of(TURNS), close)
        for number, turn in enumerate(item[key]):
            place = f"{key}.{number}"
            if not isinstance(turn, dict):
                raise self.error("is not an object", place, "a turn of a conversation")
            speaker = next((turn[k] for k in SPEAKER if k in turn), None)
            role = _ROLES.get(speaker.lower()) if isinstance(speaker, str) else None
            if role is None:
                close = nearest(str(speaker), _ROLES)
                message = f"found {str(speaker)[:60]!r}"
                raise self.error(message, f"{place}.{SPEAKER[0]}", one_of(_ROLES), close)
            text, images = self._said(turn, place)
            yield role, _IMAGE_MARK.sub(_without_mark, text).strip(), images

    def _said(self, turn: Mapping[str, Any], place: str) -> tuple[str, list[str]]:
        key = next((k for k in SAID if k in turn), SAID[0])
        said = turn.get(key)
        if isinstance(said, str):
            return said, []
        if not isinstance(said, list) or not all(isinstance(part, dict) for part in said):
            raise self.error(f"found {str(said)[:60]!r}", f"{place}.{key}", "text")
        texts = [str(part["text"]) for part in said if isinstance(part.get("text"), str)]
        images = [name for part in said for name in self.images(part)]
        return "\n".join(texts), images

    def images(self, item: Mapping[str, Any]) -> Iterator[str]:
        """Paths of images, one or a list of them under any of several names."""
        for key in IMAGES:
            held = item.get(key)
            for name in held if isinstance(held, list) else [held]:
                if isinstance(name, dict):
                    name = name.get("path")
                if name is None or name == "":
                    continue
                if not isinstance(name, str):
                    raise self.error(f"found {str(name)[:60]!r}", key, "the path of an image")
                yield name


def _without_mark(mark: re.Match[str]) -> str:
    """A space for a mark within a line, nothing at its edge."""
    return "\n" if "\n" in mark.group() and mark.start() else " "


CONVERSATIONS = Reader(
    "conversations",
    "Conversations as LLaVA, ShareGPT and OpenAI's chats have them: a JSON list, or an object "
    "a line, with the turns under `conversations` (or `messages`), each of somebody (`from` or "
    "`role`: human, user, gpt, assistant, system) who says something (`value` or `content`). A "
    "row an answer, with what was said before. Paths of images stand under `image`, `images` "
    "or a similar name, or among the contents; marks such as `<image>` are taken out of the "
    "texts. A conversation need not have an image: `missing: allow` of the field.",
    rows=_rows,
    columns={
        "key": Column("text", "the conversation's id, and the number of the answer"),
        "conversation": Column("text", "its id, or its number from 0"),
        "image": Column("image", "its first image; none where it has none"),
        "images": Column("images", "all of its images so far"),
        "system": Column("text", "what the system was told, where anything was"),
        "question": Column("text", "what was said last"),
        "answer": Column("text", "the answer to it"),
        "questions": Column("texts", "what was said before that, the oldest first"),
        "answers": Column("texts", "the answers to these"),
        "turn": Column("whole", "the number of the answer, from 1"),
    },
)
