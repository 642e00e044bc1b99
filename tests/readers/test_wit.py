from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError

DATA = (
    "reader: wit, path: wit.tsv, images: images, splits: {train: train}, key_column: key, "
    "languages: [de, fr], language_column: language"
)
FIELDS = {"image": "image, kind: image", "title": "title", "answer": "caption"}
HEAD = "language\tpage_url\timage_url\tpage_title\tcaption_reference_description"


def write(folder: Path, *lines: str) -> None:
    (folder / "wit.tsv").write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    for number in (0, 1, 2, 4):
        path = folder / f"images/00000/{number:09d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_captions_in_the_languages_that_are_asked_for(tmp_path: Path, open_task: Callable) -> None:
    said = [("en", "A house."), ("fr", 'Une "maison".'), ("de", ""), ("de", "Weg."), ("de", "Da.")]
    write(tmp_path, *(f"{tag}\thttp://p\thttp://i\tBonn\t{text}" for tag, text in said))
    task = open_task(DATA, **FIELDS)
    assert [dict(row.columns) for row in task] == [
        {
            "image": f"00000/{number:09d}.jpg",
            "title": "Bonn",
            "caption": said[number][1],
            "language": said[number][0],
            "key": str(number),
        }
        for number in (1, 4)
    ]
    assert [row.index for row in task] == [1, 4]
    assert task.left_out == {"lack their image": 1}


@pytest.mark.parametrize(
    ("cell", "caption"),
    [
        ('"First.\nSecond."', "First.\nSecond."),
        ('"The ""old"" bridge"', 'The "old" bridge'),
        ('"a\tb"', "a\tb"),
        ('The "old" bridge', 'The "old" bridge'),
        ("l'eau", "l'eau"),
    ],
)
def test_quotes_are_those_of_csv(
    tmp_path: Path, open_task: Callable, cell: str, caption: str
) -> None:
    write(tmp_path, f"de\thttp://p\thttp://i\tBonn\t{cell}", "fr\thttp://p\thttp://i\tBonn\tOui.")
    task = open_task(DATA, **FIELDS)
    assert [(row.columns["caption"], row.columns["image"]) for row in task] == [
        (caption, "00000/000000000.jpg"),
        ("Oui.", "00000/000000001.jpg"),
    ]


def test_a_quote_that_never_ends_is_named(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, 'de\thttp://p\thttp://i\tBonn\t"Weg.', "fr\thttp://p\thttp://i\tBonn\tOui.")
    with pytest.raises(UserError, match=r"wit.tsv:2: a quote opens here and never ends"):
        open_task(DATA, **FIELDS)


def test_a_file_of_another_shape_is_refused(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, "de\thttp://p")
    with pytest.raises(UserError, match=r"wit.tsv:2: found 2 values between tabs; expected 5, as"):
        open_task(DATA, **FIELDS)
    (tmp_path / "wit.tsv").write_text("language\tpage_titles\timage_url\n")
    with pytest.raises(UserError, match=r"wit.tsv:1: has no column 'page_title'; did you mean"):
        open_task(DATA, **FIELDS)


def test_languages_are_found_in_any_spelling(tmp_path: Path, open_task: Callable) -> None:
    said = [("zh-TW", "家"), ("zh-Hant-TW", "房"), ("sr-Latn", "kuća"), ("sr", "кућа")]
    write(tmp_path, *(f"{tag}\thttp://p\thttp://i\tBonn\t{text}" for tag, text in said))
    task = open_task(DATA.replace("de, fr", "zh_TW, sr@latin"), **FIELDS)
    assert [row.language for row in task] == ["zh_TW", "zh_TW", "sr@latin"]
