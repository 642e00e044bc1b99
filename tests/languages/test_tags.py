"""unified_vl/languages/tags.py: what each spelling of a tag is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.languages.tags import (
    canonical,
    distinct,
    find,
    language_name,
    nearest_tag,
    script_of,
)

TAGS = [  # a spelling, its canonical form, and the script that it is written in
    ("en", "en", "Latn"),
    ("EN", "en", "Latn"),
    ("pt_BR", "pt-BR", "Latn"),
    ("pt-br", "pt-BR", "Latn"),
    ("ar_EG", "ar-EG", "Arab"),
    ("en_UK", "en-GB", "Latn"),
    ("es-419", "es-419", "Latn"),
    # Chinese, and what is spoken in China
    ("zh_CN", "zh-CN", "Hans"),
    ("zh_TW", "zh-TW", "Hant"),
    ("zh-Hant-TW", "zh-TW", "Hant"),
    ("zh-hant", "zh-Hant", "Hant"),
    ("zho", "zh", "Hans"),
    ("chi", "zh", "Hans"),
    ("cmn", "zh", "Hans"),
    ("zho_Hans", "zh", "Hans"),
    ("zho_Hant", "zh-Hant", "Hant"),
    ("cmn_Hans", "zh", "Hans"),
    ("zh_Latn", "zh-Latn", "Latn"),
    ("yue", "yue", "Hant"),
    ("yue_Hant", "yue", "Hant"),
    ("zh-yue", "yue", "Hant"),
    ("zh-min-nan", "nan", "Hans"),
    # ISO 639-3, and what FLORES and NLLB add
    ("deu_Latn", "de", "Latn"),
    ("jpn_Jpan", "ja", "Jpan"),
    ("kor_Hang", "ko", "Hang"),
    ("arb_Arab", "ar", "Arab"),
    ("arb", "ar", "Arab"),
    ("ary_Arab", "ary", "Arab"),
    ("ace_Arab", "ace-Arab", "Arab"),
    ("npi_Deva", "ne", "Deva"),
    ("azj_Latn", "az", "Latn"),
    ("khk_Cyrl", "mn", "Cyrl"),
    ("swh_Latn", "sw", "Latn"),
    ("quy_Latn", "quy", "Latn"),
    ("pbt_Arab", "pbt", "Arab"),
    ("taq_Latn", "taq", "Latn"),
    ("taq_Tfng", "taq-Tfng", "Tfng"),
    ("kas_Deva", "ks-Deva", "Deva"),
    # old codes
    ("iw", "he", "Hebr"),
    ("in", "id", "Latn"),
    ("ji", "yi", "Hebr"),
    ("sh", "sr-Latn", "Latn"),
    ("tl", "fil", "Latn"),
    # modifiers and codesets of POSIX
    ("sr@latin", "sr-Latn", "Latn"),
    ("sr_RS@latin", "sr-Latn-RS", "Latn"),
    ("sr_Cyrl", "sr", "Cyrl"),
    ("uz@cyrillic", "uz-Cyrl", "Cyrl"),
    ("ca@valencia", "ca-valencia", "Latn"),
    ("ca-valencia", "ca-valencia", "Latn"),
    ("de_DE.UTF-8@euro", "de-DE", "Latn"),
    ("pa_PK", "pa-PK", "Arab"),
    # what CLDR does not know
    ("xx", "xx", None),
    ("xx_yy", "xx-YY", None),
]


@pytest.mark.parametrize(("said", "form", "script"), TAGS)
def test_a_spelling_has_a_canonical_form_and_a_script(
    said: str, form: str, script: str | None
) -> None:
    assert canonical(said) == form
    assert script_of(said) == script


@given(st.from_regex(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,5}){0,3}(@[a-z]{1,8})?", fullmatch=True))
def test_a_canonical_form_is_its_own_in_every_spelling(tag: str) -> None:
    form = canonical(tag)
    assert canonical(form) == form
    assert canonical(form.replace("-", "_")) == form
    assert canonical(form.lower()) == canonical(form.upper()) == form


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "English"),
        ("de", "German"),
        ("fa", "Persian"),
        ("pt-BR", "Portuguese (Brazil)"),
        ("pt_BR", "Portuguese (Brazil)"),
        ("xx", "xx"),
        ("zz_1", "zz_1"),
        ("zho_Hans", "Chinese (Simplified)"),
        ("yue", "Cantonese"),
        ("sr@latin", "Serbian (Latin)"),
        ("ca@valencia", "Catalan (Valencian)"),
        ("kas_Deva", "Kashmiri (Devanagari)"),
        ("ary", "Moroccan Arabic"),
        # prompts of models that are trained say these
        ("iw", "Hebrew (Israel)"),
        ("quz", "Quechua (Peru)"),
        ("zh_CN", "Chinese (Simplified, China)"),
    ],
)
def test_a_language_has_an_english_name_or_its_tag(tag: str, name: str) -> None:
    assert language_name(tag) == name


def test_one_spelling_finds_another() -> None:
    known = ["zh_CN", "zho_Hant", "pt-BR", "sr@latin"]
    said = ["zh-cn", "zh-Hant", "por_BR", "sr-Latn", "hbs", "zh", "pt"]
    assert [find(one, known) for one in said] == [*known, "sr@latin", None, None]
    assert distinct(["zh_CN", "de", "zh-CN", "deu", "zh"]) == ["zh_CN", "de", "zh"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("zh-HK", "zh_CN"),
        ("cmn", "zh_CN"),
        ("German", "de_DE"),
        ("german (germany)", "de_DE"),
        ("por", "pt-BR"),
        ("klingon", None),
    ],
)
def test_the_nearest_tag_is_of_the_same_language(said: str, meant: str | None) -> None:
    assert nearest_tag(said, ["en", "de_DE", "zh_CN", "pt-BR"]) == meant
