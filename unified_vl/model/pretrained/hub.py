"""Models of the Hugging Face hub: what is needed of them, and nothing that could be a program."""

from __future__ import annotations

from pathlib import Path

from unified_vl.errors import UserError

WANTED = (  # weights, configurations, tokenizers, specs of a saved model; no program
    *("*.safetensors", "*.json", "*.model", "*.txt"),
    *("specs/*.yaml", "specs/*.tsv", "specs/*.shots/*"),
)


def from_hub(name: str, *, download: bool = True) -> Path:
    """The folder of a model of the hub, downloaded unless it is on this machine already.

    Args:
        name: `google/mt5-small`.
        download: what is not here yet.

    Raises:
        UserError: when it is not there, or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(name, allow_patterns=list(WANTED), local_files_only=not download)
    except (OSError, ValueError) as error:  # the hub's own errors are OSErrors
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"there is no folder {name!r}, and no model of that name could be had from the hub: "
            f"{reason}",
            expected="a folder, or a model of huggingface.co; without a network one that was "
            f"downloaded before (`hf download {name}`)",
        ) from error
    return Path(found)
