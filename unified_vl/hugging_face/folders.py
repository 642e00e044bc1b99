"""Where the files of a saved model are: a folder, or what is downloaded of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

BESIDE_WEIGHTS = ("config.json", "training.json", "*_config.json", "tokenizer/*", "specs/*")
_OF_HUB = ("revision", "cache_dir", "token", "local_files_only", "force_download")


def settings_folder(name: str | Path, options: Mapping[str, Any]) -> Path:
    """The folder that holds all of a model but its weights.

    Args:
        name: a folder, or a repository of the Hub.
        options: of `from_pretrained`, those about the Hub among them.

    Raises:
        OSError: when there is neither.
    """
    found = Path(name)
    if not found.is_dir():
        from huggingface_hub import snapshot_download

        known = {key: options[key] for key in _OF_HUB if options.get(key) is not None}
        found = Path(snapshot_download(str(name), allow_patterns=list(BESIDE_WEIGHTS), **known))
    return found / (options.get("subfolder") or "")
