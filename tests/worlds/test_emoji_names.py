import unicodedata

import pytest

from unified_vl.worlds.emoji_names import LANGUAGES, NamedEmoji, all_emoji, join_names


@pytest.fixture(scope="module")
def known() -> list[NamedEmoji]:
    return all_emoji()


def test_every_emoji_has_art_and_a_clean_name_in_each_of_14_languages(
    known: list[NamedEmoji],
) -> None:
    assert len(LANGUAGES) == 14
    assert len(known) > 1600
    for one in known:
        assert one.art.is_file()
        assert len(one.names) == 14
        for name in one.names:
            assert name and name == " ".join(name.split())
            assert ":" not in name[:1] + name[-1:] and "_" not in name
            assert unicodedata.is_normalized("NFC", name)


def test_names_are_in_the_language_they_are_listed_under(known: list[NamedEmoji]) -> None:
    dog = next(one for one in known if one.emoji == "🐕")
    expected = {"en": "dog", "es": "perro", "ja": "イヌ", "ko": "개", "zh": "狗", "tr": "köpek"}
    assert {language: dog.name(language) for language in expected} == expected


def test_flags_of_places_and_skin_tones_are_left_out_and_symbols_stay(
    known: list[NamedEmoji],
) -> None:
    characters = {one.emoji for one in known}
    with_flags = {one.emoji for one in all_emoji(flags=True)}
    scotland = "🏴󠁧󠁢󠁳󠁣󠁴󠁿"
    assert {"🇩🇪", "🇧🇷", scotland} <= with_flags - characters
    assert "🏁" in characters
    assert not any("👍" in one and one != "👍" for one in with_flags)


@pytest.mark.parametrize(
    ("language", "two", "three"),
    [
        ("en", "A and B", "A, B, and C"),
        ("es", "A y B", "A, B y C"),
        ("ja", "A、B", "A、B、C"),
        ("ko", "A 및 B", "A, B 및 C"),
        ("pt", "A e B", "A, B e C"),
        ("it", "A e B", "A, B e C"),
        ("fr", "A et B", "A, B et C"),
        ("de", "A und B", "A, B und C"),
        ("id", "A dan B", "A, B, dan C"),
        ("zh", "A和B", "A、B和C"),
        ("ru", "A и B", "A, B и C"),
        ("tr", "A ve B", "A, B ve C"),
        ("ar", "A وB", "A وB وC"),
    ],
)
def test_lists_are_joined_as_the_language_joins_them(language: str, two: str, three: str) -> None:
    assert join_names(["A"], language) == "A"
    assert join_names(["A", "B"], language) == two
    assert join_names(["A", "B", "C"], language) == three


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_filled_pattern_is_what_babel_makes_of_the_names(
    language: str, known: list[NamedEmoji]
) -> None:
    from babel.lists import format_list

    for start in range(0, 60, 3):
        names = [one.name(language) for one in known[start : start + 3]]
        assert join_names(names, language) == format_list(names, locale=language)
