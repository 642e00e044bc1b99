from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import BadRow, UserError
from unified_vl.readers import compressed
from unified_vl.readers.table import NO_TEXT

WDS = 'reader: webdataset, path: "{split}.tar"'
FIELDS = {"image": "jpg;png, kind: image", "answer": "txt"}


def write(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def members(encoded: Callable) -> list[tuple[str, bytes]]:
    return [
        ("a/000.jpg", encoded((255, 0, 0), "PNG")),
        ("a/000.txt", b"red"),
        ("a/000.json", json.dumps({"width": 4, "tags": ["x", "y"]}).encode()),
        ("a/000.cls", b"3\n"),
        ("a/001.JSON", json.dumps({"width": 5, "url": "u"}).encode()),
        ("a/001.png", encoded((0, 0, 255))),
        ("a/001.txt", "bläu".encode()),
        ("a/001.seg.txt", b"two dots"),
    ]


def test_neighbours_of_one_name_are_a_row(
    tmp_path: Path, open_task: Callable, members: list
) -> None:
    write(tmp_path / "train.tar", members)
    data = open_task(
        f"{WDS}, key_column: __key__",
        image="jpg;png, kind: image",
        width="json.width",
        tags="json.tags, many: true",
        number="cls",
        part="seg.txt",
        answer="txt",
    )
    first, second = [dict(row.columns) for row in data]
    assert first.pop("jpg;png")["base64"] is False
    assert first == {
        "json.width": 4,
        "json.tags": ["x", "y"],
        "cls": "3",
        "seg.txt": None,
        "txt": "red",
        "__key__": "a/000",
    }
    assert (second["json.width"], second["cls"], second["seg.txt"]) == (5, None, "two dots")
    loader = ImageLoader(tmp_path, (4, 4))
    images = [loader.load(row.columns["jpg;png"], row.where) for row in data]
    assert [tuple(image.pixels_HWC[0, 0]) for image in images] == [(255, 0, 0), (0, 0, 255)]
    assert data[1].where == "train.tar:2"


def test_shards_follow_each_other_and_nothing_is_unpacked(
    tmp_path: Path, open_task: Callable, encoded: Callable
) -> None:
    for number in range(3):
        hostile = [("../../out.jpg", encoded()), ("../../out.txt", b"up"), ("/etc/out.txt", b"x")]
        write(tmp_path / f"train-{number}.tar", [*hostile, (f"{number}.txt", b"in")])
    before = sorted(tmp_path.parent.rglob("*"))
    data = open_task(
        'reader: webdataset, path: "{split}-*.tar", key_column: __key__',
        key_="__key__",
        answer="txt",
    )
    keys = ["../../out", "/etc/out"]
    assert [row.columns["__key__"] for row in data] == [*keys, "0", *keys, "1", *keys, "2"]
    assert [row.where for row in data.rows([3, 8])] == ["train-1.tar:1", "train-2.tar:3"]
    assert {*tmp_path.parent.rglob("*")} - {*before} == {tmp_path / "task.yaml"}


def test_memory_holds_no_image(tmp_path: Path, open_task: Callable) -> None:
    write(
        tmp_path / "train.tar",
        [pair for n in range(8) for pair in ((f"{n}.jpg", b"x" * (1 << 21)), (f"{n}.txt", b"a"))],
    )
    before = pa.total_allocated_bytes()
    data = open_task(WDS, **FIELDS)
    assert len(data) == 8
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_a_member_too_late_is_a_row_of_its_own(
    tmp_path: Path, open_task: Callable, members: list
) -> None:
    write(tmp_path / "train.tar", [*members[:2], *members[5:], ("a/000.txt", b"late")])
    assert [row.columns["txt"] for row in open_task(WDS, **FIELDS)] == ["red", "bläu", "late"]


def links(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, kind in (("0.jpg", tarfile.SYMTYPE), ("0.txt", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("1.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"a"))


def test_links_and_devices_are_no_members(tmp_path: Path, open_task: Callable) -> None:
    links(tmp_path / "train.tar")
    rows = [dict(row.columns) for row in open_task(WDS, answer="txt", key_="__key__")]
    assert rows == [{"txt": "a", "__key__": "1"}]


@pytest.mark.parametrize(
    ("members_", "says"),
    [
        ([("0.txt", b"a"), ("0.txt", b"b")], "train.tar: has the member '0.txt' twice"),
        ([("0.txt", b"\xff")], "train.tar: 0.txt: is not UTF-8 text"),
        ([("0.tx", b"a")], "has no column 'txt'; did you mean 'tx'?"),
        ([("README", b"a")], "data.path: train holds no row"),
        ([(".txt", b"a")], "data.path: train holds no row"),
    ],
)
def test_a_shard_of_another_content(
    tmp_path: Path, open_task: Callable, members_: list, says: str
) -> None:
    write(tmp_path / "train.tar", members_)
    with pytest.raises(UserError) as error:
        open_task(WDS, answer="txt")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("json_", "says"),
    [
        (b"{", "train.tar: 0.json: is not JSON: "),
        (b"[" * 100_000, "train.tar: 0.json: is not JSON: "),
        (b"[1]", "train.tar: 0.json: is not an object"),
        (b'{"captoin": 1}', "has no column 'json.caption'; did you mean 'json.captoin'?"),
    ],
)
def test_json_of_another_content(
    tmp_path: Path, open_task: Callable, json_: bytes, says: str
) -> None:
    write(tmp_path / "train.tar", [("0.json", json_), ("0.txt", b"a")])
    with pytest.raises(UserError) as error:
        open_task(WDS, text="txt", answer="json.caption")
    assert says in str(error.value)


def test_a_column_may_mix_kinds(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "train.tar", [("0.json", b'{"a": 1}'), ("1.json", b'{"a": "x"}')])
    assert [row.columns["json.a"] for row in open_task(WDS, answer="json.a")] == [1, "x"]


def test_what_is_no_utf8_is_lost_alone(tmp_path: Path, open_task: Callable) -> None:
    names = (b"0".decode(), b"\xff".decode(errors="surrogateescape"), "2")
    members = [(f"{name}.json", json.dumps({"a": name[-1]}).encode()) for name in names]
    write(tmp_path / "train.tar", members)
    data = open_task(f"{WDS}, key_column: __key__", answer="json.a")
    assert [row.columns["json.a"] for row in data] == ["0", NO_TEXT, "2"]
    assert [row.key("__key__") for row in data] == ["0", "train.tar:2", "2"]


def test_a_member_that_is_no_text(tmp_path: Path, open_task: Callable, members: list) -> None:
    write(tmp_path / "train.tar", members)
    with pytest.raises(UserError, match=r"train.tar: jpg: is a member that is not read as text"):
        open_task(WDS, text="jpg", answer="txt")


def test_an_image_that_is_broken_is_a_bad_row(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "train.tar", [("0.jpg", b"no image"), ("0.txt", b"a")])
    row = open_task(WDS, **FIELDS)[0]
    with pytest.raises(BadRow, match=r"train.tar:1: the image of 8 bytes in 'train.tar' cannot"):
        ImageLoader(tmp_path, (4, 4)).load(row.columns["jpg;png"], row.where)


def test_a_shard_that_was_cut(tmp_path: Path, open_task: Callable, members: list) -> None:
    path = tmp_path / "train.tar"
    write(path, members)
    whole = path.read_bytes()
    for length, says in (
        (0, "is broken after its beginning: empty file; expected a tar file"),
        (300, "is broken after its beginning: truncated header"),
        (550, "ends within its member 'a/000.jpg'"),
        (1024 + 300, "is broken after 'a/000.jpg'"),
        (1536 + 2, "ends within its member 'a/000.txt'"),
    ):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError) as error:
            open_task(WDS, **FIELDS)
        assert says in str(error.value), length


PACKERS = {"tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_shard_gives_the_same_rows(
    tmp_path: Path, open_task: Callable, members: list, suffix: str
) -> None:
    write(tmp_path / "train.tar", members)
    packed = tmp_path / f"train.{suffix}"
    packed.write_bytes(PACKERS[suffix]((tmp_path / "train.tar").read_bytes()))
    plain = open_task(WDS, **FIELDS)
    data = open_task(WDS.replace(".tar", f".{suffix}"), **FIELDS)
    loader = ImageLoader(tmp_path, (4, 4))
    for one, other in zip(plain, data, strict=True):
        assert one.columns["txt"] == other.columns["txt"]
        pixels = [loader.load(r.columns["jpg;png"], r.where).pixels_HWC for r in (one, other)]
        assert (pixels[0] == pixels[1]).all()
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"train\.{suffix}: is broken"):
        open_task(WDS.replace(".tar", f".{suffix}"), **FIELDS)


def test_a_compressed_shard_may_not_unpack_to_anything(
    tmp_path: Path, open_task: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MOST_BYTES", 1 << 20)
    (tmp_path / "train.tar").write_bytes(gzip.compress(b"\0" * (1 << 22)))
    with pytest.raises(UserError, match="unpacks to more than 2 GiB; expected it unpacked, on"):
        open_task(WDS, **FIELDS)


@pytest.mark.parametrize("damage", ["noise", "gzip", "text"])
def test_what_is_no_tar(tmp_path: Path, open_task: Callable, members: list, damage: str) -> None:
    path = tmp_path / "train.tar"
    write(path, members)
    whole = path.read_bytes()
    if damage == "noise":  # a header in the middle: Python's reader takes it for the end
        path.write_bytes(whole[:1024] + b"\x07" * 512 + whole[1536:])
    else:
        text = b"a tar? " * 200
        path.write_bytes(gzip.compress(text) if damage == "gzip" else text)
    with pytest.raises(UserError, match=r"train.tar: is broken after .*; expected a tar"):
        open_task(WDS, **FIELDS)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_is_more_than_an_error(
    tmp_path: Path, open_task: Callable, members: list, data: st.DataObject
) -> None:
    path = tmp_path / "train.tar"
    write(path, members)
    damaged = bytearray(path.read_bytes()[:6144])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        rows = list(open_task(WDS, **FIELDS))
    except UserError:
        return
    for row in rows:
        try:
            ImageLoader(tmp_path, (4, 4)).load(row.columns["jpg;png"], row.where)
        except BadRow:
            continue
