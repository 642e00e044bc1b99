"""What a spec allows is no fault to `check`, and what is left out is counted whole."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as PILImage

from unified_vl.authoring.checking.check import check_paths

SPEC = """\
task: look
version: 1
about: Say what is there.
data: {{reader: {reader}, path: rows.{reader}, splits: {{train: train}}, languages: [en]{data}}}
fields:
  image: {{kind: image, column: image{image}}}
  text: {{kind: text, column: text}}
example: {{source: "{{task}} {{image}} {{text}}", target: "{{text}}"}}
generate: {{method: greedy, max_tokens: 8}}
score: [{{metric: exact_match, against: text, primary: true}}]
"""


def csv(root: Path) -> None:
    (root / "rows.csv").write_text("image,text\na.png,a\n,b\n  ,c\n")


def jsonl(root: Path) -> None:
    rows = [{"image": "a.png", "text": "a"}, {"image": None, "text": "b"}, {"text": "c"}]
    rows += [{"image": "", "text": "d"}, {"image": {"bytes": None, "path": None}, "text": "e"}]
    (root / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def parquet(root: Path) -> None:
    content = (root / "a.png").read_bytes()
    images = [{"bytes": content, "path": "a.png"}, None, {"bytes": None, "path": None}]
    pq.write_table(pa.table({"image": images, "text": ["a", "b", "c"]}), root / "rows.parquet")


def truncated(root: Path) -> None:
    file = io.BytesIO()
    PILImage.effect_noise((64, 64), 40).save(file, "JPEG")
    (root / "cut.jpg").write_bytes(file.getvalue()[:-30])
    (root / "end.jpg").write_bytes(file.getvalue()[:-2])
    (root / "rows.csv").write_text("image,text\na.png,a\ncut.jpg,b\nend.jpg,c\n")


@pytest.mark.parametrize(
    ("make", "reader", "keys"),
    [
        (csv, "csv", {"image": ", missing: allow"}),
        (jsonl, "jsonl", {"image": ", missing: allow"}),
        (parquet, "parquet", {"image": ", missing: allow"}),
        (truncated, "csv", {"data": ", truncated_images: allow"}),
        (truncated, "csv", {"data": ", truncated_images: allow, on_bad_row: skip"}),
    ],
)
def test_what_is_allowed_is_no_fault(
    tmp_path: Path, make: Callable[[Path], None], reader: str, keys: dict[str, str]
) -> None:
    PILImage.effect_noise((32, 32), 40).save(tmp_path / "a.png")
    make(tmp_path)
    spec = SPEC.format(**{"reader": reader, "data": "", "image": ""} | keys)
    (tmp_path / "spec.yaml").write_text(spec)
    found = check_paths([tmp_path / "spec.yaml"], data=tmp_path).findings
    assert [each for each in map(str, found) if "gives the answer away" not in each] == []


def test_each_reason_to_leave_rows_out_has_its_count(tmp_path: Path) -> None:
    rows = ["text_en,text_de", "a,b", ",c", ",d", "e,"]
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    spec = SPEC.format(reader="csv", data=", unpivot: true", image="")
    spec = spec.replace("languages: [en]", "languages: [en, de]")
    spec = spec.replace("column: text", 'column: "text_{language}"')
    spec = spec.replace("  image: {kind: image, column: image}\n", "").replace("{image} ", "")
    (tmp_path / "spec.yaml").write_text(spec)
    found = check_paths([tmp_path / "spec.yaml"], data=tmp_path).findings
    said = [each.message for each in found if "leaves out" in each.message]
    assert said == [
        "train leaves out 2 of 8 rows: they lack 'text_en'",
        "train leaves out 1 of 8 rows: they lack 'text_de'",
    ]
