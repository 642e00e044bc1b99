from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image as PILImage
from typer.testing import CliRunner

from unified_vl.authoring.checking.tokens import load_codec
from unified_vl.authoring.page import as_html
from unified_vl.authoring.show import as_text, show_rows
from unified_vl.cli.main import app
from unified_vl.errors import BadRow
from unified_vl.specs.load import load_task


def test_rows_are_shown_as_the_model_sees_them(root: Path) -> None:
    spec = load_task(root / "task.yaml")
    shown = show_rows(spec, root, split="train", count=20, image_size=(8, 8))
    assert as_text(shown[0], None).splitlines() == [
        "train.jsonl:1  key 0  language en",
        "  source        <task:ground> <language:en> [image 20x10 as 8x8] a cat & a dog 0",
        "  target        [box 2.0 1.0 12.0 9.0]",
        "  right region  [box 2.0 1.0 12.0 9.0]",
    ]
    assert [each.example.key for each in shown] == [str(i) for i in range(20)]


def test_ids_and_pieces_are_shown_with_a_tokenizer(root: Path, tokenizer: Path) -> None:
    codec = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, max_source=64, max_target=8)
    assert codec is not None
    spec = load_task(root / "task.yaml")
    (shown,) = show_rows(spec, root, split="test", count=1, image_size=(8, 8), codec=codec)
    text = as_text(shown, codec)
    image = codec.vocabulary.tag_id("image")
    assert f" {image}*4 " in text
    assert "<task:ground> <language:en> <image>*4 " in text
    assert "<100> <100> <600> <900> </s>" in text
    assert "decoded       [box 2.0 1.0 12.0 9.0]" in text


RUN = """\
run: small
version: 1
mixture: mixture.yaml
data: .
tokenizer: TOKENIZER
output: out
steps: 1
batch_size: 1
model: {vision: {kind: patches, image_size: [8, 16], patch_size: 8}}
max_source_tokens: 8
"""
MIXTURE = "mixture: m\nversion: 1\ntasks: [{spec: task.yaml}]\nschedule: {kind: round_robin}\n"


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_a_run_says_what_its_model_will_see(
    root: Path, tokenizer: Path, has_tokenizer: bool
) -> None:
    (root / "mixture.yaml").write_text(MIXTURE)
    where = str(tokenizer if has_tokenizer else "nowhere")
    (root / "run.yaml").write_text(RUN.replace("TOKENIZER", where))
    command = ["show", str(root / "task.yaml"), "--run", str(root / "run.yaml")]

    def shown(*more: str) -> str:
        return CliRunner().invoke(app, [*command, *more], catch_exceptions=False).output

    assert "[image 20x10 as 16x8]" in shown()
    assert ("<image>*2" in shown()) == has_tokenizer
    assert ("cut off source" in shown()) == has_tokenizer
    assert "cut off source" not in shown("--max-source", "99")
    assert "[image 20x10 as 32x32]" in shown("--image-size", "32")


def test_a_run_shows_what_it_does_to_pictures(root: Path, tokenizer: Path, tmp_path: Path) -> None:
    (root / "mixture.yaml").write_text(MIXTURE)
    crop = "augment: [{name: horizontal_flip, rate: 1.0}, {name: grayscale, rate: 1.0}]\n"
    (root / "run.yaml").write_text(RUN.replace("TOKENIZER", str(tokenizer)) + crop)
    page = tmp_path / "page.html"
    command = ["show", str(root / "task.yaml"), "--run", str(root / "run.yaml")]
    shown = CliRunner().invoke(app, [*command, "--html", str(page)], catch_exceptions=False).output
    assert "[image 20x10 as 16x8, horizontal_flip, grayscale]" in shown
    assert re.search(r"target +\[box 8.0 1.0 18.0 9.0\]", shown)
    assert re.search(r"right region +\[box 8.0 1.0 18.0 9.0\]", shown)
    assert "horizontal_flip, grayscale]" in page.read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, [*command, "--split", "test"], catch_exceptions=False).output
    assert "[image 20x10 as 16x8]" in shown
    checked = CliRunner().invoke(app, ["check", str(root / "run.yaml")]).output
    said = "run.yaml: ground: augmented by horizontal_flip, grayscale"
    assert said in checked.replace("\n", "")


def test_fewer_rows_are_drawn_the_same_each_time(root: Path) -> None:
    spec = load_task(root / "task.yaml")
    drawn = [
        [
            each.example.key
            for each in show_rows(spec, root, split="test", count=5, image_size=(8, 8))
        ]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 5


def test_more_rows_than_there_are_show_all(root: Path) -> None:
    spec = load_task(root / "task.yaml")
    assert len(show_rows(spec, root, split="train", count=99, image_size=(8, 8))) == 20


ANSWERS = """\
task: ground
version: 1
about: Answer.
data: {reader: jsonl, path: "rows.jsonl", splits: {train: all}, languages: [ar], on_bad_row: skip}
fields:
  text: {kind: text, column: text}
  answers: {kind: text, column: answers, many: true}
example: {source: "{language} {text}", target: "{answers}", pick: {answers: first}}
score: [{metric: chrf, against: answers, primary: true}]
"""


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    said = ["نعم", "لا", "نعم"]
    rows = [{"text": f"a cat & a dog {n} " * 6, "answers": said} for n in range(3)]
    rows[1]["text"] = ""
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    return tmp_path


def test_what_is_cut_off_or_not_used_is_shown(answers: Path, tokenizer: Path) -> None:
    codec = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, max_source=12, max_target=8)
    assert codec is not None
    spec = load_task(answers / "answers.yaml")
    shown = show_rows(spec, answers, split="train", count=1, image_size=(8, 8), codec=codec)
    text = as_text(shown[0], codec)
    assert text.count("not used answers") == 1
    assert re.search(r"not used answers +لا", text)
    (cut,) = re.findall(r"cut off source +(.*)", text)
    (kept,) = re.findall(r"pieces +<language:ar> (.*) </s>", text)
    example = shown[0].example.source[1]
    whole = "".join(kept.split()).replace("\u2581", " ").strip() + " " + cut
    assert "".join(whole.split()) == "".join(example.text.split())  # type: ignore[union-attr]
    page = as_html(spec, shown, codec)
    assert page.count('class="lost"') == 2
    escaped = cut.replace("&", "&amp;")
    assert f'<bdi class="text" lang="ar" dir="auto">{escaped}</bdi>' in page


def test_nothing_is_called_lost_where_nothing_is(root: Path, tokenizer: Path) -> None:
    codec = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, max_source=64, max_target=8)
    spec = load_task(root / "task.yaml")
    shown = show_rows(spec, root, split="train", count=20, image_size=(8, 8), codec=codec)
    page = as_html(spec, shown, codec)
    assert 'class="lost"' not in page
    assert not any("cut off" in as_text(each, codec) for each in shown)


def test_rows_that_are_skipped_are_said_and_others_shown(answers: Path) -> None:
    spec = load_task(answers / "answers.yaml")
    left_out: list[BadRow] = []
    shown = show_rows(
        spec,
        answers,
        split="train",
        count=3,
        image_size=(8, 8),
        left_out=left_out.append,
    )
    assert [each.example.where for each in shown] == ["rows.jsonl:1", "rows.jsonl:3"]
    assert [str(error) for error in left_out] == ["rows.jsonl:2: text: is empty; expected text"]
    assert "rows.jsonl:2: text: is empty" in as_html(spec, shown, None, left_out)
    words = ["show", str(answers / "answers.yaml"), "--data", str(answers)]
    assert "left out: rows.jsonl:2: text" in CliRunner().invoke(app, words).stderr


@pytest.mark.parametrize("skips", [False, True])
def test_a_row_that_does_not_fit_is_named_as_other_bad_rows_are(
    root: Path, tokenizer: Path, skips: bool
) -> None:
    codec = load_codec(tokenizer, image_size=(8, 8), image_tokens=4, max_source=64, max_target=4)
    spec = root / "task.yaml"
    if skips:
        spec.write_text(spec.read_text().replace("key_column", "on_bad_row: skip\n  key_column"))
    left_out: list[BadRow] = []
    options = {"split": "train", "count": 2, "image_size": (8, 8), "left_out": left_out.append}
    says = r"train.jsonl:\d+: a sequence needs 5 tokens without its text; expected at most 4"
    if skips:
        assert show_rows(load_task(spec), root, codec=codec, **options) == []
        assert len(left_out) == 20 and re.fullmatch(says, str(left_out[0]))
    else:
        with pytest.raises(BadRow, match=says):
            show_rows(load_task(spec), root, codec=codec, **options)


def test_a_bad_row_is_an_error(root: Path, spoil: Callable[..., None]) -> None:
    spoil([0], phrase="")
    with pytest.raises(BadRow, match=r"train.jsonl:1: phrase: is empty"):
        show_rows(load_task(root / "task.yaml"), root, split="train", count=20, image_size=(8, 8))


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_holds_images_boxes_and_texts(root: Path) -> None:
    spec = load_task(root / "task.yaml")
    shown = show_rows(spec, root, split="train", count=20, image_size=(8, 8))
    page = as_html(spec, shown, None)
    tags = Tags()
    tags.feed(page)
    images = [attributes["src"] for tag, attributes in tags.found if tag == "img"]
    assert len(images) == 20
    assert images[1] is not None
    data = base64.b64decode(images[1].removeprefix("data:image/png;base64,"))
    with PILImage.open(io.BytesIO(data)) as image:
        assert (image.size, image.getpixel((7, 7))) == ((8, 8), (60, 0, 0))
    boxes = [attributes for tag, attributes in tags.found if tag == "rect"]
    assert boxes[0] == {"x": "0.1", "y": "0.1", "width": "0.5", "height": "0.8"}
    assert "قطة &lt;حمراء&gt;" in page  # values are text, never markup
    assert "<حمراء>" not in page
    texts = [attributes for tag, attributes in tags.found if tag == "bdi" and "lang" in attributes]
    # each text by itself, so that a tag before it does not decide its direction
    assert texts[1] == {"class": "text", "lang": "ar", "dir": "auto"}
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|@import""", page)  # self-contained


def test_the_command_prints_and_writes(root: Path, tokenizer: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    arguments = ["show", str(root / "task.yaml"), "--data", str(root), "-n", "20"]
    arguments += ["--split", "test", "--tokenizer", str(tokenizer), "--html", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "test.jsonl:1  key 0  language en" in result.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_schema_command(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert set(json.loads(printed.stdout)) == {
        "engine",
        "image_tokenizer",
        "mixture",
        "run",
        "task",
    }
    written = CliRunner().invoke(app, ["schema", "--output", str(tmp_path)])
    assert written.exit_code == 0
    for name, schema in json.loads(printed.stdout).items():
        assert json.loads((tmp_path / f"{name}.schema.json").read_text()) == schema


PARTS = """\
example:
  source: "{shots} {image} {ask} {phrase}"
  target: "{region}"
  shots: {count: 1, each: "{image} {phrase} {region}"}
wording: {ask: {default: [One, Two]}}
"""


def test_shots_and_the_wording_of_a_row_are_shown(root: Path) -> None:
    text = (root / "task.yaml").read_text()
    start, end = text.index("example:"), text.index("generate:")
    (root / "task.yaml").write_text(text[:start] + PARTS + text[end:])
    spec = load_task(root / "task.yaml")
    shown = show_rows(spec, root, split="test", count=20, image_size=(8, 8))
    lines = [as_text(each, None).splitlines()[1] for each in shown]
    assert all(line.count("[image 20x10 as 8x8]") == 2 for line in lines)
    assert {word for line in lines for word in line.split() if word in ("One", "Two")} == {
        "One",
        "Two",
    }
    page = as_html(spec, shown[:1], None)
    assert page.count("<img") == 2
    assert page.index("<rect") > page.rindex("<img")  # drawn on the row's own image


def test_noise_is_shown_as_the_tokenizer_makes_it(root: Path, tmp_path: Path) -> None:
    text = (root / "task.yaml").read_text()
    start, end = text.index("  image:"), text.index("score:")
    noise = 'example:\n  source: "{phrase}"\n  target: "{phrase}"\n'
    noise += "  noise: {phrase: {kind: span_corruption}}\n"
    fields = "  phrase: {kind: text, column: phrase}\n"
    score = "score:\n  - {metric: f1, against: phrase, primary: true}\n"
    (root / "task.yaml").write_text(text[:start] + fields + noise + score)
    assert text[end:].startswith("score:")
    spec = str(root / "task.yaml")
    bare = CliRunner().invoke(app, ["show", spec, "--data", str(root), "-n", "1"])
    assert "[span_corruption of " in bare.stdout
    made = tmp_path / "made"
    options = ["--spec", spec, "--data", str(root), "--output", str(made)]
    trained = CliRunner().invoke(app, ["tokenizer", "train", *options, "--vocabulary-size", "320"])
    assert trained.exit_code == 0
    whole = CliRunner().invoke(
        app, ["show", spec, "--data", str(root), "-n", "1", "--tokenizer", str(made)]
    )
    lines = {line[2:12].strip(): line for line in whole.stdout.splitlines()[1:]}
    for name in ("source", "target", "decoded"):
        assert "<sentinel:0>" in lines[name]
    checked = CliRunner().invoke(
        app, ["check", spec, "--data", str(root), "--tokenizer", str(made)]
    )
    assert checked.exit_code == 0 and "gives the answer away" not in checked.stdout
