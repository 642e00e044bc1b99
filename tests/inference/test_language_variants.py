"""Languages said without their territory or script, where a task has one variant of them."""

from __future__ import annotations

import pytest

from unified_vl.cli.answering.predict import _say_variants
from unified_vl.errors import UserError
from unified_vl.inference.inputs import input_language
from unified_vl.specs.reading.parse import parse_text, validate
from unified_vl.specs.task import TaskSpec

SPEC = """
task: copy
version: 1
about: Say it again.
data:
  {{reader: tmx, path: a, splits: {{train: all}}, languages: [{0}], language_column: language}}
fields: {{text: {{kind: text, column: source}}, said: {{kind: text, column: target}}}}
example: {{source: "{{text}}", target: "{{said}}"}}
score: [{{metric: exact_match, against: said, primary: true}}]
"""


def spec_in(languages: str) -> TaskSpec:
    return validate(TaskSpec, parse_text(SPEC.format(languages)))


@pytest.mark.parametrize(
    ("languages", "said", "meant"),
    [
        ("en-US, de-DE", "en", "en-US"),
        ("en-US, de-DE", "eng", "en-US"),
        ("en-US, en-GB, en", "en", "en"),
        ("zh-Hant, en", "zh", "zh-Hant"),
        ("sr-Latn, en", "sr", "sr-Latn"),
        ("en-US, en-GB", "en", None),  # which of both
        ("en-US, de-DE", "en-GB", None),  # another variant
        ("zh-Hant, en", "zh-Hans", None),
        ("de, en", "fr", None),
    ],
)
def test_the_only_variant_of_a_language_is_meant(
    languages: str, said: str, meant: str | None
) -> None:
    spec = spec_in(languages)
    if meant is None:
        with pytest.raises(UserError, match=f"unknown language '{said}'"):
            input_language(spec, said)
    else:
        assert input_language(spec, said) == meant


def test_the_command_says_which_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    for said in ("all", "en_us", "de-DE, en-US"):
        _say_variants(spec_in("en-US, de-DE"), said)
    assert capsys.readouterr().err == ""
    _say_variants(spec_in("en-US, de-DE"), "en, de-DE")
    assert capsys.readouterr().err == "note: 'en' is 'en-US' in the task 'copy'\n"
