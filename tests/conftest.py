"""What every test needs before it imports anything."""

import os
from pathlib import Path

import hypothesis
import pytest

from unified_vl.torchvision_compat import define_missing_operators

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

define_missing_operators()

# no test depends on elapsed time: a busy machine is not a failure
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


@pytest.fixture
def code_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where codes of images are kept, apart from those of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/unified_vl"
