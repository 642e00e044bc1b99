"""Let the Auto classes of `transformers` know a saved model, without loading anything before that.

`import unified_vl` loads neither torch nor `transformers`, so what is registered with their Auto
classes waits: where `transformers` makes one of the mappings below, its table of registered classes
becomes one that asks for ours when somebody looks for them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import ItemsView, ValuesView
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import MappingProxyType, ModuleType
from typing import Any

MODEL_TYPE = "unified_vl"
CLASSES = "unified_vl.hugging_face.classes"  # where they are registered for good
MODULE = "unified_vl_classes"  # the file of a saved model that says where its classes are
AUTO_MAP = MappingProxyType(
    {
        "AutoConfig": f"{MODULE}.UnifiedVLConfig",
        "AutoModelForImageTextToText": f"{MODULE}.UnifiedVLForConditionalGeneration",
        "AutoModelForSeq2SeqLM": f"{MODULE}.UnifiedVLForConditionalGeneration",
        "AutoProcessor": f"{MODULE}.UnifiedVLProcessor",
        "AutoTokenizer": f"{MODULE}.UnifiedVLTokenizer",
    }
)
"""What `config.json` names for `trust_remote_code=True`."""

_AUTO = "transformers.models.auto"
_MAPPINGS = {
    f"{_AUTO}.configuration_auto": ("CONFIG_MAPPING",),
    f"{_AUTO}.tokenization_auto": ("TOKENIZER_MAPPING",),
    f"{_AUTO}.processing_auto": ("PROCESSOR_MAPPING",),
    f"{_AUTO}.modeling_auto": (
        "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
        "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    ),
}

_lock = threading.RLock()
_started = False


def register() -> None:
    """Register config, model, processor and tokenizer with the Auto classes, once."""
    global _started
    with _lock:  # another thread waits until all is there; this one may look while it registers
        if _started:
            return
        _started = True
        try:
            import_module(CLASSES).register()
        except BaseException:
            _started = False
            raise


def prepare_transformers() -> None:
    """Let `transformers` ask for our classes, whenever it is imported; may be called again."""
    for name, mappings in _MAPPINGS.items():
        if name in sys.modules:
            _wait(sys.modules[name], mappings)
    if not any(isinstance(finder, _AfterAutoModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterAutoModules())


class _Waiting(dict[Any, Any]):
    """The classes registered with a mapping of `transformers`; ours come when they are asked for.

    Only looks for our own model, and at all there is, load anything.
    """

    def __contains__(self, key: object) -> bool:
        if key == MODEL_TYPE or getattr(key, "__name__", None) == "UnifiedVLConfig":
            register()
        return super().__contains__(key)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        register()
        return super().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        register()
        return super().items()


def _wait(module: ModuleType, mappings: tuple[str, ...]) -> None:
    for name in mappings:
        mapping = getattr(module, name, None)
        registered = getattr(mapping, "_extra_content", None)
        if isinstance(registered, dict) and not isinstance(registered, _Waiting):
            mapping._extra_content = _Waiting(registered)  # type: ignore[union-attr]


class _AfterAutoModules:
    """A finder that prepares the mappings just after their modules have made them."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: object = None) -> ModuleSpec | None:
        mappings = _MAPPINGS.get(name)
        if mappings is None:
            return None
        spec = PathFinder.find_spec(name, path)
        loader = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return None
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _wait(module, mappings)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
