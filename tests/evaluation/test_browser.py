"""unified_vl/evaluation/reporting/browser.py, with a stand-in for the browser."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest
from PIL import Image

from unified_vl.errors import UserError
from unified_vl.evaluation.reporting.browser import picture_of

DRAWS = """
import sys
from PIL import Image
options = dict(a.removeprefix("--").split("=", 1) for a in sys.argv[1:] if "=" in a)
width, height = map(int, options["window-size"].split(","))
page = Image.new("RGB", (width, height), (250, 250, 250))
page.paste((10, 20, 30), (8, 8, width - 8, 60))
page.save(options["screenshot"])
"""


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin/chromium"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", str(path.parent))
    return path


def install(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable}{os.linesep}{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_picture_is_as_tall_as_its_page(browser: Path) -> None:
    install(browser, DRAWS)
    with Image.open(io.BytesIO(picture_of("<p>hello", 200))) as image:
        assert image.size == (200, 68)  # the page ends at 60, the margin is 8
        assert image.getpixel((100, 30)) == (10, 20, 30)


def test_a_missing_browser_is_named(browser: Path) -> None:
    with pytest.raises(UserError, match=r"no browser .*expected chromium"):
        picture_of("<p>hello", 200)


def test_a_browser_that_draws_nothing_is_named(browser: Path) -> None:
    install(browser, "import sys; sys.exit('no display')")
    with pytest.raises(UserError, match=r"bin/chromium: the browser drew nothing: .*no display"):
        picture_of("<p>hello", 200)
