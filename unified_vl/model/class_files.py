"""Files of a saved model by which `transformers` finds its classes. This project reads none.

unified_vl_classes.py     for `trust_remote_code=True`: imports the classes from the package
processor_config.json     names the processor
tokenizer_config.json     names the tokenizer
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unified_vl.auto_classes import AUTO_MAP, CLASSES, MODULE
from unified_vl.files import write_atomically
from unified_vl.model.pretrained.tensor_files import adapters_alone

_NAMES = sorted({name.partition(".")[2] for name in AUTO_MAP.values()})
_SHIM = f'''"""The classes of this model are in the package unified_vl: pip install unified_vl"""

from {CLASSES} import (
{"".join(f"    {name},{chr(10)}" for name in _NAMES)})

__all__ = {json.dumps(_NAMES)}
'''


def write_class_files(directory: Path, longest: int) -> None:
    """Write them.

    Args:
        directory: of the model.
        longest: the most ids of a source.
    """
    write_shim(directory)
    tokenizer = AUTO_MAP["AutoTokenizer"]
    _write(
        directory / "processor_config.json",
        {
            "processor_class": _class(AUTO_MAP["AutoProcessor"]),
            "auto_map": {"AutoProcessor": AUTO_MAP["AutoProcessor"]},
        },
    )
    _write(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": _class(tokenizer),
            "auto_map": {"AutoTokenizer": [tokenizer, None]},  # without and with Rust
            "model_max_length": longest,
        },
    )


def write_shim(directory: Path) -> None:
    """Write the file that `auto_map` names.

    It imports the package and nothing else: where that is missing, `transformers` says to
    `pip install unified_vl` before it runs anything.
    """
    write_atomically(directory / f"{MODULE}.py", _SHIM)


def refuse_adapters(directory: Path) -> None:
    """Raise for a saved model that is an adapter: `transformers` does not put its weights together.

    Raises:
        UserError: naming what does.
    """
    path = directory / "adapter_config.json"
    if path.is_file() and not (directory / "model.safetensors").is_file():
        raise adapters_alone(
            path,
            "`unified_vl.UnifiedVL.from_pretrained`, which puts both together, or a model "
            "whose run said `lora: {save: merged}`",
        )


def _class(name: str) -> str:
    return name.partition(".")[2]


def _write(path: Path, values: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(values, indent=1))
