"""Text between separators: quotes, cells of any size, encodings, and what a message says."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.errors import UserError
from unified_vl.readers import delimited
from unified_vl.readers.delimited import Delimited, DelimitedFile

OPENED = 'image,caption\n{}red.png,"an opened quote\n{}'
ROWS = "".join(f"{n}.png,a caption\n" for n in range(10))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OPENED.format(ROWS, ROWS * 98), "train.csv:12: a quote opens here and never ends"),
        (OPENED.format("", ""), "train.csv:2: a quote opens here and never ends"),
        (
            OPENED.format(ROWS, ROWS + '7.png,"a good one"\n' + ROWS),
            "train.csv:12: a quote opens here and ends within line 23",
        ),
        (
            'image,caption\n"a\nb.png","two\nlines"\nc.png,"d\ne',
            "train.csv:5: a quote opens here and never ends",
        ),
        ('image,caption\n"a\nb.png","never\nends\n', "train.csv:3: a quote opens here and nev"),
        ('image,caption\na.png,"b"c\n', "train.csv:2: is not CSV: ',' expected after '\"'"),
        ('image,"caption\na.png,b\n', "train.csv:1: a quote opens here and never ends"),
        ("image,caption\na.png\n", "train.csv:2: found 1 value; expected 2: image, caption"),
        ("image,caption\na,b\nc;d\n", "train.csv:3: its values stand between semicolons; expec"),
        ("image;caption\na;b\n", 'or `data.delimiter: ";"`'),
        ("image\tcaption\na\tb\n", r'or `data.delimiter: "\t"`'),
        ("image|caption\na|b\n", 'between bars; expected commas, or `data.delimiter: "|"`'),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, open_task: Callable, text: str, says: str
) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(UserError) as error:
        open_task('reader: csv, path: "{split}.csv"', text="image", answer="caption")
    assert says in str(error.value)


def test_a_quote_that_is_not_closed_is_not_gathered_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_LONGEST_QUOTE", 1000)
    (tmp_path / "a.csv").write_text(OPENED.format(ROWS, ROWS * 98 + '1.png,"'))
    file = DelimitedFile(tmp_path / "a.csv", Delimited())
    seen = []
    with pytest.raises(UserError, match=r"a.csv:12: a quote opens here and never ends"):
        seen += [record.cells for record in file.records()]
    assert seen == []


@pytest.mark.parametrize("reader", ["csv", "tsv"])
@pytest.mark.parametrize("size", [1 << 17, 1 << 20, 3 << 20])
def test_a_cell_of_any_size(tmp_path: Path, open_task: Callable, reader: str, size: int) -> None:
    """Such as an image in base64; the least is the limit that Python's `csv` begins with."""
    between = "," if reader == "csv" else "\t"
    rows = ["a" + between + "b", *(f"{n}{'x' * size}{between}{n}" for n in range(3))]
    (tmp_path / f"train.{reader}").write_text("\n".join(rows))
    data = open_task(f'reader: {reader}, path: "{{split}}.{reader}"', text="a", answer="b")
    assert [(len(row.columns["a"]), row.columns["b"]) for row in data] == [
        (size + 1, str(n)) for n in range(3)
    ]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "schön 猫"),
        ("utf-8-sig", "schön 猫"),
        ("utf-16", "schön 猫\u0a0d"),
        ("utf-16-be", "schön 猫"),
        ("utf-32", "schön 猫"),
        ("cp1252", "schön €"),
        ("gb18030", "猫 狗"),
        ("shift_jis", "ソ 表"),
        ("koi8-r", "кот"),
    ],
)
@pytest.mark.parametrize("reader", ["csv", "tsv"])
def test_encodings(
    tmp_path: Path, open_task: Callable, reader: str, encoding: str, text: str
) -> None:
    between = "," if reader == "csv" else "\t"
    lines = [between.join(("a", "b")), *(between.join((text, str(n))) for n in range(200)), ""]
    (tmp_path / "train").write_bytes("\r\n".join(lines).encode(encoding))
    data = open_task(
        f'reader: {reader}, path: "{{split}}", encoding: {encoding}', text="a", answer="b"
    )
    assert len(data) == 200
    assert dict(data[150].columns) == {"a": text, "b": "150"}


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        (
            "a,b\nsch\xf6n,c\n".encode("latin-1"),
            "",
            "train:2: is not UTF-8 text; expected UTF-8, o",
        ),
        (b"a,b\n\x81,c\n", ", encoding: cp1252", "train:2: is not cp1252 text"),
        (
            b"a,b\n1,2\n",
            ", encoding: cp1252x",
            "data.encoding: found 'cp1252x'; expected the name of a text encoding",
        ),
        (b"a,b\n1,2\n", ", encoding: zip", "data.encoding: found 'zip'; expected the name of"),
        (b"a,b\n1,2\n", ", encoding: unicode_escape", "data.encoding: found 'unicode_escape'"),
        (b"a,b\n1,2\n", ", delimiter: '\"'", "data.delimiter: found '\"'; expected another char"),
        (b"a,b\n1,2\n", ", delimiter: ab", "data.delimiter: found 'ab'"),
    ],
)
def test_keys_and_bytes_that_are_wrong(
    tmp_path: Path, open_task: Callable, content: bytes, key: str, says: str
) -> None:
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(UserError) as error:
        open_task(f'reader: csv, path: "{{split}}"{key}', text="a", answer="b")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("reader", "key"),
    [("tsv", "delimiter: ;"), ("jsonl", "encoding: cp1252"), ("jsonl", "delimiter: ;")],
)
def test_keys_of_other_readers(open_task: Callable, reader: str, key: str) -> None:
    with pytest.raises(UserError, match=f"has no effect with the reader '{reader}'"):
        open_task(f'reader: {reader}, path: "{{split}}", {key}', text="a", answer="b")


def test_another_delimiter(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train").write_text('a;b\n"1;2";3,4\n')
    data = open_task('reader: csv, path: "{split}", delimiter: ;', text="a", answer="b")
    assert dict(data[0].columns) == {"a": "1;2", "b": "3,4"}


def test_rows_of_another_width_are_left_out_where_the_spec_says(
    tmp_path: Path, open_task: Callable
) -> None:
    (tmp_path / "train").write_text('a,b\n\n1,"2\n2"\n3\n\n4,5\n6,7,8\n9,10\n')
    data = open_task('reader: csv, path: "{split}", on_bad_row: skip', text="a", answer="b")
    assert [(row.columns["a"], row.columns["b"], row.index) for row in data] == [
        ("1", "2\n2", 0),
        ("4", "5", 2),
        ("9", "10", 4),
    ]
    assert data.left_out == {"have more or fewer values than there are columns": 2}


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2
        ),
        min_size=1,
    ),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_pythons_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], line_end: str
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode())
    how = Delimited()
    file = DelimitedFile(path, how)
    records = list(file.records())
    assert [record.cells for record in records] == rows
    content = path.read_bytes()
    starts = [0, *(record.end for record in records)]
    pieces = [content[a:b] for a, b in pairwise(starts)]
    assert [how.cells(file.decode(piece)) for piece in pieces] == rows
