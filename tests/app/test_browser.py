"""The page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.app.conftest import Served
from unified_vl.app.inputs import inputs_of
from unified_vl.evaluation.reporting.browser import BROWSERS

PATIENCE = 120_000  # milliseconds; a busy machine is not a failure
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser is installed: none of {', '.join(BROWSERS)} is found"
)


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        yield context
        browser.close()


@pytest.fixture
def page(window: BrowserContext, served: Served) -> Iterator[Page]:
    """The page as it opens; whatever it asks of another host, or complains of, is a failure.

    Each test has a tab of its own: a page that is left aborts its streams, and Gradio lets those
    errors out, so in one tab they would count as complaints of the page that comes next.
    """
    tab = window.new_page()
    hosts: set[str] = set()
    complaints: list[str] = []
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    tab.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(served.url)
    tab.locator("#ask").wait_for()
    yield tab
    seen = list(complaints)  # closing aborts streams, too
    tab.close()
    assert hosts - {""} == {urlsplit(served.url).netloc}  # "" is that of data: and blob:
    assert seen == []


def choose(page: Page, task: str, about: str) -> None:
    page.locator("#task input").click()
    page.get_by_role("option", name=task, exact=True).click()
    expect(page.locator("#about")).to_have_text(about, timeout=PATIENCE)


def choose_language(page: Page, name: str) -> None:
    page.locator("#language input").click()
    page.get_by_role("option", name=name).click()


def ask(page: Page) -> str:
    """Click the button, and the HTML of what is said then."""
    page.locator("#ask").click()
    answer = page.locator("#said .answer, #said .error")
    answer.wait_for(state="attached")
    return answer.inner_text()


def test_every_task_shows_what_it_needs_and_nothing_else(page: Page, served: Served) -> None:
    page.locator("#task input").click()
    page.get_by_role("option").first.wait_for()
    offered = [one.get_attribute("aria-label") for one in page.get_by_role("option").all()]
    assert offered == list(served.predictor.specs)
    page.get_by_role("option").last.click()
    for name, spec in served.predictor.specs.items():
        choose(page, name, spec.about)
        needed = {
            f"input-{one.name}-{one.kind}{'-many' if one.many else ''}" for one in inputs_of(spec)
        }
        shown = page.locator("[id^=input-]:visible")
        expect(shown).to_have_count(len(needed))  # the text about a task comes before its inputs
        assert {one.get_attribute("id") for one in shown.all()} == needed
        assert page.locator("#language").is_visible() == (len(spec.data.languages) > 1)


def test_an_example_is_asked_and_its_box_is_drawn(page: Page, served: Served, tiny) -> None:
    choose(page, "tiny_ground", served.predictor.specs["tiny_ground"].about)
    page.locator("#examples-tiny_ground tbody tr").nth(1).click()
    expect(page.locator("#input-phrase-text textarea")).to_have_value("a dog", timeout=PATIENCE)
    page.locator("#input-image-image img").wait_for()
    page.locator("#count input[type=number]").fill("3")
    assert ask(page) == ""
    image = tiny.data / "images/0.png"  # the first of those in German
    found = served.predictor.predict("tiny_ground", "de", image=image, phrase="a dog", n=3)
    expected = ["box: " + ", ".join(f"{v:.1f}" for v in one.boxes[0]) for one in found.alternatives]
    assert page.locator("#said .ranking .shape").all_inner_texts() == expected
    source = page.locator("#said .source .segment").all_inner_texts()
    assert source == ["[image 40x20 as 16x16]", "a dog"]
    drawn = page.locator("#picture img")
    drawn.wait_for()
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480


def test_an_image_is_dropped_and_the_answer_runs_from_right_to_left(
    page: Page, served: Served, picture, tmp_path: Path
) -> None:
    picture(2).save(tmp_path / "a.png")
    spec = served.predictor.specs["tiny_caption"]
    choose(page, "tiny_caption", spec.about)
    page.locator("#input-image-image input[type=file]").set_input_files(tmp_path / "a.png")
    page.locator("#input-image-image img").wait_for()
    choose_language(page, "فارسی (Persian)")
    expected = served.predictor.predict("tiny_caption", "fa", image=picture(2)).text
    assert ask(page) == " ".join(expected.split())
    answer = page.locator("#said .answer")
    assert (answer.get_attribute("dir"), answer.get_attribute("lang")) == ("auto", "fa")
    answer.evaluate("element => element.textContent = 'گربه قرمز'")
    assert answer.evaluate("element => element.matches(':dir(rtl)')")


def test_a_file_that_is_no_image_replaces_the_old_answer(
    page: Page, served: Served, tmp_path: Path
) -> None:
    choose(page, "tiny_copy", served.predictor.specs["tiny_copy"].about)
    page.locator("#input-text-text textarea").fill("a dog")
    ask(page)
    (tmp_path / "b.png").write_bytes(b"no image at all")
    choose(page, "tiny_caption", served.predictor.specs["tiny_caption"].about)
    page.locator("#input-image-image input[type=file]").set_input_files(tmp_path / "b.png")
    page.locator("#input-image-image img").wait_for(state="attached")
    page.locator("#ask").click()
    expect(page.locator("#said .error")).to_contain_text("cannot be read", timeout=PATIENCE)
    assert page.locator("#said .answer").count() == 0


def test_a_typed_text_keeps_its_direction_and_its_markup_is_text(
    page: Page, served: Served
) -> None:
    choose(page, "tiny_copy", served.predictor.specs["tiny_copy"].about)
    field = page.locator("#input-text-text textarea")
    assert field.evaluate("element => getComputedStyle(element).unicodeBidi") == "plaintext"
    typed = "<b id=mine>a red cat</b>"
    field.fill(typed)
    ask(page)
    assert page.locator("#said .source .segment").all_inner_texts() == [typed]
    assert page.locator("#mine").count() == 0


def test_several_pictures_are_given_to_one_field(
    page: Page, served: Served, picture, tmp_path: Path
) -> None:
    choose(page, "tiny_compare", served.predictor.specs["tiny_compare"].about)
    assert "pictures" in ask(page)  # the message names what is missing
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        picture(number).save(file)
    upload = page.locator("#input-pictures-image-many")
    upload.locator("input[type=file]").set_input_files(files)
    expect(upload.locator("img")).to_have_count(2, timeout=PATIENCE)
    page.locator("#ask").click()
    page.locator("#said .answer").wait_for(state="attached")
    found = served.predictor.predict("tiny_compare", pictures=[picture(0), picture(1)])
    assert page.locator("#said .answer").inner_text() == " ".join(found.text.split())
    segments = page.locator("#said .source .segment").all_inner_texts()
    assert len([one for one in segments if one.startswith("[image")]) == 2


def test_choices_are_ranked(page: Page, served: Served, picture, tmp_path: Path) -> None:
    spec = served.predictor.specs["tiny_choose"]
    choose(page, "tiny_choose", spec.about)
    for number, name in enumerate(("picture", "second")):
        picture(number).save(tmp_path / f"{name}.png")
        upload = page.locator(f"#input-{name}-image")
        upload.locator("input[type=file]").set_input_files(tmp_path / f"{name}.png")
        upload.locator("img").wait_for()
    page.locator("#input-answer-text textarea").fill("a red cat")
    assert "spot" in ask(page)  # the message names what is missing
    assert page.locator("#said .error").get_attribute("role") == "alert"
    page.locator("#input-spot-box textarea").fill("1, 2, 30, 15")
    page.locator("#ask").click()
    rows = page.locator("#said .ranking tbody tr td:nth-child(2)")
    rows.first.wait_for()
    found = served.predictor.predict(
        "tiny_choose",
        picture=picture(0),
        second=picture(1),
        spot=[1, 2, 30, 15],
        answer="a red cat",
        n=3,
    )
    assert rows.all_inner_texts() == [one.text for one in found.alternatives]
