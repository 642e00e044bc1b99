"""unified_vl/metrics/words.py: what docs/scoring.md says of each language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.metrics.words import words_of

SENTENCES = [
    # the Penn Treebank's cuts
    ("en", "A man's dog isn't here.", "a man 's dog is n't here"),
    (
        "en",
        "They'll say I'm done, we've said it'd do",
        "they 'll say i 'm done we 've said it 'd do",
    ),
    ("en", "I cannot, gonna, gotta", "i can not gon na got ta"),
    ("en", "can't won't", "ca n't wo n't"),
    ("en", "five o'clock rock'n'roll", "five o'clock rock'n'roll"),
    # what stays one word
    ("en", "a black-and-white T-shirt", "a black-and-white t-shirt"),
    ("en", "the U.S. flag, 1,000 times at 12:30, 3.5%", "the u.s. flag 1,000 times at 12:30 3.5 %"),
    # punctuation goes, symbols stay
    ("en", '"Hello" -- (he said): yes; no?!...', "hello he said yes no"),
    ("en", "salt & pepper $5 #1", "salt & pepper $ 5 # 1"),
    ("en", "‘Curly’ “quotes” don’t matter", "curly quotes do n't matter"),
    (None, "No tag is English, isn't it", "no tag is english is n't it"),
    ("en-GB", "It's British", "it 's british"),
    # other languages that write spaces keep their apostrophes
    ("fr", "L'homme s'assoit — «ici».", "l'homme s'assoit ici"),
    ("de", "Straßen-Café, 3,5 km", "straßen-café 3,5 km"),
    ("ar", "قطة، وكلب؟", "قطة وكلب"),
    ("hi", "लाल सेब और बिल्ली।", "लाल सेब और बिल्ली"),
    ("fa", "می\u200cرود خانه", "می\u200cرود خانه"),
    # sacrebleu's tokenizers
    ("zh", "红苹果、小猫和 2 只狗。", "红 苹 果 小 猫 和 2 只 狗"),
    ("zh-Hant", "紅蘋果", "紅 蘋 果"),
    ("ja", "赤いりんごと猫の顔。", "赤い りんご と 猫 の 顔"),
    ("ko", "빨간 사과와 고양이", "빨간 사과 와 고양이"),
    # scripts without spaces: what a reader sees as one character
    ("th", "แมว กำลัง", "แ ม ว กำ ลั ง"),
    ("lo", "ແມວ ນອນ", "ແ ມ ວ ນ ອ ນ"),
    # whatever version of `regex` is installed: consonants below another belong to it
    ("km", "ក្មេងស្រី នៅកម្ពុជា", "ក្មេ ង ស្រី នៅ ក ម្ពុ ជា"),
    ("khm_Khmr", "ក្មេង", "ក្មេ ង"),
    ("my", "သတ္တဝါ မြန်မာ", "သ တ္တ ဝ ါ မြ န် မ ာ"),
    ("bo", "བོད་ཡིག", "བོ ད ཡི ག"),
    ("dz", "བོད་ཡིག", "བོ ད ཡི ག"),
    ("th_TH", "กำลัง", "กำ ลั ง"),
    # in any spelling of the tag
    ("zh_CN", "红苹果", "红 苹 果"),
    ("zho_Hans", "红苹果", "红 苹 果"),
    ("zho_Hant", "紅蘋果", "紅 蘋 果"),
    ("cmn", "红苹果", "红 苹 果"),
    ("yue", "我哋搭𨋢", "我 哋 搭 𨋢"),
    ("zh", "𠮷野家", "𠮷 野 家"),
    ("zh-Latn", "hóng píngguǒ", "hóng píngguǒ"),
    ("jpn_Jpan", "赤いりんご", "赤い りんご"),
    ("ja-Latn", "akai ringo", "akai ringo"),
    ("kor_Hang", "빨간 사과와", "빨간 사과 와"),
    ("eng_Latn", "A man's dog", "a man 's dog"),
    ("en_US", "isn't", "is n't"),
    # lower case as the language has it
    ("tr", "IĞDIR İzmir Işık", "ığdır izmir ışık"),
    ("az", "İl QIZIL", "il qızıl"),
    ("de", "STRAßE", "straße"),
    ("el", "ΟΔΟΣ, ΟΔΟΣ", "οδος οδος"),
]


@pytest.mark.parametrize(("language", "sentence", "expected"), SENTENCES)
def test_words_of_a_sentence(language: str | None, sentence: str, expected: str) -> None:
    assert words_of(sentence, language) == expected.split(" ")


@pytest.mark.parametrize("language", ["en", "de", "zh", "ja", "ko", "th"])
def test_nothing_has_no_words(language: str) -> None:
    assert words_of("", language) == words_of(" \n", language) == []
    assert words_of("...", language) == []


def test_both_forms_of_a_letter_are_one() -> None:
    assert words_of("cafe\u0301", "fr") == words_of("caf\u00e9", "fr") == ["caf\u00e9"]


@given(st.text(), st.sampled_from(["en", "de", "zh", "th"]))
def test_any_text_has_words_without_spaces_in_lower_case(text: str, language: str) -> None:
    found = words_of(text, language)
    assert all(word and not any(c.isspace() for c in word) for word in found)
    assert words_of(text.replace("\n", " "), language) == found
