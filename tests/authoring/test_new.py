"""Each kind of data: drafted by `new`, then checked and shown as it was drafted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests import filming
from unified_vl.authoring.drafting.columns import FieldGuess, guess_columns
from unified_vl.authoring.drafting.draft import draft
from unified_vl.authoring.drafting.languages import language_of, tags_of
from unified_vl.cli.main import app
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (number * 9 % 256, number * 37 % 256, number * 71 % 256)
    Image.new("RGB", (40, 30), colour).save(path)


def image_bytes(number: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (number * 40 % 256, 3, 90)).save(buffer, kind)
    return buffer.getvalue()


WORDS = {"en": "picture", "de": "Bild", "pt-BR": "imagem"}


def lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def captions_in_two_languages(root: Path) -> Path:
    for split, first in (("train", 0), ("dev", 10)):
        for number in range(first, first + 8):
            picture(root / f"caps/images/{split}/{number}.png", number)
        for tag, word in (("en", "picture"), ("de", "Bild")):
            rows = [
                {"file": f"{split}/{n}.png", "captions": [f"{word} {n}", f"{word} number {n}"]}
                for n in range(first, first + 8)
            ]
            lines(root / f"caps/{split}_{tag}.jsonl", rows)
    return root / "caps"


def one_caption_file(root: Path) -> Path:
    return captions_in_two_languages(root) / "train_de.jsonl"


def boxes_in_csv(root: Path) -> Path:
    with (root / "boxes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["img", "phrase", "bbox"])
        for number in range(12):
            picture(root / f"pics/{number}.png", number)
            writer.writerow(
                [f"{number}.png", f"thing {number}", f"[{20 + number % 3}, 10, 12, 15]"]
            )
    return root / "boxes.csv"


def classes_in_parquet(root: Path) -> Path:
    table = {
        "image": [{"bytes": image_bytes(n), "path": None} for n in range(12)],
        "label": ["cat", "dog"] * 6,
        "split": ["train"] * 8 + ["test"] * 4,
        "sure": [True] * 12,
    }
    pq.write_table(pa.table(table), root / "pets.parquet")
    return root / "pets.parquet"


def translations_in_tsv(root: Path) -> Path:
    (root / "pairs").mkdir()
    for split in ("train", "test"):
        rows = "".join(f"the {split} house {n}\tdas {split} Haus {n}\n" for n in range(9))
        (root / f"pairs/{split}.tsv").write_text(f"en\tde\n{rows}")
    return root / "pairs"


def a_column_a_language(root: Path) -> Path:
    rows = []
    for number in range(8):
        picture(root / f"pics/{number}.png", number)
        said = {f"caption_{tag}": f"{word} {number}" for tag, word in WORDS.items()}
        asked = {f"question_{tag}": f"{word}: {number}?" for tag, word in WORDS.items()}
        rows.append({"id": number, "image": f"pics/{number}.png", **asked, **said})
    rows[3]["caption_de"] = None
    lines(root / "said.jsonl", rows)
    return root / "said.jsonl"


def columns_by_names_of_languages(root: Path) -> Path:
    rows = [
        {"n": f"x{n}", "title.english": f"word {n}", "title.german": f"Wort {n}"} for n in range(6)
    ]
    with (root / "titles.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "titles.csv"


def a_translation_memory(root: Path) -> Path:
    pairs = [{"en-US": f"house {n}", "DE": f"Haus {n}", "pt-br": f"casa {n}"} for n in range(6)]
    texts = "".join(
        "<tu>"
        + "".join(f'<tuv xml:lang="{t}"><seg>{s}</seg></tuv>' for t, s in pair.items())
        + "</tu>"
        for pair in pairs
    )
    (root / "memory.tmx").write_text(f'<tmx version="1.4"><header/><body>{texts}</body></tmx>')
    return root / "memory.tmx"


def class_folders(root: Path) -> Path:
    for number in range(16):
        split, name = ("train", "val")[number % 2], ("cat", "dog")[number // 2 % 2]
        picture(root / f"animals/{split}/{name}/{number}.png", number)
    return root / "animals"


def photos_of_many_formats(root: Path) -> Path:
    """The photos of a phone, scans and others, with what an operating system leaves."""
    from unified_vl.image_formats import readable_formats

    kinds = [".JPG", ".tiff", ".png", ".webp", *([".HEIC"] if "HEIF" in readable_formats() else [])]
    for number in range(4 * len(kinds)):
        name = f"IMG {number}{kinds[number // 4]}"
        picture(root / "My photos" / ("cat", "dog")[number % 2] / name, number)
    (root / "My photos/cat/Thumbs.db").write_bytes(b"x")
    return root / "My photos"


def folder_with_metadata(root: Path) -> Path:
    for number in range(5):
        picture(root / f"meta/train/{number}.png", number)
    rows = [{"file_name": f"{n}.png", "text": f"picture {n}"} for n in range(5)]
    lines(root / "meta/train/metadata.jsonl", rows)
    return root / "meta"


def texts_beside_images(root: Path) -> Path:
    for number in range(10):
        image = root / f"notes/{('train', 'val')[number % 2]}/{number % 3}/{number}.jpg"
        picture(image, number)
        for tag, word in (("en", "picture"), ("de", "Bild")):
            image.with_suffix(f".{tag}.txt").write_text(f"{word} {number}\n")
    return root / "notes"


def one_text_beside_each_image(root: Path) -> Path:
    for number in range(4):
        picture(root / f"notes/{number}.webp", number)
        (root / f"notes/{number}.txt").write_text(f"картина {number}\n", encoding="utf-8")
    return root / "notes"


def shards(root: Path) -> Path:
    (root / "shards").mkdir()
    for shard in range(2):
        with tarfile.open(root / f"shards/train-{shard:05d}.tar", "w") as tar:
            for number in range(4):
                for extension, content in (
                    ("jpg", image_bytes(shard * 4 + number, "JPEG")),
                    ("txt", f"caption {shard} {number}".encode()),
                    ("json", json.dumps({"source": "web", "width": 9}).encode()),
                ):
                    info = tarfile.TarInfo(f"{shard}{number:03d}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return root / "shards"


def packed_shards(root: Path) -> Path:
    for path in shards(root).iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return root / "shards"


def one_shard(root: Path) -> Path:
    return shards(root) / "train-00001.tar"


def coco(root: Path) -> Path:
    for split, first in (("train2017", 0), ("val2017", 4)):
        keys = range(first, first + 4)
        images = [{"id": k, "file_name": f"{k:06d}.jpg", "width": 40, "height": 30} for k in keys]
        for image in images:
            picture(root / f"coco/{split}/{image['file_name']}", image["id"])
        captions = [{"id": k, "image_id": k, "caption": f"picture {k}"} for k in keys]
        boxes = [
            {
                "id": 9 * k + n,
                "image_id": k,
                "bbox": [20, 2 + n, 10, 9],
                "category_id": 7,
                "area": 90,
            }
            | {"iscrowd": 0, "segmentation": [[20, 2, 30, 2, 30, 11]]}
            for k in keys
            for n in range(2)
        ]
        folder = root / "coco/annotations"
        folder.mkdir(exist_ok=True)
        for kind, found in (("captions", captions), ("instances", boxes)):
            content = {"images": images, "annotations": found}
            content["categories"] = [{"id": 7, "name": "cat"}]
            (folder / f"{kind}_{split}.json").write_text(json.dumps(content))
    return root / "coco"


def one_coco_file(root: Path) -> Path:
    return coco(root) / "annotations/captions_val2017.json"


def coco_boxes(root: Path) -> Path:
    return coco(root) / "annotations/instances_train2017.json"


def labelled_boxes(root: Path) -> Path:
    for number in range(8):
        picture(root / f"pics/{number}.png", number)
    rows = [
        {
            "Bild": f"pics/{n}.png",
            "Boxen": [[1, 2, 9, 9], [3, 3, 20, 20]],
            "Namen": ["Hund", "Katze"],
            "{x}": 1.5 + n,
            "задача": f"текст {n}",
        }
        for n in range(8)
    ]
    lines(root / "things.jsonl", rows)
    return root / "things.jsonl"


def questions_in_named_languages(root: Path) -> Path:
    rows = []
    for number in range(10):
        picture(root / f"pics/{number}.png", number)
        rows.append(
            {
                "question_id": number,
                "image": f"pics/{number}.png",
                "question": f"what is {number}?",
                "answers": ["yes", "no", "yes"],
                "language": ("English", "German")[number % 2],
            }
        )
    lines(root / "questions.json", rows)  # JSON Lines by another name
    return root / "questions.json"


def dirty_rows(root: Path) -> Path:
    for number in range(10):
        picture(root / f"pics/{number}.png", number)
    rows = [{"image": f"pics/{n}.png", "text": f"picture {n}"} for n in range(10)]
    rows[3]["image"] = "pics/none.png"
    rows[5]["text"] = ""
    lines(root / "dirty.jsonl", rows)
    return root / "dirty.jsonl"


def talks(root: Path) -> Path:
    rows = []
    for number in range(8):
        picture(root / f"talk/pics/{number}.png", number)
        turns = [
            {"from": "human", "value": f"<image>\nwhat is {number}?"},
            {"from": "gpt", "value": f"a thing {number}"},
            {"from": "human", "value": "and again?"},
            {"from": "gpt", "value": f"still {number}"},
        ]
        row: dict[str, Any] = {"id": f"t{number}", "conversations": turns}
        rows.append(row | ({"image": f"{number}.png"} if number % 4 else {}))
    (root / "talk/train.json").write_text(json.dumps(rows))
    return root / "talk"


def chats(root: Path) -> Path:
    turns = ({"role": "user", "content": "{0}?"}, {"role": "assistant", "content": "it is {0}"})
    rows = [
        {"messages": [turn | {"content": turn["content"].format(number)} for turn in turns]}
        for number in range(6)
    ]
    lines(root / "chats.jsonl", rows)
    return root / "chats.jsonl"


def paths_of_another_machine(root: Path) -> Path:
    rows = []
    for number in range(6):
        picture(root / f"set/pics/{number}.png", number)
        rows.append({"image": f"/home/ann/set/pics/{number}.png", "text": f"picture {number}"})
    lines(root / "set/rows.jsonl", rows)
    return root / "set/rows.jsonl"


def absolute_paths(root: Path) -> Path:
    rows = []
    for number in range(6):
        picture(root / f"pics/{number}.png", number)
        rows.append({"image": str(root / f"pics/{number}.png"), "text": f"picture {number}"})
    lines(root / "rows.jsonl", rows)
    return root / "rows.jsonl"


def points(root: Path) -> Path:
    rows = []
    for number in range(6):
        picture(root / f"{number}.png", number)
        rows.append({"image": f"{number}.png", "query": f"thing {number}", "point": [20.5, number]})
    lines(root / "points.jsonl", rows)
    return root / "points.jsonl"


def counts(root: Path) -> Path:
    rows = []
    for number in range(6):
        picture(root / f"{number}.png", number)
        rows.append({"image": f"{number}.png", "count": number / 4})
    lines(root / "counts.jsonl", rows)
    return root / "counts.jsonl"


def arrow(root: Path) -> Path:
    table = pa.table(
        {"premise": ["a b", "c d"] * 4, "hypothesis": ["e", "f"] * 4, "label": [0, 1] * 4}
    )
    with (
        pa.OSFile(str(root / "nli.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as w,
    ):
        w.write_table(table)
    return root / "nli.arrow"


def odd_names(root: Path) -> Path:
    rows = [{"текст": f"слово {n}", "no": f"word {n}", "task": f"a: {n} #"} for n in range(4)]
    lines(root / "{a} [b]*?.jsonl", rows)
    return root / "{a} [b]*?.jsonl"


KINDS: dict[Callable[[Path], Path], tuple[str, ...]] = {
    captions_in_two_languages: (
        'path: "caps/{split}_{language}.jsonl"',
        'images: "caps/images"',
        "splits: {train: train, validation: dev}",
        "languages: [de, en]",
        "captions: {kind: text, column: captions, many: true}",
        "Describe the image in {language_name}.",
        "{metric: cider, against: captions, primary: true}",
    ),
    one_caption_file: ('path: "{split}_{language}.jsonl"', 'images: "images"', "task: caps"),
    boxes_in_csv: (
        "layout: xywh, units: pixels}  # guessed: the third or fourth number is not always above",
        'images: "pics"',
        'source: "{task} {image} {phrase}"',
        "allow: box",
        "metric: box_accuracy",
    ),
    classes_in_parquet: (
        "split_column: split",
        "splits: {train: train, test: test}",
        "method: constrained, choices: {field: label}",
        "# not used: column 'sure' holds true and false",
    ),
    translations_in_tsv: ('path: "pairs/{split}.tsv"', "languages: [de]", 'target: "{de}"'),
    a_column_a_language: (
        "languages: [en, de, pt-BR]",
        "unpivot: true",
        'caption: {kind: text, column: "caption_{language}"}',
        'question: {kind: text, column: "question_{language}"}',
        'source: "{task} {language} {image} {question}"',
        "key_column: id",
    ),
    columns_by_names_of_languages: (
        "language_names: {en: english, de: german}",
        'title: {kind: text, column: "title.{language}"}',
        'target: "{title}"',
    ),
    a_translation_memory: (
        "reader: tmx",
        "language_column: language",
        "pt-BR",
        'source: "{task} {language} {source}"',
        'target: "{target}"',
    ),
    photos_of_many_formats: (
        'path: "My photos"',
        "image: {kind: image, column: image}",
        'ask: {default: "What is this?"}',
    ),
    class_folders: ('path: "animals/{split}"', "splits: {train: train, validation: val}"),
    folder_with_metadata: ("reader: imagefolder", 'target: "{text}"'),
    texts_beside_images: (
        "reader: image_texts",
        'path: "notes/{split}"',
        "splits: {train: train, validation: val}",
        "languages: [de, en]",
        "language_column: language",
        "key_column: key",
        'source: "{task} {language} {image} {ask}"',
        'target: "{caption}"',
    ),
    one_text_beside_each_image: ("reader: image_texts", 'path: "notes"', "languages: [ru]"),
    shards: (
        'path: "shards/train-*.tar"',
        "key_column: __key__",
        "column: jpg}",
        'target: "{txt}"',
        "# not used: column 'json.source' says 'web' in every row",
    ),
    packed_shards: ('path: "shards/train-*.tar.gz"', "key_column: __key__", "column: jpg}"),
    one_shard: ('path: "train-*.tar"', "task: shards"),
    coco: (
        "reader: coco_captions",
        'path: "coco/annotations/captions_{split}2017.json"',
        'images: "coco/{split}2017"',
        "key_column: key",
    ),
    one_coco_file: ('path: "annotations/captions_{split}2017.json"', 'images: "{split}2017"'),
    coco_boxes: ("reader: coco_instances", "layout: xywh", "labels: labels", "labelled_boxes"),
    labelled_boxes: (
        "many: true, layout: xyxy, units: pixels, labels: namen}",
        "allow: labelled_boxes",
        "metric: coco_map",
        "# not used: column '{x}'",
    ),
    questions_in_named_languages: (
        "reader: jsonl",
        "languages: [en, de]",
        "language_names: {en: English, de: German}",
        "key_column: question_id",
        "metric: vqa_accuracy",
    ),
    dirty_rows: ("on_bad_row: skip  # guessed: 2 of the rows that were tried break the spec",),
    chats: (
        "reader: conversations",
        'path: "chats.jsonl"',
        'source: "{task} {question}"',
        'target: "{answer}"',
    ),
    talks: (
        "reader: conversations",
        'path: "talk/train.json"',
        'images: "talk/pics"',
        "key_column: key",
        "image: {kind: image, column: image, missing: allow}",
        'source: "{task} {image} {history} {question}"',
        'target: "{answer}"',
        'history: {each: "{questions} {answers}", last: 10}',
        "questions: {kind: text, column: questions, many: true, missing: allow}",
        "answers: {kind: text, column: answers, many: true, missing: allow}",
    ),
    paths_of_another_machine: ('images: "pics"', 'image_prefix: "/home/ann/set/pics"'),
    absolute_paths: ('path: "rows.jsonl"', "image: {kind: image, column: image}"),
    points: ("kind: point, column: point, units: pixels", "metric: point_accuracy"),
    counts: ("kind: number, column: count, decimals: 2", "allow: number"),
    arrow: (
        "reader: arrow",
        'source: "{task} {premise} {hypothesis}"',
        'target: "{label}"',
        "choices: {field: label}",
    ),
    odd_names: ('path: "{{a}} [b]*?.jsonl"', 'column: "текст"', 'column: "no"'),
}


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_drafted_passes_check_and_can_be_shown(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    spec = tmp_path / "spec.yaml"
    made = invoke("new", "--from", make(data), "--output", spec)
    assert made.exit_code == 0, made.output
    text = spec.read_text(encoding="utf-8")
    for part in KINDS[make]:
        assert part in text, text
    (root,) = re.findall(r"next: unified-vl check \S+ --data (\S+)", made.stderr)
    checked = invoke("check", spec, "--data", root, "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["checked"]["row"] > 3
    split = next(iter(load_task(spec).data.splits))
    shown = invoke("show", spec, "--data", root, "-n", 2, "--split", split)
    assert (shown.exit_code, "target" in shown.stdout) == (0, True), shown.output


def drafted(root: Path, rows: Iterable[dict[str, Any]]) -> TaskSpec:
    for number in range(4):
        picture(root / f"{number}.png", number)
    lines(root / "rows.jsonl", rows)
    found = draft(root / "rows.jsonl")
    (root / "rows.yaml").write_text(found.text, encoding="utf-8")
    return load_task(root / "rows.yaml")


def test_paths_of_videos_are_videos_in_their_folder(tmp_path: Path) -> None:
    rows = [{"file": f"clip{n}.mp4", "caption": f"it is light {n} times"} for n in range(6)]
    for row in rows:
        filming.film(tmp_path / "films" / row["file"], 3)
    spec = drafted(tmp_path, rows)
    assert spec.data.images == "films"
    assert (spec.fields["video"].kind, spec.fields["video"].frames) == ("video", 8)
    assert spec.fields_of(spec.source) == ("video",)
    assert spec.split_by == "file"


@pytest.mark.parametrize(
    ("boxes", "column", "layout", "units"),
    [
        ([[20, 10, 5, 5]], "box", "xywh", "pixels"),  # the second corner before the first
        ([[5, 5, 38, 28]], "box", "xyxy", "pixels"),  # sizes would leave the image
        ([[5, 5, 20, 20], [30, 20, 35, 25]], "box", "xyxy", "pixels"),
        ([[5, 5, 10, 10]], "bbox_xywh", "xywh", "pixels"),  # both fit: the name decides
        ([[5, 5, 10, 10]], "box", "xyxy", "pixels"),
        ([[0.5, 0.5, 0.25, 0.25]], "box", "xywh", "relative"),
        ([[0.1, 0.1, 0.25, 0.25]], "corners", "xyxy", "relative"),
    ],
)
def test_boxes_are_read_as_they_fit_their_images(
    tmp_path: Path, boxes: list[list[float]], column: str, layout: str, units: str
) -> None:
    rows = [
        {"image": f"{n % 4}.png", "phrase": f"thing {n}", column: boxes[n % len(boxes)]}
        for n in range(6)
    ]
    field = drafted(tmp_path, rows).fields[column]
    assert (field.kind, field.layout, field.units) == ("box", layout, units)


@pytest.mark.parametrize(
    ("table", "own"),
    [
        ("b/train.jsonl", "b/images"),
        ("b/train.jsonl", "b/deep/er/images"),
        ("b/tables/train.jsonl", "b/images/all"),
        ("b/x/y/train.jsonl", "b/x/images"),
    ],
)
def test_images_are_those_nearest_to_their_table(tmp_path: Path, table: str, own: str) -> None:
    """A data set beside it has images of the same names, and more of them."""
    for number in range(4):
        picture(tmp_path / "a" / f"{number}.png", number)
        if number:
            picture(tmp_path / own / f"{number}.png", number)
    rows = [{"image": f"{n}.png", "caption": f"a picture {n}"} for n in range(4)]
    lines(tmp_path / table, rows)
    found = draft(tmp_path / table, root=tmp_path)
    assert f'images: "{own}"' in found.text
    outside = not own.startswith(table.rpartition("/")[0])
    assert (f"images are taken from '{own}', which is not in" in found.text) == outside


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ('id,text\n1,a\n2,"never ends\n3,b\n', 3, "a quote opens here and never ends"),
        ('id,text\n1,"a"b\n', 2, "is not CSV"),
        ('id,"te\nxt\n', 1, "a quote opens here and never ends"),
    ],
)
def test_broken_csv_is_said_as_check_says_it(
    tmp_path: Path, content: str, line: int, says: str
) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=says) as found:
        draft(tmp_path / "a.csv")
    assert (found.value.file, found.value.line) == (str(tmp_path / "a.csv"), line)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("names", ["image{0}caption", '"image"{0}"caption"'])
def test_csv_may_have_other_separators(tmp_path: Path, separator: str, names: str) -> None:
    rows = [names.format(separator)]
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
        rows.append(f'{number}.png{separator}"thing{separator} number {number}"')
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    made = invoke("new", "--from", tmp_path / "rows.csv", "--output", tmp_path / "spec.yaml")
    assert made.exit_code == 0, made.output
    spec = load_task(tmp_path / "spec.yaml")
    assert spec.data.delimiter == (None if separator == "," else separator)
    assert {name: field.kind for name, field in spec.fields.items()} == {
        "image": "image",
        "caption": "text",
    }
    rows_of = (row for split in spec.data.splits for row in TaskData(spec, split, tmp_path))
    said = {row.columns["caption"] for row in rows_of}
    assert said == {f"thing{separator} number {number}" for number in range(4)}


def test_a_language_may_be_spelt_in_two_ways(tmp_path: Path) -> None:
    said = ["sr@latin", "sr-Latn", "zho_Hans", "zh"]
    rows = [{"text": f"a {n}", "answer": f"b {n}", "lang": said[n % 4]} for n in range(12)]
    spec = drafted(tmp_path, rows)
    assert spec.data.languages == ("sr@latin", "zho_Hans")
    assert spec.data.on_bad_row == "stop"


@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (("zh_CN", "pt_BR", "en"), ("en", "pt_BR", "zh_CN")),
        (("zho_Hans", "arb_Arab"), ("arb_Arab", "zho_Hans")),
        (("sr@latin", "sr"), ("sr", "sr@latin")),
    ],
)
def test_files_may_be_named_in_any_spelling(
    tmp_path: Path, names: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    for name in names:
        lines(
            tmp_path / f"text.{name}.jsonl", [{"text": f"a {n}", "b": f"b {n}"} for n in range(4)]
        )
    made = draft(tmp_path / f"text.{names[0]}.jsonl")
    (tmp_path / "task.yaml").write_text(made.text)
    spec = load_task(tmp_path / "task.yaml")
    assert spec.data.languages == languages
    assert spec.data.path is not None and spec.data.path.endswith("text.{language}.jsonl")


def test_languages_of_rows_that_were_not_looked_at_are_found(tmp_path: Path) -> None:
    rows = [{"text": f"a {n}", "answer": f"b {n}", "lang": "en"} for n in range(300)]
    rows += [{"text": "c", "answer": "d", "lang": "sw"}]
    assert drafted(tmp_path, rows).data.languages == ("en", "sw")


def test_the_only_column_that_differs_is_the_key(tmp_path: Path) -> None:
    rows = [{"id": n // 2, "uid": n, "q": f"q {n}", "answer": f"a {n}"} for n in range(8)]
    assert drafted(tmp_path, rows).data.key_column == "uid"


def test_a_key_that_repeats_further_down_is_none(tmp_path: Path) -> None:
    rows = [{"id": min(n, 250), "q": f"q {n}", "answer": f"a {n}"} for n in range(300)]
    assert drafted(tmp_path, rows).data.key_column is None


@pytest.mark.parametrize(
    ("name", "values", "role", "kind", "many"),
    [
        ("x", ["a.png", "b.JPG"], "field", "image", False),
        ("x", [["a.png"], ["b.png", "c.png"]], "field", "image", True),
        ("x", [b"\x89PNG...", b"\xff\xd8\xff..."], "field", "image", False),
        ("x", [b"hello"], "none", "", False),
        ("x", ["https://a.b/c.png"], "none", "", False),
        ("x", ['["a", "b"]', "[]"], "field", "text", True),
        ("x", ["[a]", "b"], "field", "text", False),
        ("x", [1, 2.5], "field", "number", False),
        ("x", ["1", "2"], "field", "text", False),
        ("x", [float("nan"), 1.0], "none", "", False),
        ("x", [1, "a"], "field", "text", False),
        ("x", [[1, 2, 3]], "none", "", False),
        ("x", [[[1, 2, 3, 4]], [[1, 2, 3, 4], [5, 6, 7, 8]]], "field", "box", True),
        ("polygon", [[1, 1, 2, 2, 1, 2]], "field", "polygon", False),
        ("x", [{"a": 1}], "none", "", False),
        ("x", [None, ""], "none", "", False),
        ("x", ["a.png", "b.HEIC", "c.heif"], "field", "image", False),
        ("x", [[]], "none", "", False),
        ("x", ["same", "same", "same"], "none", "", False),
        ("lang", ["en", "de"], "language", "", False),
        ("lang", ["en", "?!"], "field", "text", False),
        ("lang", ["sr@latin", "ca@valencia", "zh_CN"], "language", "", False),
        ("answer", ["no", "en"], "field", "text", False),
        ("split", ["train", "dev"], "split", "", False),
        ("split", ["train", "banana"], "field", "text", False),
        ("image_id", [3, 4], "key", "", False),
        ("image_id", [3, 3], "none", "", False),
    ],
)
def test_a_column_is_what_it_holds(
    name: str, values: list[Any], role: str, kind: str, many: bool
) -> None:
    (guess,) = guess_columns({name: values})
    found = (guess.kind.name, guess.many) if isinstance(guess, FieldGuess) else ("", False)
    assert (guess.role, *found) == (role, kind, many), guess
    assert guess.role != "none" or guess.why


def test_languages_are_told_by_letters_names_and_columns() -> None:
    assert language_of(["caption"], ["これは犬", "猫", "犬です", "ねこ"])[0] == ["ja"]
    assert language_of(["caption"], ["Это собака", "кошка"])[0] == ["ru"]
    assert language_of(["sw"], ["mbwa"])[0] == ["sw"]
    assert language_of(["caption"], ["12", "?"]) == (["en"], "there are no letters to tell")
    assert tags_of(["de", "Swahili", "?"]) == {"de": "de", "sw": "Swahili"}
    spelt = ["zho_Hans", "sr@latin", "ca@valencia", "EN", "Lao", "zh"]
    assert tags_of(spelt) == {**{tag: tag for tag in spelt[:4]}, "lo": "Lao"}


def test_a_spec_is_printed_and_none_is_overwritten(tmp_path: Path) -> None:
    data = counts(tmp_path)
    assert invoke("new", "--from", data).stdout.startswith("# Drafted by `unified-vl new`")
    (tmp_path / "spec.yaml").write_text("mine")
    made = invoke("new", "--from", data, "--output", tmp_path / "spec.yaml")
    assert isinstance(made.exception, UserError)
    assert (tmp_path / "spec.yaml").read_text() == "mine"


@pytest.mark.parametrize("make", [talks, counts, captions_in_two_languages])
def test_the_working_directory_is_the_data_root_of_what_is_in_it(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path)
    monkeypatch.chdir(made if made.is_dir() else made.parent)
    found = draft(Path())
    assert found.root == Path.cwd()
    Path("spec.yaml").write_text(found.text, encoding="utf-8")
    checked = invoke("check", "spec.yaml", "--data", ".")
    assert checked.exit_code == 0, checked.output


def test_a_data_root_and_a_name_can_be_given(tmp_path: Path) -> None:
    found = draft(one_caption_file(tmp_path), root=tmp_path, task="mine")
    assert 'path: "caps/{split}_{language}.jsonl"' in found.text
    assert (found.root, "task: mine" in found.text) == (tmp_path, True)
