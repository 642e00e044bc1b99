import numpy as np
import pytest

from unified_vl.errors import UserError
from unified_vl.worlds.emoji_art import choose_concepts, tight_art
from unified_vl.worlds.emoji_names import NamedEmoji, all_emoji


@pytest.fixture(scope="module")
def known() -> list[NamedEmoji]:
    return all_emoji()


def test_all_emoji_can_be_chosen_at_once(known: list[NamedEmoji]) -> None:
    assert choose_concepts(known, len(known)) == known


def test_chosen_names_are_distinct_in_every_language_and_short(known: list[NamedEmoji]) -> None:
    chosen = choose_concepts(known, 48)
    assert len(chosen) == 48
    for names in zip(*(one.names for one in chosen), strict=True):
        assert len({name.casefold() for name in names}) == 48
    longest = max(sum(map(len, one.names)) for one in chosen)
    shorter = [one for one in known if sum(map(len, one.names)) < longest]
    assert len(shorter) < 6 * 48


def test_an_emoji_with_a_taken_name_is_passed_over(known: list[NamedEmoji]) -> None:
    pair = choose_concepts(known, 48)[:2]
    shared = NamedEmoji(pair[1].emoji, pair[1].art, (pair[0].names[0].upper(), *pair[1].names[1:]))
    with pytest.raises(UserError, match="distinct names"):
        choose_concepts([pair[0], shared], 2)
    assert choose_concepts(pair, 2) == pair


def test_chosen_emoji_look_more_different_than_the_first_ones(known: list[NamedEmoji]) -> None:
    def nearest_pair(emoji: list[NamedEmoji]) -> float:
        small = [np.asarray(tight_art(one.art, 24).resize((8, 8)), float) for one in emoji]
        features = np.stack(small).reshape(len(emoji), -1)
        distances = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
        np.fill_diagonal(distances, np.inf)
        return float(distances.min())

    assert nearest_pair(choose_concepts(known, 28)) > 2 * nearest_pair(known[:28])


@pytest.mark.parametrize("side", [17, 26, 52])
def test_art_is_cropped_to_what_is_visible(known: list[NamedEmoji], side: int) -> None:
    for one in known[::40]:
        art = tight_art(one.art, side)
        assert side - 2 <= max(art.size) <= side
        alpha = np.asarray(art.getchannel("A"))
        assert all(edge.max() >= 32 for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
