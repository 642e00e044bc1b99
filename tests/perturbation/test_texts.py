"""Laws of typos and casing, of any text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.languages.letter_case import fold_case
from unified_vl.perturbation.registry import suites
from unified_vl.perturbation.texts.letters import clusters_of, script_of_letter, words_of
from unified_vl.perturbation.texts.text_change import TextChange

WORDS = (  # of scripts with and without case, composed and not
    "Swan Schlüssel straße Ελλάδα Москва ключ גשר مفتاح कुंजी नमस्ते 鍵 サメ キー 열쇠 กุญแจ ĳs "
    "DŽungla İstanbul ılık ǅ ﬁx e\u0301te\u0301 한국 \u1112\u1161\u11ab क्षत्रिय வணக்கம் ខ្មែរ"
)
OTHERS = ["👩‍👩‍👧", "🇩🇪", "3.5", "<loc_12>", "[person1]", "{slot}", "—", "\u200d", "\ud83d", " "]
PIECES = st.sampled_from([*WORDS.split(), *OTHERS]) | st.text(max_size=8)
TEXTS = st.lists(PIECES, max_size=7).map(" ".join)
LANGUAGES = st.sampled_from(["en", "tr", "lt", "de", "ja", "hi", "el"])
SEEDS = st.integers(0, 2**32)
LEVELS = st.integers(0, 4)
PROTECTED = regex.compile(r"<[^<>]*>|\{[^{}]*\}|\[[^\[\]]*\]")
TYPOS, CASING = (
    {each.name: each.text for each in suites()[suite] if isinstance(each, TextChange)}
    for suite in ("typos", "casing")
)
Change = Callable[[str, int, Random, str], str]


def level_of(name: str, level: int) -> int:
    return 0 if name == "lower_case" else level


@given(
    name=st.sampled_from(sorted(TYPOS | CASING)),
    text=TEXTS,
    level=LEVELS,
    seed=SEEDS,
    language=LANGUAGES,
)
def test_a_seed_decides_and_what_is_no_word_stays(
    name: str, text: str, level: int, seed: int, language: str
) -> None:
    change, level = (TYPOS | CASING)[name], level_of(name, level)
    found = change(text, level, Random(seed), language)
    assert found == change(text, level, Random(seed), language)
    assert PROTECTED.findall(found) == PROTECTED.findall(text)

    def others(of: str) -> list[str]:
        clusters, words = words_of(of)
        within = {place for word in words for place in word}
        return [cluster for place, cluster in enumerate(clusters) if place not in within]

    assert others(found) == others(text)


@given(name=st.sampled_from(sorted(TYPOS)), text=TEXTS, level=LEVELS, seed=SEEDS)
def test_letters_with_their_marks_are_moved_dropped_or_doubled_as_a_whole(
    name: str, text: str, level: int, seed: int
) -> None:
    found = TYPOS[name](text, level, Random(seed), "en")
    before, after = Counter(clusters_of(text)), Counter(clusters_of(found))
    if name == "swapped_letters":
        assert before == after
    elif name == "dropped_letters":
        assert after <= before
        assert len(words_of(found)[1]) == len(words_of(text)[1])  # no word is lost
    else:
        assert before <= after <= before + before
    scripts = [[script_of_letter(c[0]) for c in clusters_of(t)] for t in (text, found)]
    kept = [[s for s, _ in _runs(each)] for each in scripts]
    assert kept[0] == kept[1]  # a letter stays among those of its script


def _runs(scripts: list[str | None]) -> list[tuple[str | None, int]]:
    runs: list[tuple[str | None, int]] = []
    for script in scripts:
        if runs and runs[-1][0] == script:
            runs[-1] = script, runs[-1][1] + 1
        else:
            runs.append((script, 1))
    return runs


@given(
    name=st.sampled_from(sorted(CASING)), text=TEXTS, level=LEVELS, seed=SEEDS, language=LANGUAGES
)
def test_casing_changes_nothing_but_case(
    name: str, text: str, level: int, seed: int, language: str
) -> None:
    found = CASING[name](text, level_of(name, level), Random(seed), language)
    assert fold_case(found, language) == fold_case(text, language)
    assert len(found) == len(text)


@pytest.mark.parametrize("name", sorted(CASING))
@pytest.mark.parametrize("text", ["鍵 サメ", "열쇠", "مفتاح", "กุญแจ", "कुंजी", "123 👩‍👩‍👧"])
def test_scripts_without_case_stay(name: str, text: str) -> None:
    assert CASING[name](text, 0, Random(0), "en") == text


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("a Blue key", "en", "A BLUE KEY"),
        ("kısa izin", "tr", "KISA İZİN"),
        ("kurze Straße", "de", "KURZE STRAßE"),
        ("μικρό κλειδί", "el", "ΜΙΚΡΌ ΚΛΕΙΔΊ"),
        ("ключ <loc_1> да", "ru", "КЛЮЧ <loc_1> ДА"),
    ],
)
def test_capitals_are_those_of_the_language(text: str, language: str, found: str) -> None:
    assert CASING["upper_case"](text, 4, Random(0), language) == found
    lowered = CASING["lower_case"](found, 0, Random(0), language)
    assert lowered == text.lower()


@pytest.mark.parametrize(
    ("name", "text", "possible"),
    [
        ("swapped_letters", "key", {"eky", "kye"}),
        ("swapped_letters", "鍵盤", {"盤鍵"}),
        ("swapped_letters", "e\u0301t", {"te\u0301"}),
        ("swapped_letters", "ll", {"ll"}),
        ("swapped_letters", "aж", {"aж"}),
        ("dropped_letters", "key", {"ky", "ke"}),
        ("dropped_letters", "k", {"k"}),
        ("doubled_letters", "ok", {"ook", "okk"}),
        ("doubled_letters", "[person1]", {"[person1]"}),
    ],
)
def test_slips_that_may_be(name: str, text: str, possible: set[str]) -> None:
    assert {TYPOS[name](text, 0, Random(seed), "en") for seed in range(40)} == possible
