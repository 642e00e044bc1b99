"""What holds for every perturbation: a table of all of them."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.perturbation.conftest import OPTIONS, Rows
from unified_vl.codecs.segments import Image, Text
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.perturbation.asked import asked_perturbations
from unified_vl.perturbation.perturbation import (
    InputPerturbation,
    Perturbing,
    RowWeighting,
)
from unified_vl.perturbation.registry import PERTURBATIONS, register, suites, unregister
from unified_vl.specs.load import load_task

OF_INPUTS = [each for each in PERTURBATIONS.values() if isinstance(each, InputPerturbation)]


def image_of(example: Example) -> np.ndarray:
    (image,) = (part.image for part in example.source if isinstance(part, Image))
    return image.pixels_HWC.astype(float)


def text_of(example: Example) -> str:
    return "\n".join(part.text for part in example.source if isinstance(part, Text))


def distance(a: Example, b: Example) -> float:
    """How unlike two sources are: pixels in parts of white, texts in parts of their length."""
    pixels = np.abs(image_of(a) - image_of(b)).mean() / 255
    return pixels + 1 - SequenceMatcher(None, text_of(a), text_of(b), autojunk=False).ratio()


def said(example: Example) -> tuple[bytes, str, object]:
    return image_of(example).tobytes(), text_of(example), example.references


@pytest.mark.parametrize("each", OF_INPUTS, ids=lambda each: each.name)
def test_the_same_of_a_seed_stronger_by_severity_and_clean_rows_stay(
    each: InputPerturbation, rows: Rows
) -> None:
    assert each.lacks(rows.spec) is None
    clean = rows.examples()
    before = list(map(said, clean))
    means = []
    for severity in range(1, each.severities + 1):
        perturber = Perturbing(each, severity, rows.spec, seed=3)
        found = rows.examples(perturber)
        if severity == each.severities:
            assert list(map(said, found)) == list(map(said, rows.examples(perturber)))
        for one, other in zip(clean, found, strict=True):
            assert other.perturbed == (said(one)[:2] != said(other)[:2])
            assert (one.key, one.language) == (other.key, other.language)
        means.append(np.mean([distance(*pair) for pair in zip(clean, found, strict=True)]))
    assert means[0] > 0
    # but for single pictures: the paper's fog is thinner at 3 where it is finer
    assert all(after > 0.95 * before for before, after in pairwise(means))
    assert each.severities == 1 or means[-1] > 1.1 * means[0]
    assert list(map(said, rows.examples())) == before
    assert not any(example.perturbed for example in clean)


@pytest.mark.parametrize("each", OF_INPUTS, ids=lambda each: each.name)
def test_right_answers_stay_but_for_where_a_choice_stands(
    each: InputPerturbation, rows: Rows
) -> None:
    found = rows.examples(Perturbing(each, each.severities, rows.spec))
    letters = Counter()
    for one, other in zip(rows.examples(), found, strict=True):
        (before,), (after,) = one.references["answer"], other.references["answer"]
        listed = text_of(other).rpartition("(A) ")[2]
        options = [part.partition(") ")[2] for part in f"(A) {listed}".split(" (")]
        assert options["ABC".index(after)] == OPTIONS[one.language]["ABC".index(before)]
        letters[before == after] += 1
    assert letters[False] if each.suite == "choices" else not letters[False]


def test_other_seeds_draw_others(rows: Rows) -> None:
    for name in ("gaussian_noise", "swapped_letters", "shuffled_choices", "foreign_text"):
        each = PERTURBATIONS[name]
        assert isinstance(each, InputPerturbation)
        one, other = (rows.examples(Perturbing(each, 1, rows.spec, seed)) for seed in (0, 1))
        assert list(map(said, one)) != list(map(said, other))


def test_a_paraphrase_is_another_text_of_the_spec_and_of_the_row(rows: Rows) -> None:
    each = PERTURBATIONS["paraphrase"]
    assert isinstance(each, InputPerturbation)
    for example in rows.examples(Perturbing(each, 1, rows.spec)):
        text = text_of(example)
        if example.language == "en":
            assert text.startswith(("Which is right?", "Take your pick."))
            assert " Which thing is on table " in text
        else:
            assert text.startswith("どれ 机")


def test_foreign_texts_are_of_one_other_row_of_the_language(rows: Rows) -> None:
    each = PERTURBATIONS["foreign_text"]
    assert isinstance(each, InputPerturbation)
    others = rows.examples(Perturbing(each, 1, rows.spec))
    for clean, found in zip(rows.examples(), others, strict=True):
        ours, theirs = (re.findall(r"\d", text_of(example)) for example in (clean, found))
        assert len(set(theirs)) == 1 and len(theirs) == 2 and ours != theirs
        assert re.sub(r"\d", "", text_of(found)) == re.sub(r"\d", "", text_of(clean))
        assert np.array_equal(image_of(clean), image_of(found))


def test_shift_reverses_the_frequencies_of_training() -> None:
    each = PERTURBATIONS["answer_shift"]
    assert isinstance(each, RowWeighting)
    answers = ["yes"] * 6 + ["no"] * 3 + ["maybe", "never seen", None]
    trained = Counter(yes=70, no=20, maybe=10)
    for severity in range(1, 6):
        weights_N = each.weights(answers, trained, severity)
        assert weights_N is not None
        mass = Counter()
        for answer, weight in zip(answers, weights_N, strict=True):
            mass[answer] += weight
        part = severity / 5
        for answer, clean, reverse in (("yes", 6, 0.1), ("no", 3, 0.2), ("maybe", 1, 0.7)):
            assert mass[answer] == pytest.approx((1 - part) * clean + part * reverse * 10)
        assert mass["never seen"] == mass[None] == pytest.approx(1 - part)
    assert each.weights(["a", "b"], Counter(["a", "b", "c"]), 5) is None  # each of its own
    assert each.weights(["a", "a"], Counter(a=9), 5) is None


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["typos:2"], {"swapped_letters": (2,), "dropped_letters": (2,), "doubled_letters": (2,)}),
        (["gaussian_noise:3", "gaussian_noise:1"], {"gaussian_noise": (1, 3)}),
        (["priors"], {"blank_image": (1,), "foreign_text": (1,)}),
        (["fog"], {"fog": (1, 2, 3, 4, 5)}),
        ([], {}),
    ],
)
def test_what_is_asked_for(names: list[str], found: dict[str, tuple[int, ...]]) -> None:
    assert {each.name: levels for each, levels in asked_perturbations(names).items()} == found


def test_all_is_every_suite() -> None:
    assert {each.name for each in asked_perturbations(["all"])} == set(PERTURBATIONS)
    assert set(suites()) == {each.suite for each in PERTURBATIONS.values()} | {"all"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gausian_noise", "did you mean 'gaussian_noise'?"),
        ("imagess", "did you mean 'images'?"),
        ("fog:6", "fog has no severity '6'; expected fog:1 to fog:5"),
        ("fog:", "fog has no severity ''"),
        ("fog:²", "fog has no severity"),
        ("blank_image:2", "expected blank_image"),
        ("", "there is no perturbation or suite ''"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        asked_perturbations([name])
    assert said in str(error.value) and str(error.value).startswith("--perturb: ")


def test_the_one_of_the_page_is_known_by_name_and_suite(rows: Rows) -> None:
    page = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
    code = page.partition("## Add a perturbation")[2].partition("```python")[2].partition("```")[0]
    exec(compile(code, "docs/extending.md", "exec"), {"__name__": "page"})
    try:
        ((own, levels),) = asked_perturbations(["missing"]).items()
        assert (own.name, levels) == ("cut_texts", (1, 2, 3, 4, 5))
        assert isinstance(own, InputPerturbation)
        lengths = []
        for level in levels:
            found = rows.examples(Perturbing(own, level, rows.spec))
            assert all(example.perturbed for example in found)
            lengths.append(len(text_of(found[0])))
        assert lengths == sorted(lengths, reverse=True) and lengths[0] < len(
            text_of(rows.examples()[0])
        )
        with pytest.raises(ValueError, match="'cut_texts' already"):
            register(type(own)("cut_texts", "Another.", "missing"))
    finally:
        unregister("cut_texts")
    assert "missing" not in suites()
    for name, expected in (
        ("fog", "'fog' already"),
        ("typos", "'typos' already"),
        ("a:b", "no name"),
    ):
        with pytest.raises(ValueError, match=expected):
            register(type(own)(name, "Taken.", "mine"))
    with pytest.raises(TypeError, match="is no unified_vl"):
        register("fog")  # type: ignore[arg-type]


EMOJI = Path(__file__).parents[2] / "task_specs/emoji"


@pytest.mark.parametrize(
    ("task", "suites_done"),
    [
        ("emoji_translate", {"typos", "casing", "shift"}),
        ("emoji_caption", {"images", "priors", "shift"}),
        ("emoji_ground", {"images", "typos", "casing", "priors"}),
        ("emoji_recolour", {"typos", "casing"}),  # its image is read as codes
    ],
)
def test_which_suites_a_task_has(task: str, suites_done: set[str]) -> None:
    spec = load_task(EMOJI / f"{task}.yaml")
    can = {each.suite for each in PERTURBATIONS.values() if each.lacks(spec) is None}
    assert can == suites_done
    said = {each.lacks(spec) for each in PERTURBATIONS.values()} - {None}
    coded = "its images are read as codes" in said
    assert coded == (task == "emoji_recolour")
