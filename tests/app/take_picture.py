"""Takes docs/pictures/app.png: `python tests/app/take_picture.py MODEL DATA_ROOT`.

It needs chromium; the model is the one that `unified-vl demo` trains.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from unified_vl.evaluation.reporting.browser import BROWSERS

TARGET = Path(__file__).parents[2] / "docs/pictures/app.png"
TASK, ROW = "emoji_ground", 5


def main(model: str, data: str) -> None:
    command = [sys.executable, "-m", "unified_vl.cli.main", "app", model, "--examples", data]
    server = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    url = next(line.split()[1] for line in server.stderr if line.startswith("open "))
    browser_path = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 1130})
        page.goto(url)
        page.locator("#task input").click()
        page.get_by_role("option", name=TASK, exact=True).click()
        page.locator(f"#examples-{TASK} tbody tr").nth(ROW).click()
        page.locator("#input-image-image img").wait_for()
        page.locator("#count input[type=number]").fill("3")
        page.locator("#ask").click()
        page.locator("#said .ranking").wait_for()
        page.locator("#picture img").wait_for()
        page.wait_for_load_state("networkidle")
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(1000)  # fades end
        page.screenshot(path=TARGET)
        browser.close()
    server.terminate()
    server.wait()
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
