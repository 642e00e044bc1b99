from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError

MOSES = 'reader: moses, files: {source: "ted/{split}.en", target: "ted/{split}.{language}"}'
IWSLT = 'reader: iwslt, files: {source: "ted/{split}*.en*", target: "ted/{split}*.{language}*"}'
FIELDS = {"text": "source", "answer": "target"}


def write(folder: Path, **files: str) -> None:
    (folder / "ted").mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / "ted" / name.replace("_", ".")
        path.write_bytes(text.encode())


def test_lines_translate_each_other(tmp_path: Path, open_task: Callable) -> None:
    text = "a\r\nb b\n\n"
    write(tmp_path, train_en=text, train_de="\ufeffä\nb\u2028c\nd\n", train_fr="1\n2\n3")
    data = open_task(f"{MOSES}, languages: [de, fr]", **FIELDS)
    assert [(row.language, *row.columns.values()) for row in data] == [
        ("de", "a", "ä"),
        ("de", "b b", "b\u2028c"),  # only a line feed ends a line
        ("de", "", "d"),
        ("fr", "a", "1"),
        ("fr", "b b", "2"),
        ("fr", "", "3"),
    ]
    assert data[4].where == "ted/train.en:2"


@pytest.mark.parametrize(("english", "german"), [("a\nb\n", "a\n"), ("a\n", "a\nb\nc\n")])
def test_files_of_different_length(
    tmp_path: Path, open_task: Callable, english: str, german: str
) -> None:
    write(tmp_path, train_en=english, train_de=german)
    with pytest.raises(UserError) as error:
        open_task(f"{MOSES}, languages: [de]", **FIELDS)
    found, right = german.count("\n"), english.count("\n")
    says = f"train.de: has {found} sentences; expected {right}, as train.en"
    assert str(error.value).endswith(says)


def test_a_line_that_is_no_utf8(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, train_en="a\nb\n", train_de="a\n")
    (tmp_path / "ted/train.de").write_bytes(b"a\nsch\xf6n\n")
    with pytest.raises(UserError, match=r"train.de:2: is not UTF-8 text"):
        open_task(f"{MOSES}, languages: [de]", **FIELDS)


def test_a_language_without_a_file(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, train_en="a\n", train_de="a\n")
    with pytest.raises(UserError, match=r"data.files.target: there is no file '.*ted/train.fr'"):
        open_task(f"{MOSES}, languages: [fr]", **FIELDS)


def test_shards_of_both_files_belong_together(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, train_0_en="a\n", train_1_en="b\n", train_0_de="1\n", train_1_de="2\n")
    data = MOSES.replace("{split}", "{split}.*")
    rows = [tuple(row.columns.values()) for row in open_task(f"{data}, languages: [de]", **FIELDS)]
    assert rows == [("a", "1"), ("b", "2")]
    write(tmp_path, train_2_de="3\n")
    with pytest.raises(UserError, match="there are 3 files of it, and 2 of 'source'"):
        open_task(f"{data}, languages: [de]", **FIELDS)


def test_tags_of_iwslt(tmp_path: Path, open_task: Callable) -> None:
    write(
        tmp_path,
        train_tags_en="<url>http://a</url>\n<title>T</title>\n A dog. \n5 < 6\n",
        train_tags_de="<url>http://a</url>\n<speaker>S</speaker>\nEin Hund.\n5 < 6\n",
        test_en_xml='<mteval>\n<doc docid="1">\n<seg id="1"> Q &amp; A </seg>\n</doc>\n',
        test_de_xml='<mteval>\n<doc docid="1">\n<seg id="1">F &amp; A</seg>\n</doc>\n',
    )
    data = f"{IWSLT}, languages: [de]"
    rows = [tuple(row.columns.values()) for row in open_task(data, **FIELDS)]
    assert rows == [("A dog.", "Ein Hund."), ("5 < 6", "5 < 6")]
    rows = [tuple(row.columns.values()) for row in open_task(data, split="test", **FIELDS)]
    assert rows == [("Q & A", "F & A")]
