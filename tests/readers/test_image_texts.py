from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import UserError

READ = "reader: image_texts, path: notes, splits: {train: all}, key_column: key"
SEVERAL = f"{READ}, language_column: language"
FIELDS = {"image": "image, kind: image", "answer": "caption"}
LACK = "lack their text"
UNUSED = "are texts beside no image, or in another language"


def write(root: Path, encoded: Callable, files: Mapping[str, str]) -> None:
    """Images, and texts of what they say; those that end in .txt are texts."""
    for name, text in files.items():
        path = root / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if name.endswith(".txt") else encoded())


CASES: list[tuple[str, dict[str, str], list[tuple[str, str, str]], dict[str, int]]] = [
    (
        "[en]",
        {"b.jpg": "", "b.txt": "B\n", "x/y/a.PNG": "", "x/y/a.txt": " A \n"},
        [("b", "en", "B"), ("x/y/a", "en", "A")],
        {},
    ),
    (
        "[en, de]",
        {"a.jpg": "", "a.en.txt": "A", "a.de.txt": "Ah", "b.jpg": "", "b.de.txt": "Be"},
        [("a", "en", "A"), ("a", "de", "Ah"), ("b", "de", "Be")],
        {},
    ),
    # of one language either will do, and what says its language comes first
    ("[de]", {"a.jpg": "", "a.txt": "A", "a.de.txt": "Ah"}, [("a", "de", "Ah")], {UNUSED: 1}),
    # which language is `a.txt` in?
    (
        "[en, de]",
        {"a.jpg": "", "a.txt": "A", "b.jpg": "", "b.en.txt": "B"},
        [("b", "en", "B")],
        {LACK: 1, UNUSED: 1},
    ),
    ("[en]", {"a.jpg": "", "a.fr.txt": "A", "b.gif": "", "b.txt": "B"}, [("b", "en", "B")], {}),
    # an image that is called like a language's text
    (
        "[de]",
        {"a.jpg": "", "a.txt": "A", "a.de.jpg": "", "a.de.txt": "Ah"},
        [("a.de", "de", "Ah"), ("a", "de", "A")],
        {},
    ),
    ("[pt-BR]", {"a.jpg": "", "a.pt-BR.txt": "O"}, [("a", "pt-BR", "O")], {}),
]


@pytest.mark.parametrize(("languages", "files", "rows", "left_out"), CASES)
def test_texts_beside_images(
    tmp_path: Path,
    open_task: Callable,
    encoded: Callable,
    languages: str,
    files: dict[str, str],
    rows: list[tuple[str, str, str]],
    left_out: dict[str, int],
) -> None:
    write(tmp_path, encoded, files)
    data = open_task(f"{SEVERAL}, languages: {languages}", **FIELDS)
    found = [(row.columns["key"], row.language, row.columns["caption"]) for row in data]
    assert sorted(found) == sorted(rows)
    left = {why: n for why, n in data.left_out.items() if ".fr." not in str(files)}
    assert left == left_out
    for row in data:
        text = tmp_path / row.where.removesuffix(":1")
        assert text.read_text().strip() == row.columns["caption"]
        ImageLoader(tmp_path, (4, 4)).load(row.image(row.columns["image"]), row.where)


def test_a_language_as_the_files_call_it(
    tmp_path: Path, open_task: Callable, encoded: Callable
) -> None:
    write(tmp_path, encoded, {"a.jpg": "", "a.german.txt": "Ah"})
    data = open_task(f"{SEVERAL}, languages: [de], language_names: {{de: german}}", **FIELDS)
    assert [row.language for row in data] == ["de"]


def test_each_line_may_be_a_caption(tmp_path: Path, open_task: Callable, encoded: Callable) -> None:
    write(tmp_path, encoded, {"a.jpg": "", "a.txt": "one\n\n two \n"})
    fields = {"image": "image, kind: image", "answer": "captions, many: true"}
    (row,) = open_task(READ, **fields)
    assert row.columns["captions"] == ["one", "two"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "A"}, "notes: holds no image; expected PNG, JPEG"),
        ({"a.jpg": ""}, "train holds no row (1 lack their text); expected at least one"),
    ],
)
def test_what_is_no_such_folder(
    tmp_path: Path,
    open_task: Callable,
    encoded: Callable,
    files: dict[str, str],
    message: str,
) -> None:
    write(tmp_path, encoded, files)
    with pytest.raises(UserError) as caught:
        open_task(READ, **FIELDS)
    assert message in str(caught.value)


def test_a_text_that_is_none(tmp_path: Path, open_task: Callable, encoded: Callable) -> None:
    write(tmp_path, encoded, {"a.jpg": ""})
    (tmp_path / "notes/a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"a\.txt: is not UTF-8 text"):
        open_task(READ, **FIELDS)
