"""The page of an exported model in a real browser, with onnxruntime-web from npm."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from playwright.sync_api import Page, sync_playwright

from tests.export.conftest import Exported, answered
from unified_vl.evaluation.reporting.browser import BROWSERS
from unified_vl.export.example.answer import prepare

PATIENCE = 120_000  # milliseconds
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
PACKAGE = "onnxruntime-web@1.30.0"
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no browser is installed"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm fetches onnxruntime-web"),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def page(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    site = shutil.copytree(exported.directory, folder / "site")
    words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    done = subprocess.run([*words, "--prefix", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm has no {PACKAGE}: {done.stderr.strip()[-200:]}")
    (site / "ort").mkdir()
    for name in FILES:
        shutil.copy(folder / "node_modules/onnxruntime-web/dist" / name, site / "ort")
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(PATIENCE)
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(f"http://127.0.0.1:{server.server_port}/")
        opened.locator("button:enabled, output.error").first.wait_for()
        assert opened.locator("output").inner_text() == ""
        yield opened
        browser.close()
    server.shutdown()
    assert complaints == []


@pytest.mark.parametrize("task", ["tiny_caption", "tiny_ground", "tiny_copy"])
def test_the_page_answers_as_the_model_does(page: Page, exported: Exported, task: str) -> None:
    language = "en"
    page.select_option("select[name=task]", task)
    page.select_option("select[name=language]", language)
    for name, value in exported.asked[task].items():
        field = page.locator(f"[name='field:{name}']")
        if name == "image":
            field.set_input_files(value)
        else:
            field.fill(value)
    page.locator("button").click()
    page.wait_for_function("document.querySelector('output').textContent.length > 1")
    expected = answered(exported.tiny, task, language, exported.asked[task])
    numbers = [" ".join(f"{v:.1f}" for v in shape) for shape in expected["shapes"]]
    lines = [line for line in (expected["text"], *numbers) if line]
    assert page.locator("output").text_content() == ("\n".join(lines) or "(nothing)")


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("size", [(53, 37), (9, 70), (24, 32)])
def test_images_are_resized_to_the_same_pixels(
    page: Page, fit: str, size: tuple[int, int], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    PILImage.fromarray(pixels).save(tmp_path / "a.png")
    about = {"size": [24, 32], "fit": fit, "padding": [128, 128, 128]}
    found = page.evaluate(
        """async ([bytes, about]) => {
            const { readImage } = await import("./answer.js");
            const blob = new Blob([new Uint8Array(bytes)], { type: "image/png" });
            return [...(await readImage(blob, about)).pixels];
        }""",
        [list((tmp_path / "a.png").read_bytes()), about],
    )
    expected = prepare(PILImage.fromarray(pixels), about).transpose(2, 0, 1)
    assert np.array_equal(np.array(found).reshape(3, 24, 32), expected)
