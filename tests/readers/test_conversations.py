from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

READ = "reader: conversations, path: chat.json, splits: {train: all}, key_column: key"
FIELDS = {
    "image": "image, kind: image, missing: allow",
    "images": "images, kind: image, many: true, missing: allow",
    "system": "system, missing: allow",
    "question": "question",
    "questions": "questions, many: true, missing: allow",
    "answers": "answers, many: true, missing: allow",
    "turn": "turn, kind: number",
    "answer": "answer",
}
LLAVA = {
    "id": "7",
    "image": "a.jpg",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat is it?"},
        {"from": "gpt", "value": "A dog."},
        {"from": "human", "value": "Which colour?"},
        {"from": "gpt", "value": "Brown."},
    ],
}
SHAREGPT = {
    "id": "x",
    "conversations": [
        {"from": "system", "value": "Be short."},
        {"from": "gpt", "value": "Hello."},
        {"from": "human", "value": "Hi."},
        {"from": "human", "value": "Who are you?"},
        {"from": "gpt", "value": "A model."},
        {"from": "human", "value": "And?"},
    ],
}
CHAT = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": "b.png"},
                {"type": "text", "text": "Compare <image> and <image>."},
                {"type": "image", "image": {"path": "c.png"}},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Alike."}]},
    ],
}


def write(root: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (root / "chat.json").write_text(text, encoding="utf-8")


def row(key: str, question: str, answer: str, **more: Any) -> dict[str, Any]:
    name, _, turn = key.rpartition("_")
    nothing: dict[str, Any] = {"image": None, "images": [], "system": None}
    before: dict[str, Any] = {"questions": [], "answers": []}
    own = {"key": key, "question": question, "answer": answer, "turn": int(turn)}
    del name
    return nothing | before | own | more


SAID = [
    row("7_1", "What is it?", "A dog.", image="a.jpg", images=["a.jpg"]),
    row(
        "7_2",
        "Which colour?",
        "Brown.",
        image="a.jpg",
        images=["a.jpg"],
        questions=["What is it?"],
        answers=["A dog."],
    ),
    row("x_1", "Hi.\nWho are you?", "A model.", system="Be short."),
    row("2_1", "Compare and.", "Alike.", image="b.png", images=["b.png", "c.png"]),
]


@pytest.mark.parametrize("lines", [False, True])
def test_a_row_an_answer(tmp_path: Path, open_task: Callable, lines: bool) -> None:
    content = [LLAVA, SHAREGPT, CHAT]
    write(tmp_path, "\n".join(map(json.dumps, content)) if lines else content)
    data = open_task(READ, **FIELDS)
    found = [{name: row.columns[name] for name in SAID[0]} for row in data]
    assert [{**one, "question": one["question"].replace(" .", ".")} for one in found] == SAID
    assert data.lost == {"answers that nobody asked for": 1, "questions without an answer": 1}


@pytest.mark.parametrize(
    "mark", ["<image>\n", "<IMAGE>", "<image_1>\n", "<ImageHere>", "<|image|>"]
)
@pytest.mark.parametrize("text", ["{}What?", "What?\n{}", "What?{}"])
def test_marks_of_images_are_taken_out(
    tmp_path: Path, open_task: Callable, mark: str, text: str
) -> None:
    turns = [{"from": "human", "value": text.format(mark)}, {"from": "gpt", "value": "A."}]
    write(tmp_path, [{"conversations": turns}])
    (found,) = open_task(READ, **FIELDS)
    assert found.columns["question"] == "What?"


@pytest.mark.parametrize(
    ("held", "images"),
    [
        ({"image": "a.png"}, ["a.png"]),
        ({"image": ["a.png", "b.png"]}, ["a.png", "b.png"]),
        ({"images": ["a.png"]}, ["a.png"]),
        ({"image_path": "a.png"}, ["a.png"]),
        ({"img": "a.png"}, ["a.png"]),
        ({"images": [{"path": "a.png"}]}, ["a.png"]),
        ({"image": None}, []),
        ({"image": ""}, []),
        ({"images": []}, []),
        ({}, []),
    ],
)
def test_images_by_several_names(
    tmp_path: Path, open_task: Callable, held: dict[str, Any], images: list[str]
) -> None:
    write(tmp_path, [{**LLAVA, "image": None, **held}])
    first, _ = open_task(READ, **FIELDS)
    assert first.columns["images"] == images
    assert first.columns["image"] == (images[0] if images else None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "chat.json:1: : holds no list of turns; expected 'conversations', 'messages'"),
        ([{"conversation_s": []}], "0: holds no list of turns; did you mean 'conversations'?"),
        ([["a"]], "chat.json: 0: is not an object; expected a conversation"),
        ([{"messages": ["a"]}], "0.messages.0: is not an object; expected a turn of a conv"),
        (
            [{"messages": [{"role": "usr", "content": "a"}]}],
            "0.messages.0.from: found 'usr'; did you mean 'user'?",
        ),
        (
            [{"conversations": [{"from": "human", "value": 3}]}],
            "0.conversations.0.value: found '3'; expected text",
        ),
        ([{**LLAVA, "image": 3}], "0.image: found '3'; expected the path of an image"),
        ("[{]", "chat.json: is not JSON"),
    ],
)
def test_what_is_no_conversation(
    tmp_path: Path, open_task: Callable, content: Any, message: str
) -> None:
    write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        open_task(READ, **FIELDS)
    assert message.replace(": :", ":") in str(caught.value)
