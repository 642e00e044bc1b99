from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

DATA = "reader: {}, path: vatex.json, images: frames, splits: {{train: train}}, key_column: key"
CAPTIONS = DATA.format("vatex_captions") + ", language_column: language, languages: [zh, en]"
FRAMES = {"frames": "frames, kind: image, many: true"}
CLIPS = [
    {"videoID": name, "enCap": [f"{name} {n}" for n in range(7)], "chCap": list("零一二三四五六")}
    for name in ("gone", "here", "empty")
]


@pytest.fixture(autouse=True)
def frames(tmp_path: Path) -> None:
    for name in ("here/02.png", "here/01.png", "here/notes.txt", "other/01.png", "empty/x.txt"):
        path = tmp_path / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write(folder: Path, content: Any = CLIPS) -> None:
    (folder / "vatex.json").write_text(json.dumps(content))


def test_clips_with_frames_in_each_language(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path)
    task = open_task(CAPTIONS, **FRAMES, answer="captions, many: true")
    rows = [dict(row.columns) for row in task]
    assert [(row["key"], row["language"]) for row in rows] == [("here_zh", "zh"), ("here_en", "en")]
    assert rows[0]["frames"] == ["here/01.png", "here/02.png"]
    assert rows[0]["captions"][1] == "一"
    assert rows[1]["captions"][1] == "here 1"
    assert [row.index for row in task] == [1, 1]
    assert task.left_out == {"lack their frames": 4}


def test_the_last_five_captions_translate_each_other(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path)
    task = open_task(DATA.format("vatex_pairs"), **FRAMES, source="english", answer="chinese")
    rows = [dict(row.columns) for row in task]
    assert [row["english"] for row in rows] == [f"here {n}" for n in range(2, 7)]
    assert "".join(row["chinese"] for row in rows) == "二三四五六"
    assert rows[4]["key"] == "here_5"


@pytest.mark.parametrize(
    ("content", "data", "says"),
    [
        ({"videoID": "here"}, CAPTIONS, "vatex.json: is no list of clips"),
        ([{"videoID": "here", "chCap": [1]}], CAPTIONS, "0.chCap.0: found '1'; expected text"),
        (CLIPS, CAPTIONS.replace("zh, en", "en, fr"), "VATEX has no captions in 'fr'; expected en"),
        (CLIPS, CAPTIONS.replace("frames,", "frame,"), "data.images: there is no folder"),
        (CLIPS[:1], CAPTIONS, r"train holds no row \(2 lack their frames\)"),
    ],
)
def test_what_cannot_be_read(
    tmp_path: Path, open_task: Callable, content: Any, data: str, says: str
) -> None:
    write(tmp_path, content)
    with pytest.raises(UserError, match=says):
        open_task(data, **FRAMES, answer="captions, many: true")


def test_languages_are_found_in_any_spelling(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path)
    data = CAPTIONS.replace("zh, en", "zh_CN, eng")
    task = open_task(data, **FRAMES, answer="captions, many: true")
    assert [row.language for row in task] == ["zh_CN", "eng"]
    assert [row.columns["captions"][1] for row in task] == ["一", "here 1"]
