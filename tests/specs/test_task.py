"""A task spec is refused with the place, the expectation and the nearest name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec

SPEC = """\
task: caption
version: 1
about: Describe an image in one sentence.
data:
  reader: jsonl
  path: "caption/{split}.jsonl"
  splits: {train: train, test: eval}
  languages: [en, de, no]
  language_column: lang
fields:
  image: {kind: image, column: file}
  captions: {kind: text, column: captions, many: true}
  region: {kind: box, column: bbox, layout: xywh, units: pixels}
example:
  source: "{language} {image} {ask}"
  target: "{captions}"
  pick: {captions: random}
wording:
  ask:
    de: Beschreibe das Bild.
    default: "Describe the image in {language_name}."
generate: {method: beam, beams: 4, max_tokens: 48}
score:
  - {metric: chrf, against: captions, primary: true}
  - {metric: mean_iou, against: region}
report_by: [language]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_spec_is_loaded_with_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path, SPEC)
    spec = load_task(path)
    assert spec.task == "caption"
    assert spec.data.languages == ("en", "de", "no")  # YAML 1.2: no is a language
    assert spec.primary.metric == "chrf"
    assert spec.image_field == "image"
    assert spec.generate.beams == 4
    assert (spec.file, spec.text) == (path, SPEC)
    assert spec.line("fields", "image", "column") == 11
    assert spec.wording_in("ask", "de") == ("Beschreibe das Bild.",)
    assert spec.wording_in("ask", "no") == ("Describe the image in {language_name}.",)


@pytest.mark.parametrize(
    ("column", "found"),
    [("text", "text"), ("text_{language}", "text_pt-BR"), ("{{x}} {language}", "{x} pt-BR")],
)
def test_the_column_of_a_field_in_a_language(column: str, found: str) -> None:
    assert FieldSpec(kind="text", column=column).column_in("pt-BR") == found


def test_a_spec_is_frozen_hashable_and_survives_pickling(tmp_path: Path) -> None:
    spec = load_task(write(tmp_path, SPEC))
    copy = pickle.loads(pickle.dumps(spec))
    assert {spec: 1}[copy] == 1
    assert copy.file == spec.file
    with pytest.raises(ValueError, match="frozen"):
        spec.task = "other"


def test_the_text_of_a_spec_made_in_python_loads_as_the_same_spec(tmp_path: Path) -> None:
    spec = load_task(write(tmp_path, SPEC))
    made = TaskSpec.model_validate(spec.model_dump())
    again = load_task(write(tmp_path, made.text))
    assert again.model_dump() == spec.model_dump()


BAD = [
    # misspelt, missing and unknown keys
    ("languages: [", "langauges: [", "8: data.langauges: is not a known key; did you mean 'langu"),
    ("about: Describe an image in one sentence.\n", "", "1: about: is missing; expected text"),
    ("version: 1", "version: 1\nlr: 1", "3: lr: is not a known key; expected 'include', 'task'"),
    ("kind: image,", "", "11: fields.image.kind: is missing; expected 'text', 'number', 'label'"),
    ("version: 1", "version: 1\nversion: 2", "3: version: the key is there twice"),
    # wrong types and values
    ("version: 1", "version: '1'", "2: version: found '1'; expected a whole number"),
    ("version: 1", "version: 1.5", "2: version: found 1.5; expected a whole number"),
    ("version: 1", "version: 0", "2: version: found 0; expected greater than or equal to 1"),
    ("version: 1", "version: true", "2: version: found true; expected a whole number"),
    ("many: true", "many: sometimes", "12: fields.captions.many: found 'sometimes'; expected true"),
    ("[en, de, no]", "en", "8: data.languages: found 'en'; expected a list"),
    ("[en, de, no]", "[]", "8: data.languages: found an empty list; expected at least one"),
    ("[en, de, no]", "[en, de, no, de]", "8: data.languages: 'de' is listed 2 times"),
    ("[en, de, no]", "[en, de, no, German]", "8: data.languages.3: found 'German'; expected a lan"),
    ("reader: jsonl", "reader: xml", "5: data.reader: found 'xml'; expected 'parquet', 'jsonl'"),
    ("reader: jsonl", "reader: jsnl", "found 'jsnl'; did you mean 'jsonl'?"),
    (
        "{train: train,",
        "{trian: train,",
        "7: data.splits.trian: is not a known key; did you mean 'tra",
    ),
    ("task: caption", "task: My Task", "1: task: found 'My Task'; expected a name of lower-case"),
    ("metric: chrf", "metric: chrF", "24: score.0.metric: found 'chrF'; expected 'exact_match', "),
    (
        "beams: 4",
        "beams: {a: 1}",
        "22: generate.beams: found a mapping of 1 key; expected a whole",
    ),
    # data
    (
        "caption/{split}",
        "caption/{spilt}",
        "6: data.path: unknown slot {spilt}; expected {split}, ",
    ),
    ("caption/{split}", "../{split}", "6: data.path: '../{split}.jsonl' leaves the data root"),
    ("train: train", "train: ../a", "7: data.splits.train: '../a' leaves the data root"),
    ("caption/{split}", "caption/all", "6: data.path: 'caption/all.jsonl' is the same file for ev"),
    ("  language_column: lang\n", "", "8: data.languages: nothing tells which of 3 languages a "),
    # fields
    (
        "layout: xywh, ",
        "",
        "13: fields.region.layout: is missing for a box; expected 'xyxy'",
    ),
    (", units: pixels", "", "13: fields.region.units: is missing for a box; expected 'pixels' or"),
    ("column: file", "column: file, units: pixels", "11: fields.image.units: has no effect with"),
    ("kind: image, column: file", "kind: language, column: file, many: true", "kind 'language' ho"),
    ("column: file", 'column: "{lang}"', "11: fields.image.column: unknown slot {lang}; expected"),
    ("region: {kind", "region2: {kind", "13: fields.region2: is never used; expected {region2} in"),
    ("  region: {kind", "  key: {kind", "13: fields.key: 'key' is a built-in name; expected anoth"),
    # templates and wordings
    (
        "{image} {ask}",
        "{imgae} {ask}",
        "15: example.source: unknown slot {imgae}; expected {image}",
    ),
    ("{image} {ask}", "{imgae} {ask}", "{task}; did you mean 'image'?"),
    (
        "{image} {ask}",
        "{image {ask}",
        "15: example.source: the brace '{' at character 12 has no par",
    ),
    (
        "{image} {ask}",
        "{image} {Ask}",
        "15: example.source: '{Ask}' at character 20 is no slot; exp",
    ),
    ("{image} {ask}", "{ask}", "11: fields.image: is never used; expected {image} in a template"),
    ("{image} {ask}", "{image}", "19: wording.ask: is never used; expected {ask} in a template"),
    (
        '"{captions}"',
        '"{image}"',
        "16: example.target: {image} cannot be written; expected text, shapes",
    ),
    ('"{captions}"', "a", "16: example.target: holds no field, so every row would write the same"),
    ("    default:", "    fr:", "21: wording.ask.fr: 'fr' is not among data.languages; expected a"),
    (
        "    default:",
        "    no:",
        "19: wording.ask: has no text for en; expected one for each languag",
    ),
    ("Beschreibe das Bild.", "''", "20: wording.ask.de: is empty; expected text"),
    (
        "das Bild",
        "{image}",
        "20: wording.ask.de: unknown slot {image}; expected {language_name}",
    ),
    (
        "  pick: {captions: random}\n",
        "",
        "14: example.pick: 'captions' holds many texts and nothing",
    ),
    ("{captions: random}", "{captoins: first}", "17: example.pick.captoins: is not a field; did"),
    ("{captions: random}", "{image: first}", "17: example.pick.image: holds one value only; expec"),
    ("  ask:", "  image:", "19: wording.image: 'image' is also a field; expected another name"),
    # scores and generation
    (", primary: true", "", "23: score: 0 of 2 are primary; expected primary: true on exactly one"),
    ("against: region", "against: region, primary: true", "23: score: 2 of 2 are primary; expect"),
    ("against: captions", "against: caption", "24: score.0.against: 'caption' is not a field; exp"),
    ("against: region", "against: captions", "25: score.1.against: 'captions' is a field of kind"),
    (
        "against: region",
        "against: region, iou: 0.5",
        "25: score.1.iou: has no effect with mean_iou",
    ),
    (
        "metric: chrf",
        "metric: meteor",
        "24: score.0.metric: found 'meteor'; expected another",
    ),
    ("metric: chrf", "metric: SPICE", "24: score.0.metric: found 'SPICE'; expected another"),
    ("beams: 4", "beams: 1", "22: generate.beams: a beam search of width 1; expected 2 or more"),
    (
        "method: beam",
        "method: greedy",
        "22: generate.beams: has no effect with greedy; expected me",
    ),
    ("max_tokens: 48", "allow: box", "22: generate.allow: 'box' does not fit the target '{capti"),
    ('"{captions}"', '"{region}"', "22: generate.allow: 'text' does not fit the target '{region}'"),
    ("report_by: [language]", "report_by: [a, a]", "26: report_by: 'a' is listed 2 times"),
    # YAML
    ("[en, de, no]", "[en, de", "is not YAML: "),
    (
        "task: caption",
        "task: !!python/object:os.system x",
        "1: is not YAML: could not determine a ",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD)
def test_a_bad_spec_is_refused_with_place_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = SPEC
    assert old in text
    path = write(tmp_path, text.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_task(path)
    messages = [str(e) for e in getattr(error.value, "all", ()) or (error.value,)]
    assert all(m.startswith(f"{path}") for m in messages)
    assert any(message in m for m in messages), "\n".join(messages)


def test_every_problem_of_a_file_is_known(tmp_path: Path) -> None:
    text = SPEC.replace("reader: jsonl", "reader: jsnl").replace("beams: 4", "beams: four")
    with pytest.raises(UserError) as error:
        load_task(write(tmp_path, text))
    assert [(e.line, e.field) for e in error.value.all] == [  # type: ignore[attr-defined]
        (5, "data.reader"),
        (22, "generate.beams"),
    ]


def test_pixels_need_an_image(tmp_path: Path) -> None:
    text = SPEC.replace("  image: {kind: image, column: file}\n", "").replace("{image} ", "")
    with pytest.raises(UserError, match=r"fields.region.units: pixels of what\?; expected a field"):
        load_task(write(tmp_path, text))


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            [("metric: chrf", "metric: vqa_accuracy"), (", many: true", "")],
            "score.0.against: 'captions' holds one answer, and vqa_accuracy counts people",
        ),
        (
            [("metric: mean_iou", "metric: coco_map")],
            "score.1.against: coco_map scores all boxes of a row, and the target has not all",
        ),
        (
            [
                ("metric: mean_iou", "metric: coco_map"),
                ("units: pixels", "units: pixels, many: true"),
            ],
            "score.1.against: coco_map scores all boxes of a row, and the target has not all",
        ),
    ],
)
def test_metrics_of_many_values_need_them(
    tmp_path: Path, edits: list[tuple[str, str]], message: str
) -> None:
    text = SPEC
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(UserError) as error:
        load_task(write(tmp_path, text))
    assert any(message in str(each) for each in error.value.all)  # type: ignore[attr-defined]


CHRF = "  - {metric: chrf, against: captions, primary: true}\n"


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("metric: binary_f1, against: captions", "1.positive: is missing for binary_f1"),
        ("metric: bleu, against: captions, positive: a", "1.positive: has no effect with bleu"),
        ("metric: bleu, against: captions, without: [de]", "1.without: has no effect without mean"),
        (
            "metric: bleu, against: captions, mean_over: language, without: [de, deu_Latn, fr]",
            "1.without.2: 'fr' is not among data.languages",
        ),
        (
            "metric: bleu, against: captions, mean_over: language, without: [deu, en]",
            "1.mean_over: has no effect with a single language",
        ),
        (
            "metric: coco_map, against: region, mean_over: language",
            "1.mean_over: has no effect with coco_map",
        ),
    ],
)
def test_scores_of_a_class_and_over_languages(tmp_path: Path, score: str, message: str) -> None:
    assert CHRF in SPEC
    text = SPEC.replace(CHRF, f"{CHRF}  - {{{score}}}\n")
    with pytest.raises(UserError) as error:
        load_task(write(tmp_path, text))
    messages = [str(each) for each in error.value.all]  # type: ignore[attr-defined]
    assert any(f"score.{message}" in each for each in messages), messages


PARTS = [
    # a part that is made in Python by itself, and what is wrong with it
    (lambda: FieldSpec(kind="txt", column="a"), "kind: found 'txt'.*did you mean 'text'"),
    (lambda: FieldSpec(kind="text", colum="a"), "colum: is not a known key; did you mean 'column'"),
    (lambda: FieldSpec(column="a"), "kind: is missing"),
    (lambda: OptimizerSpec(lr="fast"), "lr: found 'fast'; expected a"),
    (lambda: ModelSpec(d_modle=1), "d_modle: is not a known key; did you mean 'd_model'"),
]


@pytest.mark.parametrize(("make", "message"), PARTS)
def test_a_part_made_in_python_is_refused_as_in_a_file(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make()
