"""Tables as spreadsheets and Windows write them: encodings, paths, a column a language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from unified_vl.authoring.checking.check import check_paths
from unified_vl.authoring.drafting.draft import draft
from unified_vl.authoring.drafting.language_columns import find_language_columns
from unified_vl.cli.main import app
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.load import load_task

ROWS = 6


def images(root: Path) -> None:
    (root / "pics").mkdir()
    for number in range(ROWS):
        Image.linear_gradient("L").resize((20, 9 + number)).save(root / f"pics/{number}.png")


def table(path: Path, image: str, encoding: str = "utf-8", separator: str = ",") -> Path:
    lines = [separator.join(["image", "caption"])]
    lines += [f"{image.format(n)}{separator}ein schöner Bär, Nummer {n}" for n in range(ROWS)]
    if separator == ",":
        lines[1:] = [f'{line.split(",")[0]},"{line.split(",", 1)[1]}"' for line in lines[1:]]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def new(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["new", *map(str, words)], catch_exceptions=False)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "mac_roman"])
@pytest.mark.parametrize(("ending", "separator"), [("csv", ";"), ("csv", ","), ("tsv", "\t")])
def test_tables_in_other_encodings_are_drafted(
    tmp_path: Path, encoding: str, ending: str, separator: str
) -> None:
    images(tmp_path)
    given = table(tmp_path / f"a.{ending}", "pics/{}.png", encoding, separator)
    spec = tmp_path / "spec.yaml"
    assert new("--from", given, "--encoding", encoding, "--output", spec).exit_code == 0
    task = load_task(spec)
    assert task.data.encoding == encoding
    said = {row.columns["caption"] for s in task.data.splits for row in TaskData(task, s, tmp_path)}
    assert said == {f"ein schöner Bär, Nummer {n}" for n in range(ROWS)}
    found = check_paths([spec], data=tmp_path).findings
    assert [str(each) for each in found if each.severity == "error"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "a.csv:2: is not UTF-8 text; expected UTF-8, or what it is: --encoding cp1252"),
        (["--encoding", "cp125"], "--encoding: found 'cp125'.* did you mean 'cp125"),
        (["--encoding", "rot13"], "--encoding: found 'rot13'"),
    ],
)
def test_an_encoding_that_is_not_said_or_not_known(
    tmp_path: Path, words: list[str], says: str
) -> None:
    given = table(tmp_path / "a.csv", "{}.png", "cp1252")
    with pytest.raises(UserError, match=says):
        new("--from", given, *words)


def test_an_encoding_is_said_of_tables_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "answer": "b"}\n' * 4)
    with pytest.raises(UserError, match=r"--encoding: says nothing of .*'jsonl'"):
        new("--from", tmp_path / "a.jsonl", "--encoding", "cp1252")


@pytest.mark.parametrize(
    ("image", "folder", "prefix"),
    [
        ("pics\\{}.png", None, None),
        (".\\pics\\{}.png", None, None),
        ("C:\\Users\\ann\\pics\\{}.png", "pics", "C:/Users/ann/pics"),
        ("\\\\server\\share\\set\\pics\\{}.png", "pics", "//server/share/set/pics"),
    ],
)
def test_paths_of_windows_are_read_and_said(
    tmp_path: Path, image: str, folder: str | None, prefix: str | None
) -> None:
    images(tmp_path)
    given, spec = table(tmp_path / "a.csv", image), tmp_path / "spec.yaml"
    new("--from", given, "--data", tmp_path, "--output", spec)
    task = load_task(spec)
    assert (task.data.images, task.data.image_prefix) == (folder, prefix)
    found = check_paths([spec], data=tmp_path)
    assert not found.failed and found.checked["image"] == ROWS
    assert any("name images with backslashes" in str(each) for each in found.findings)


@pytest.mark.parametrize(
    ("name", "says"),
    [("pics\\0.png", None), ("..\\x.png", "leaves the data root"), ("pics\\9.png", "no image")],
)
def test_a_backslash_leads_nowhere_that_a_slash_does_not(
    tmp_path: Path, name: str, says: str | None
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    images(root)
    (tmp_path / "x.png").write_bytes(b"")
    (root / "odd\\name.png").write_bytes((root / "pics/0.png").read_bytes())
    loader = ImageLoader(root, (8, 8))
    assert loader.resolve("odd\\name.png", "").name == "odd\\name.png"
    if says is None:
        assert loader.resolve(name, "") == (root / "pics/0.png").resolve()
    else:
        with pytest.raises(BadRow, match=says):
            loader.resolve(name, "")


@pytest.mark.parametrize(
    ("names", "template", "tags"),
    [
        (("text_en", "text_de"), "text_{language}", {"en": "en", "de": "de"}),
        (("Beschreibung DE", "Beschreibung FR"), "Beschreibung {language}", {"de": "DE"}),
        (("text-PT-BR", "text-EN"), "text-{language}", {"pt-BR": "PT-BR", "en": "EN"}),
        (("Caption (English)", "Caption (German)"), "Caption ({language})", {"de": "German"}),
        (("Caption [de]", "Caption [fr]"), "Caption [{language}]", {"de": "de", "fr": "fr"}),
        (("Title(EN)", "Title(DE)"), "Title({language})", {"en": "EN"}),
        (("de_text", "fr_text"), "{language}_text", {"de": "de", "fr": "fr"}),
        (("DE Titel", "FR Titel"), "{language} Titel", {"de": "DE"}),
        (("English caption", "German caption"), "{language} caption", {"en": "English"}),
        (("name first", "name last"), None, {}),
        (("a de", "b fr"), None, {}),
    ],
)
def test_columns_of_languages_in_any_spelling(
    names: tuple[str, str], template: str | None, tags: dict[str, str]
) -> None:
    columns = {"image": ["1.png", "2.png"]} | {
        name: [f"{name} {number}" for number in range(2)] for name in names
    }
    found = find_language_columns(columns)
    if template is None:
        assert found is None
        return
    assert found is not None and found.templates == {template}
    assert len(found.names) == 2 and tags.items() <= found.names.items()


ANSWER = {"key": "a.png", "prediction": "a bear", "boxes": None, "score": -1.0, "error": None}
WRITTEN: dict[str, dict[str, str]] = {
    "answers in CSV": {"out.csv": ",".join(ANSWER) + "\na.png,a bear,,-1.0,\n"},
    "answers in JSON lines": {"out.jsonl": json.dumps(ANSWER) + "\n"},
    "results of COCO": {
        "out.json": json.dumps(
            [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 1}]
        )
    },
    "a run": {
        "runs/a/events.jsonl": '{"event": "step"}\n',
        "runs/a/model/training.json": "{}",
        "runs/a/report.json": "{}",
        "runs/a/predictions.jsonl": json.dumps(ANSWER) + "\n",
    },
    "a model and a tokenizer": {
        "m/training.json": "{}",
        "m/model.safetensors": "",
        "t/vocabulary.json": "{}",
        "t/text.model": "",
    },
    "an index": {"pics.index/index.json": "{}", "pics.index/features.safetensors": ""},
}


@pytest.mark.parametrize("what", WRITTEN)
@pytest.mark.parametrize("kind", ["image_texts", "csv"])
def test_what_this_program_wrote_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, kind: str
) -> None:
    images(tmp_path)
    if kind == "csv":
        table(tmp_path / "rows.csv", "pics/{}.png")
    for number in range(ROWS):
        (tmp_path / f"pics/{number}.txt").write_text(f"a bear, number {number}")
    for name, text in WRITTEN[what].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if "answers" in what:
        (tmp_path / "out.images").mkdir()
        (tmp_path / "out.images/000000.png").write_bytes((tmp_path / "pics/0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    new("--from", ".", "--task", "bears", "--output", "spec.yaml")
    assert load_task(Path("spec.yaml")).data.reader == kind
    assert "out." not in Path("spec.yaml").read_text()


def test_answers_that_are_named_are_read(tmp_path: Path) -> None:
    rows = [
        ANSWER | {"key": f"{n}", "prediction": f"a bear {n}", "text": f"b {n}"} for n in range(4)
    ]
    (tmp_path / "out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert new("--from", tmp_path / "out.jsonl").exit_code == 0


@pytest.mark.parametrize("folder", ["annotations", "Annotations", "labels", "elsewhere"])
@pytest.mark.parametrize("pictures", ["images", "train2017"])
def test_a_coco_set_as_it_is_published_leaves_nothing_to_guess(
    tmp_path: Path, folder: str, pictures: str
) -> None:
    images(tmp_path)
    (tmp_path / "pics").rename(tmp_path / pictures)
    keys = range(ROWS)
    content = {
        "images": [{"id": k, "file_name": f"{k}.png", "width": 20, "height": 9 + k} for k in keys],
        "categories": [{"id": 7, "name": "bear"}],
        "annotations": [
            {"id": k, "image_id": k, "bbox": [1, 1, 5, 5], "category_id": 7} for k in keys
        ],
    }
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "instances.json").write_text(json.dumps(content))
    text = draft(tmp_path / folder / "instances.json").text
    assert "layout: xywh, units: pixels, labels: labels}\n" in text
    assert ("look whether they are those" in text) == (folder == "elsewhere")


def test_an_image_of_a_folder_is_called_by_its_path(tmp_path: Path) -> None:
    for kind in ("red: 1", "blue"):
        for number in range(ROWS):
            (tmp_path / "My Photos" / kind).mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").save(tmp_path / "My Photos" / kind / f"a {number}.png")
    spec = tmp_path / "spec.yaml"
    new("--from", tmp_path / "My Photos", "--output", spec)
    task = load_task(spec)
    tables = [TaskData(task, split, tmp_path) for split in task.data.splits]
    keys = {key for table in tables for _, key in list(table.keys())}
    assert keys == {f"{kind}/a {n}.png" for kind in ("red: 1", "blue") for n in range(ROWS)}
