from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.remote import fetching


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in a process that has fetched nothing, and that does not wait."""
    monkeypatch.setenv("UNIFIED_VL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "WAITS", (0.0,))
    for known in (fetching._here, fetching._origins, fetching.COPIES):
        known.clear()
    return tmp_path / "cache" / "remote"
