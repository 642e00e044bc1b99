from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

LANGUAGES = 'splits: {train: train}, languages: [de, en, "no"], language_column: language'
IMAGE = {"image": "image, kind: image"}
COCO = {"images": [{"filepath": "val2014", "filename": "7.jpg", "cocoid": 7, "split": "val"}]}


def translated(reader: str, files: str) -> str:
    return f"reader: {reader}, files: {{{files}}}, images: images, key_column: key, {LANGUAGES}"


def translation(language: str, image: str = "7_0", caption: str = "a cat .") -> dict[str, str]:
    return {
        "image_id": image,
        "src_lang": "en",
        "trg_lang": language,
        "caption_tokenized": caption,
        "translation_tokenized": f"{caption} {language}",
        "backtranslation_tokenized": caption,
    }


def write(path: Path, *rows: Any) -> None:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))


def test_an_image_in_the_languages_that_are_asked_for(tmp_path: Path, open_task: Callable) -> None:
    said = {tag: {"caption": [f"{tag} 1", f"{tag} 2"]} for tag in ("de", "en", "no", "quz")}
    write(tmp_path / "captions.jsonl", {"image/key": "0a", "image/locale": "quz", **said})
    data = f"reader: xm3600, path: captions.jsonl, key_column: key, {LANGUAGES}"
    rows = list(open_task(data, **IMAGE, answer="captions, many: true", place="locale"))
    assert [row.language for row in rows] == ["de", "en", "no"]
    assert dict(rows[2].columns) == {
        "image": "0a.jpg",
        "captions": ["no 1", "no 2"],
        "locale": "quz",
        "language": "no",
        "key": "0a_no",
    }


def test_a_language_by_the_name_that_the_files_have(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "captions.jsonl", {"image/key": "0a", "iw": {"caption": ["א"]}})
    data = (
        "reader: xm3600, path: captions.jsonl, splits: {train: train}, languages: [he], "
        "language_names: {he: iw}, language_column: language"
    )
    (row,) = open_task(data, **IMAGE, answer="captions, many: true")
    assert (row.language, row.columns["captions"]) == ("he", ["א"])


def test_translations_of_an_image_are_one_row_a_language(
    tmp_path: Path, open_task: Callable
) -> None:
    captions = [("7_0", "a cat ."), ("7_1", "one cat .")]
    lines = [translation(tag, *said) for said in captions for tag in ("ar", "de", "no")]
    write(tmp_path / "mt.jsonl", *lines)
    write(tmp_path / "coco.json", COCO | {"images": [COCO["images"][0] | {"sentences": []}]})
    data = translated("coco_35l", "translations: mt.jsonl, images: coco.json")
    rows = [dict(row.columns) for row in open_task(data, **IMAGE, answer="captions, many: true")]
    image = {"image": "val2014/7.jpg"}
    assert rows == [
        {**image, "captions": ["a cat .", "one cat ."], "language": "en", "key": "7_en"},
        {**image, "captions": ["a cat . de", "one cat . de"], "language": "de", "key": "7_de"},
        {**image, "captions": ["a cat . no", "one cat . no"], "language": "no", "key": "7_no"},
    ]


LIST = ["a dog", "a  cat .", "2 birds", "a dog", "the 3rd man 's hat", "a fish"]
DOWNLOADED = (1, 2, 3, 4)  # lines from 0 whose image is there


@pytest.mark.parametrize(
    ("record", "caption", "line"),
    [
        ({}, "a cat .", 1),
        ({}, "a dog", 3),  # the first whose image is there
        ({}, "# birds", 2),
        ({}, "the #rd man's hat", 4),
        ({}, "a bird", None),
        ({"rec_num": 2}, "a cat .", 1),
        ({"rec_num": "2"}, "a cat .", 1),
        ({"rec_num": 4}, "a dog", 3),
        ({"rec_num": 1}, "a dog", None),  # its own image is not there
        ({"rec_num": 3}, "# birds", 2),
        ({"rec_num": 6}, "a fish", None),
        ({"rec_num": 4}, "# birds", 2),  # of a list from which a line was taken
        ({"rec_num": 9}, "a dog", 3),
        ({"rec_num": 0}, "a dog", 3),
    ],
)
def test_translations_meet_their_image_by_their_line_or_caption(
    tmp_path: Path, open_task: Callable, record: dict[str, Any], caption: str, line: int | None
) -> None:
    (tmp_path / "images/00000").mkdir(parents=True)
    for number in DOWNLOADED:
        (tmp_path / f"images/00000/{number:09d}.jpg").write_bytes(b"")
    write(tmp_path / "list.tsv", *(f"{text}\thttp://{n}" for n, text in enumerate(LIST)))
    other = {**translation("de", caption="a cat ."), "rec_num": 2}
    del other["image_id"]
    write(tmp_path / "mt.jsonl", {**translation("de", caption=caption), **record}, other)
    data = translated("cc3m_35l", "translations: mt.jsonl, captions: list.tsv")
    task = open_task(data, **IMAGE, answer="caption")
    found = [dict(row.columns) for row in task if row.columns["key"].startswith("1_")]
    assert found == [
        {"image": f"00000/{line:09d}.jpg", "caption": text, "language": tag, "key": f"1_{tag}"}
        for tag, text in (("en", caption), ("de", f"{caption} de"))
        if line is not None
    ]
    assert task.left_out == ({} if found else {"lack their image": 2})


def test_a_record_is_a_number(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "images").mkdir()
    write(tmp_path / "list.tsv", "a cat .\thttp://a")
    write(tmp_path / "mt.jsonl", {**translation("de"), "rec_num": "x"})
    data = translated("cc3m_35l", "translations: mt.jsonl, captions: list.tsv")
    with pytest.raises(UserError, match=r"mt.jsonl:1: rec_num: found 'x'; expected"):
        open_task(data, **IMAGE, answer="caption")


@pytest.mark.parametrize(
    ("reader", "files", "row", "says"),
    [
        (
            "coco_35l",
            "images: coco.json",
            translation("de", "9_0"),
            "mt.jsonl:1: image_id: '.*coco",
        ),
        ("coco_35l", "images: coco.json", {"trg_lang": "de"}, "mt.jsonl:1: caption_tokenized"),
        ("cc3m_35l", "captions: list.tsv", translation("de"), "data.images: there is no folder"),
    ],
)
def test_translations_of_nothing_known_are_refused(
    tmp_path: Path, open_task: Callable, reader: str, files: str, row: Any, says: str
) -> None:
    write(tmp_path / "mt.jsonl", row)
    write(tmp_path / "coco.json", COCO | {"images": [COCO["images"][0] | {"sentences": []}]})
    write(tmp_path / "list.tsv", "a cat .\thttp://b")
    data = translated(reader, f"translations: mt.jsonl, {files}")
    answer = "caption" if reader == "cc3m_35l" else "captions, many: true"
    with pytest.raises(UserError, match=says):
        open_task(data, **IMAGE, answer=answer)


def test_languages_are_found_in_any_spelling(tmp_path: Path, open_task: Callable) -> None:
    said = {tag: {"caption": [tag]} for tag in ("iw", "zh", "pt-BR")}
    write(tmp_path / "captions.jsonl", {"image/key": "0a", **said})
    languages = "languages: [heb, zho_Hans, pt_BR], language_column: language"
    data = f"reader: xm3600, path: captions.jsonl, splits: {{train: train}}, {languages}"
    rows = open_task(data, **IMAGE, answer="captions, many: true")
    assert [(row.language, *row.columns["captions"]) for row in rows] == [
        ("heb", "iw"),
        ("zho_Hans", "zh"),
        ("pt_BR", "pt-BR"),
    ]
    write(tmp_path / "mt.jsonl", translation("iw"), translation("zh-CN"))
    write(tmp_path / "coco.json", COCO | {"images": [COCO["images"][0] | {"sentences": []}]})
    data = translated("coco_35l", "translations: mt.jsonl, images: coco.json")
    data = data.replace('[de, en, "no"]', "[he, zh_CN, eng]")
    rows = open_task(data, **IMAGE, answer="captions, many: true")
    assert [row.language for row in rows] == ["eng", "he", "zh_CN"]
