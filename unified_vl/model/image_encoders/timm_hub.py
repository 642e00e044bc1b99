"""timm's own pretrained weights, from the Hugging Face hub or from its cache on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest

FIELD = "model.vision.weights"
_SAFE = {  # what timm names, and the file beside it that is no pickle
    None: ("model.safetensors",),
    "open_clip_pytorch_model.bin": ("open_clip_model.safetensors", "model.safetensors"),
}


def fetch_pretrained(backbone: str) -> Path:
    """The file of the weights that timm names for a backbone.

    Args:
        backbone: its name, and behind a dot the tag of its weights where they are not the usual.

    Raises:
        UserError: when timm names none, or they are neither here nor to be had.
    """
    import timm
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    config: Any = timm.get_pretrained_cfg(backbone)
    if not config.hf_hub_id:
        raise UserError(
            f"timm names no weights on the hub for {backbone!r}",
            field=FIELD,
            expected="a safetensors file, or `random`",
        )
    named: str | None = config.hf_hub_filename
    files = _SAFE.get(named) or (str(Path(str(named)).with_suffix(".safetensors")),)
    fault: Exception | None = None
    for file in files:
        try:
            return Path(hf_hub_download(config.hf_hub_id, file))
        except LocalEntryNotFoundError as error:  # offline, or the hub does not answer
            fault = error
            break
        except EntryNotFoundError as error:
            fault = error
        except Exception as error:  # refused, unknown, no disk: the hub's own words
            fault = error
            break
    told = str(fault).strip().split("\n")[0][:120] or type(fault).__name__
    raise UserError(
        f"the weights of {backbone!r} ({config.hf_hub_id}: {files[0]}) are not in the cache of "
        f"this machine and cannot be fetched ({told})",
        field=FIELD,
        expected="a way to huggingface.co, or a file or folder that was fetched elsewhere, such as "
        f"by `hf download {config.hf_hub_id} --local-dir FOLDER`",
    ) from fault


def refuse_unknown_tag(backbone: str) -> None:
    """That timm knows the weights that stand behind the dot of a name.

    Raises:
        UserError: with the tags that it knows.
    """
    import timm

    architecture, _, tag = backbone.partition(".")
    if not tag:
        return
    known = [n.split(".", 1)[1] for n in timm.list_pretrained(f"{architecture}.*")]
    if tag not in known:
        raise UserError(
            f"timm has no weights {tag!r} of {architecture!r}",
            field="model.vision.backbone",
            expected=", ".join(known[:8]) or "none: it has no weights",
            nearest=nearest(tag, known),
        )
