"""unified_vl/evaluation/languages.py"""

from __future__ import annotations

import pytest

from unified_vl.evaluation.languages import language_of


@pytest.mark.parametrize(
    ("tag", "english", "own", "direction"),
    [
        ("de", "German", "Deutsch", "ltr"),
        ("fa", "Persian", "فارسی", "rtl"),
        ("ar", "Arabic", "العربية", "rtl"),
        ("ja", "Japanese", "日本語", "ltr"),
        ("ru", "Russian", "Русский", "ltr"),
        ("xx-nonsense", "xx-nonsense", "xx-nonsense", "auto"),
        (None, "", "", "auto"),
        # other spellings than BCP 47's
        ("zh_CN", "Chinese (Simplified, China)", "中文 (简体, 中国)", "ltr"),
        ("pt_BR", "Portuguese (Brazil)", "Português (Brasil)", "ltr"),
        ("ar_EG", "Arabic (Egypt)", "العربية (مصر)", "rtl"),
        ("arb_Arab", "Arabic", "العربية", "rtl"),
        ("zho_Hans", "Chinese (Simplified)", "中文 (简体)", "ltr"),
        ("sr@latin", "Serbian (Latin)", "Srpski (latinica)", "ltr"),
        # the script decides
        ("pa_PK", "Punjabi (Arabic, Pakistan)", "پنجابی (عربی, پاکستان)", "rtl"),
        ("snd_Arab", "Sindhi (Arabic)", "سنڌي (عربي)", "rtl"),
        ("kas_Deva", "Kashmiri (Devanagari)", "कॉशुर (देवनागरी)", "ltr"),
        ("pbt_Arab", "pbt_Arab", "pbt_Arab", "rtl"),
    ],
)
def test_names_and_directions(tag: str | None, english: str, own: str, direction: str) -> None:
    found = language_of(tag)
    assert (found.english, found.own, found.direction) == (english, own, direction)


@pytest.mark.parametrize(
    ("tag", "lang"), [("zh_CN", "zh-CN"), ("sr@latin", "sr-Latn"), ("arb_Arab", "ar"), ("", "")]
)
def test_a_page_has_the_tag_that_browsers_know(tag: str, lang: str) -> None:
    assert language_of(tag).bcp47 == lang
