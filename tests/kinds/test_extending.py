"""docs/extending.md: kinds of value that its very code adds from outside work everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from pydantic import create_model
from typer.testing import CliRunner

from tests.tiny import tiny_model
from unified_vl.app.answer import answer
from unified_vl.app.inputs import inputs_of, read_values
from unified_vl.authoring.drafting.columns import fields_among, guess_columns
from unified_vl.authoring.page import as_html
from unified_vl.authoring.show import as_text, show_rows
from unified_vl.cli.main import app
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.decoding.grammars.values import grammar_of
from unified_vl.errors import UserError
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import write_results
from unified_vl.inference.files import predict_file
from unified_vl.inference.inputs import split_inputs
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import SavedModel, load_model, save_model
from unified_vl.kinds import registry
from unified_vl.kinds.kind import Kind
from unified_vl.metrics.registry import _known
from unified_vl.parts import Part
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.schema import json_schemas
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.generate import GenerateSpec

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Add a kind of value")[2].partition("\n## ")[0]
CODE = "\n".join(re.findall(r"^```python\n(.*?)^```$", SECTION, flags=re.M | re.S))
(FOLLOW,) = re.findall(r"^```yaml\n(.*?)^```$", SECTION, flags=re.M | re.S)
TELL = """\
task: tell
version: 1
about: Say when a picture was taken.
data: {reader: jsonl, path: "{split}.jsonl", splits: {train: train, test: test}, languages: [en]}
fields:
  image: {kind: image, column: file}
  gaze: {kind: arrow, column: gaze, units: pixels}
  taken: {kind: date, column: taken, order: dmy}
example: {source: "{image} {gaze}", target: "{taken}"}
generate: {allow: date, max_tokens: 16}
score: [{metric: exact_match, against: taken, primary: true}]
"""
DATE = re.compile(r"\d{4}-\d\d-\d\d")


@pytest.fixture(scope="module", autouse=True)
def _registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the page's reader runs, as a file of theirs; nothing of it is left behind."""
    path = tmp_path_factory.mktemp("theirs") / "my_kinds.py"
    path.write_text(CODE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        import_module("my_kinds")
    yield
    del sys.modules["my_kinds"]
    for name in ("date", "arrow"):
        registry.unregister(name)
    del _known()["points_at"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gazes")
    for number in range(3):
        Image.new("RGB", (40, 20), (80 * number, 90, 10)).save(root / f"{number}.png")
    for split, days in (("train", (1, 2, 3)), ("test", (7, 8))):
        rows = [
            {"file": f"{n}.png", "taken": f"{day}.12.2025", "gaze": [4, 2, 30 + n, 10]}
            for n, day in enumerate(days)
        ]
        (root / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "follow.yaml").write_text(FOLLOW)
    (root / "tell.yaml").write_text(TELL)
    return root


@pytest.fixture(scope="module")
def specs(root: Path) -> dict[str, TaskSpec]:
    return {name: load_task(root / f"{name}.yaml") for name in ("follow", "tell")}


@pytest.fixture(scope="module")
def saved(root: Path, specs: dict[str, TaskSpec]) -> SavedModel:
    more = [f"{n % 10} - {1990 + n} 0{n % 10} {n}-{n}" for n in range(40)]
    return tiny_model(list(specs.values()), ["en"], root, more)


@pytest.mark.parametrize(
    ("found", "given", "says"),
    [
        ("order: dmy", "ordr: dmy", "fields.taken.ordr: is not a known key; did you mean 'order'"),
        ("order: dmy", "order: ydm", "fields.taken.order: found 'ydm'; expected 'ymd' or 'dmy'"),
        ("column: file}", "column: file, order: dmy}", "no effect with a field of kind 'image'"),
        ("kind: date", "kind: dat", "did you mean 'date'"),
        ("allow: arrow", "allow: date", "'date' does not fit the target '{gaze}'"),
        ("units: pixels", "clip: true", "fields.gaze.units: is missing for a arrow"),
        ("points_at", "mean_iou", "kind 'box' for mean_iou"),
    ],
)
def test_a_spec_says_what_is_wrong_with_it(
    tmp_path: Path, found: str, given: str, says: str
) -> None:
    (tmp_path / "follow.yaml").write_text(FOLLOW.replace(found, given))
    with pytest.raises(UserError) as caught:
        load_task(tmp_path / "follow.yaml")
    assert says in str(caught.value)


def test_schemas_know_them(specs: dict[str, TaskSpec]) -> None:
    field = json_schemas()["task"]["$defs"]["FieldSpec"]["properties"]
    assert {"date", "arrow"} <= set(field["kind"]["enum"])
    assert {"enum": ["ymd", "dmy"], "type": "string"} in field["order"]["anyOf"]
    assert specs["follow"].fields["taken"].order == "dmy"  # type: ignore[attr-defined]
    made = TaskSpec.model_validate(specs["follow"].model_dump(by_alias=True, exclude_none=True))
    assert made.fields == specs["follow"].fields


def test_check_and_show_see_their_values(root: Path, specs: dict[str, TaskSpec]) -> None:
    checked = CliRunner().invoke(app, ["check", str(root / "follow.yaml"), "--data", str(root)])
    assert checked.exit_code == 0, checked.output
    assert "6 arrow" in checked.output or "5 arrow" in checked.output, checked.output
    shown = show_rows(specs["follow"], root, split="train", count=3, image_size=(16, 16))
    text = as_text(shown[0], None)
    assert "2025-12-01" in text and "[arrow 4.0 2.0 30.0 10.0]" in text
    assert '<polygon points="0.1 0.1 0.75 0.5"/>' in as_html(specs["follow"], shown, None)


def test_a_bad_value_is_told(tmp_path: Path, root: Path) -> None:
    (tmp_path / "tell.yaml").write_text(TELL)
    Image.new("RGB", (40, 20)).save(tmp_path / "0.png")
    row = {"file": "0.png", "taken": "2025-13-40", "gaze": [4, 2, 30, 10]}
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    result = CliRunner().invoke(
        app, ["check", str(tmp_path / "tell.yaml"), "--data", str(tmp_path)]
    )
    assert result.exit_code == 2 or result.exit_code == 1
    assert "found '2025-13-40'; expected a date" in result.output.replace("\n", " ")


@pytest.mark.parametrize("task", ["follow", "tell"])
def test_values_become_ids_and_come_back(
    root: Path, specs: dict[str, TaskSpec], saved: SavedModel, task: str
) -> None:
    spec, codec = specs[task], saved.codec
    builder = ExampleBuilder(spec, ImageLoader(root, (16, 16)), codec=codec)
    example = builder.build(TaskData(spec, "train", root)[0], seed=0)
    ids = codec.encode_target(example.target).ids
    (back,) = codec.decode(ids, spec.answer_form.shape)
    if task == "tell":
        assert back.text == "2025-12-01"
        return
    (sent,) = example.target
    pairs = zip(back.coordinates, sent.coordinates, strict=True)
    assert type(back) is type(sent) and all(abs(a - b) <= 0.011 for a, b in pairs)


def test_a_tokenizer_that_cannot_spell_them_is_told(
    specs: dict[str, TaskSpec], tmp_path: Path
) -> None:
    codec = tiny_model(list(specs.values()), ["en"], tmp_path).codec
    how, form = GenerateSpec(allow="date"), specs["tell"].answer_form
    with pytest.raises(UserError, match="no pieces that spell"):
        grammar_of(how, form, codec, torch.device("cpu"))


def test_every_answer_is_one_and_files_hold_it(
    root: Path, saved: SavedModel, tmp_path: Path
) -> None:
    save_model(tmp_path / "model", saved.model, saved.codec, list(saved.specs.values()))
    predictor = UnifiedVL(load_model(tmp_path / "model"))
    picture = root / "1.png"
    several = predictor.predict("tell", image=picture, gaze=[4, 2, 30, 10], n=3)
    for one in several.alternatives or ():
        assert DATE.fullmatch(one.text) and one.as_row()["dates"] == [one.text]
    followed = predictor.predict("follow", image=[picture] * 2, taken=["1.2.2025", "3.4.2026"])
    for found in followed:
        ((x1, y1, x2, y2),) = found.as_row()["arrows"]
        assert 0 <= x1 <= 40 and 0 <= x2 <= 40 and 0 <= y1 <= 20 and 0 <= y2 <= 20
        assert found.as_row()["boxes"] is None
    rows = [{"image": str(picture.name), "taken": "1.2.2025"}]
    (root / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for ending in ("parquet", "csv", "jsonl"):
        predict_file(predictor, "follow", root / "asked.jsonl", tmp_path / f"out.{ending}")
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(row["arrows"][0]) == 4
    drawn = tmp_path / "drawn.png"
    command = ["predict", str(tmp_path / "model"), "--task", "follow", "--image", str(picture)]
    result = CliRunner().invoke(app, [*command, "--taken", "1.2.2025", "--draw", str(drawn)])
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"(\d+\.\d ){3}\d+\.\d", result.stdout.strip())
    assert Image.open(drawn).convert("RGB").getcolors() != [(800, (80, 90, 10))]


def test_metrics_and_the_report_take_them(
    root: Path, specs: dict[str, TaskSpec], saved: SavedModel, tmp_path: Path
) -> None:
    predictor = UnifiedVL(saved)
    found = evaluate(predictor, list(specs.values()), "test", root, model_name="m")
    assert set(found.report["tasks"]["follow"]["metrics"]) == {"points_at"}
    assert 0 <= found.report["tasks"]["follow"]["metrics"]["points_at"] <= 100
    assert set(found.report["tasks"]["tell"]["metrics"]) == {"exact_match"}
    write_results(found, tmp_path / "report.json", tmp_path / "predictions.jsonl")
    page = write_report(tmp_path, root).read_text(encoding="utf-8")
    assert re.search(r'<polygon class="true" [^>]*points="4.0 2.0 30.0 10.0"', page)


def test_the_page_asks_for_them(root: Path, saved: SavedModel) -> None:
    predictor = UnifiedVL(saved)
    given: dict[Any, Any] = {}
    for one in inputs_of(predictor.specs["tell"]):
        given[one] = str(root / "0.png") if one.is_image else "[4, 2, 30, 10]"
    values = read_values(predictor.specs["tell"], given)
    assert values["gaze"] == [4.0, 2.0, 30.0, 10.0]
    assert DATE.search(answer(predictor, "tell", "en", given, 1).html)
    given = {}
    for one in inputs_of(predictor.specs["follow"]):
        given[one] = str(root / "0.png") if one.is_image else "1.2.2025"
    found = answer(predictor, "follow", "en", given, 1)
    assert found.picture is not None and "arrow: " in found.html
    gaze, *_ = (one for one in inputs_of(predictor.specs["tell"]) if one.name == "gaze")
    with pytest.raises(UserError, match="expected the numbers of a arrow"):
        read_values(
            predictor.specs["tell"],
            given
            | {
                gaze: "here",
                **{
                    one: str(root / "0.png")
                    for one in inputs_of(predictor.specs["tell"])
                    if one.is_image
                },
            },
        )


def test_drafts_know_them(root: Path, tmp_path: Path) -> None:
    drafted = tmp_path / "drafted.yaml"
    command = ["new", "--from", str(root / "train.jsonl"), "--output", str(drafted)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    spec = load_task(drafted)
    assert spec.fields["gaze"].kind == spec.generate.allow == "arrow"
    assert spec.primary.metric == "points_at"
    days = guess_columns({"day": ["2026-03-29", "2026-03-30"], "words": ["29.3.2026", "then"]})
    assert [(g.kind.name, dict(g.keys)) for g in fields_among(days)] == [
        ("date", {"order": ("ymd",)}),
        ("text", {}),
    ]


def test_the_command_line_knows_those_of_installed_packages(root: Path, tmp_path: Path) -> None:
    """As pip leaves a package that says what this page says."""
    facts = tmp_path / "my_kinds-1.0.dist-info"
    facts.mkdir()
    (tmp_path / "my_kinds.py").write_text(CODE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my_kinds\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[unified_vl.plugins]\nmine = my_kinds\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command = [sys.executable, "-m", "unified_vl.cli.main", "new", "--from", "train.jsonl"]
    environment = {**os.environ, "PYTHONPATH": paths}
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "gaze: {kind: arrow, " in found.stdout


def test_one_arrow_is_itself_a_list(specs: dict[str, TaskSpec]) -> None:
    one, several = split_inputs(specs["tell"], {"gaze": [1, 2, 3, 4]}, "en")
    assert len(one) == 1 and not several
    assert split_inputs(specs["tell"], {"gaze": [[1, 2, 3, 4]] * 2}, "en")[1]


def test_names_and_keys_are_taken_once() -> None:
    with pytest.raises(ValueError, match="there is a kind 'date' already"):
        registry.register(registry.KINDS["date"])
    other = type("Other", (Kind,), {"name": "other", "keys": registry.KINDS["date"].keys})
    with pytest.raises(ValueError, match=r"'order' of \w+ \(\w+\.py\) is one of fields already"):
        registry.register(other())
    keys = create_model("Keys", __base__=Part, sound=(str, "high"))
    loud = type("Loud", (Kind,), {"name": "loud", "keys": keys})
    with pytest.raises(ValueError, match=r"'sound' of \w+ \(\w+\.py\) is not None unless given"):
        registry.register(loud())
    with pytest.raises(TypeError, match=r"is no unified_vl\.Kind"):
        registry.register(Kind)  # type: ignore[arg-type]
