"""Files may spell a language in any way: rows have it as the spec spells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.codecs.segments import Tag, Text
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

SPEC = """\
task: say
version: 1
about: Say it.
data:
  reader: jsonl
  path: "train.jsonl"
  splits: {{train: train}}
  languages: [{spec}, en]
  language_column: lang
  {more}
fields:
  origin: {{kind: language, column: from}}
  text: {{kind: text, column: "text_{{language}}"}}
  answer: {{kind: text, column: answer}}
example: {{source: "{{origin}} {{language}} {{ask}} {{text}}", target: "{{answer}}"}}
wording: {{ask: {{"{wording}": "own", default: "default"}}}}
score: [{{metric: exact_match, against: answer, primary: true}}]
"""
SPELLINGS = [  # of the spec, and of the file
    ("zh_CN", "zh-CN"),
    ("zh-CN", "zh_CN"),
    ("zho_Hans", "zh"),
    ("zh", "cmn_Hans"),
    ("pt_BR", "pt-br"),
    ("ar_EG", "ar-EG"),
    ("sr@latin", "sr-Latn"),
    ("sr-Latn", "sr@latin"),
    ("ca@valencia", "ca-valencia"),
    ("he", "iw"),
    ("de", "deu_Latn"),
]


def spec_of(folder: Path, spec: str, wording: str | None = None, more: str = "") -> TaskSpec:
    path = folder / "say.yaml"
    text = SPEC.format(spec=spec, wording=wording or spec, more=more)
    path.write_text(text, encoding="utf-8")
    return load_task(path)


def write(folder: Path, said: str, own: str) -> None:
    row = {"lang": said, "from": said, "answer": "yes", f"text_{own}": "cat", "text_en": "cat"}
    text = "\n".join(json.dumps(one) for one in (row, {**row, "lang": "en"}))
    (folder / "train.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("own", "said"), SPELLINGS)
def test_a_row_has_the_language_as_its_spec_spells_it(tmp_path: Path, own: str, said: str) -> None:
    write(tmp_path, said, own)
    spec = spec_of(tmp_path, own, wording=said)
    data = TaskData(spec, "train", tmp_path)
    assert [row.language for row in data] == [own, "en"]
    assert {tag: list(rows) for tag, rows in data.by_language().items()} == {own: [0], "en": [1]}
    example = ExampleBuilder(spec, ImageLoader(None, (4, 4))).build(data[0], seed=None)
    assert example.language == own
    tag = Tag(f"language:{own}")
    assert example.source == (tag, tag, Text("own cat"))


@pytest.mark.parametrize(("own", "said"), SPELLINGS)
def test_a_vocabulary_knows_a_language_in_every_spelling(own: str, said: str) -> None:
    vocabulary = Vocabulary(300, standard_tags([own, "en", said], ["say"]))
    assert vocabulary.tags == (
        "image",
        *sorted((f"language:{min(own, said)}", "language:en")),
        ("task:say"),
    )
    saved = Vocabulary.from_json(vocabulary.to_json())
    assert saved.tag_id(f"language:{own}") == saved.tag_id(f"language:{said}")
    with pytest.raises(UserError, match="no tag 'language:fi'"):
        saved.tag_id("language:fi")


def test_names_of_languages_count_in_fields_too(tmp_path: Path) -> None:
    write(tmp_path, "Mandarin", "zh_CN")
    spec = spec_of(tmp_path, "zh_CN", more="language_names: {zh-CN: Mandarin}")
    row = TaskData(spec, "train", tmp_path)[0]
    example = ExampleBuilder(spec, ImageLoader(None, (4, 4))).build(row, seed=None)
    assert example.source[:2] == (Tag("language:zh_CN"),) * 2


def test_a_language_that_is_not_listed_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "zh-TW", "zh_CN")
    spec = spec_of(tmp_path, "zh_CN")
    row = TaskData(spec, "train", tmp_path)[0]
    with pytest.raises(BadRow, match=r"'zh-TW'.*a name in data\.language_names.*mean 'zh_CN'"):
        ExampleBuilder(spec, ImageLoader(None, (4, 4))).build(row, seed=None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spec": "zh_CN, zh-CN"}, "data.languages: 'zh-CN' is the same language as 'zh_CN'"),
        ({"spec": "cmn, zh"}, "data.languages: 'zh' is the same language as 'cmn'"),
        (
            {"spec": "zh_CN", "wording": "zh-TW"},
            "'zh-TW' is not among data.languages; expected .* did you mean 'zh_CN'",
        ),
        ({"spec": "zh_CN", "more": "language_names: {zh-TW: t}"}, "did you mean 'zh_CN'"),
        ({"spec": "Chinese"}, "expected a language tag such as"),
    ],
)
def test_what_a_spec_may_not_say_of_languages(
    tmp_path: Path, change: dict[str, str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        spec_of(tmp_path, **change)
