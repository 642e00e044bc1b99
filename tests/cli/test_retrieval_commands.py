"""unified_vl/cli/answering/index.py and retrieve.py on a saved model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from unified_vl import Retriever, UnifiedVL
from unified_vl.cli.answering.index import index
from unified_vl.cli.answering.retrieve import retrieve
from unified_vl.errors import UserError
from unified_vl.locks import only_writer

app = typer.Typer()
app.command()(index)
app.command()(retrieve)


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.fixture
def photos(tmp_path: Path, picture) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        picture(number).save(folder / f"{number}.png")
    return folder


def test_images_are_found_by_a_sentence(tiny, model_directory: Path, photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"nonsense")
    result = call("index", model_directory, photos)
    assert result.exit_code == 0
    path = Path(result.stdout.strip())
    assert path == photos.with_name("photos.index")
    assert "left out" in result.stderr and "broken.png" in result.stderr
    assert "4 images" in result.stderr
    model = UnifiedVL(tiny.saved)
    (photos / "broken.png").unlink()
    expected = Retriever.build(model, photos).search("a dog", "en", top=3)
    asked = ("retrieve", model_directory, path, "--text", "a dog", "--language", "en", "--top", 3)
    lines = [f"{hit.score:.3f}\t{hit.path}" for hit in expected]
    assert call(*asked).stdout.splitlines() == lines
    rows = [json.loads(line) for line in call(*asked, "--json").stdout.splitlines()]
    assert [row["key"] for row in rows] == [hit.key for hit in expected]
    assert [row["score"] for row in rows] == pytest.approx([h.score for h in expected], abs=1e-4)


@pytest.mark.parametrize(
    ("films", "said"),
    [
        ([], ["1 image"]),
        (["a.mp4"], ["1 video beside images left out: a.mp4", "1 image"]),
        (["a.mp4", "b.mkv"], ["2 videos beside images left out: a.mp4, b.mkv", "1 image"]),
    ],
)
def test_videos_beside_images_are_named(
    model_directory: Path, photos: Path, films: list[str], said: list[str]
) -> None:
    for number in range(1, 4):
        (photos / f"{number}.png").unlink()
    for name in films:
        (photos / name).write_bytes(b"a film")
    assert call("index", model_directory, photos).stderr.splitlines() == said


def test_a_folder_of_neither_asks_for_both(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match=r"is empty; expected .*PPM files, or videos"):
        call("index", model_directory, tmp_path / "notes")


def test_texts_are_found_by_an_image(model_directory: Path, photos: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a red cat\na dog\n", encoding="utf-8")
    call("index", model_directory, texts, "--language", "en", "--output", tmp_path / "x/i")
    found = call("retrieve", model_directory, tmp_path / "x/i", "--image", photos / "1.png").stdout
    assert sorted(line.split("\t")[1] for line in found.splitlines()) == ["a dog", "a red cat"]


def test_what_cannot_be_searched_is_one_message(
    model_directory: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="the query is missing"):
        call("retrieve", model_directory, "x.index")
    with pytest.raises(UserError, match="2 queries"):
        call("retrieve", model_directory, "x.index", "--text", "a", "--image", photos / "0.png")
    with pytest.raises(UserError, match="there is no index here"):
        call("retrieve", model_directory, tmp_path / "none.index", "--text", "a")
    with pytest.raises(UserError, match="does not exist"):
        call("index", model_directory, tmp_path / "none")
    with pytest.raises(UserError, match=r"this is no collection.*a folder of images"):
        call("index", model_directory, photos / "0.png")
    with only_writer(tmp_path / "none.index"), pytest.raises(UserError, match="writes it"):
        call("index", model_directory, photos, "--output", tmp_path / "none.index")
    assert not (tmp_path / "none.index").exists()
