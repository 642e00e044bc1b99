"""Let a CPU build of torch live with the default (CUDA) build of torchvision.

That torchvision registers its operators from a library which a CPU torch cannot
load; importing it then fails with "operator torchvision::nms does not exist",
because it declares a fake implementation for schemas that were never defined.
timm and parts of transformers import torchvision, so the mix breaks them too.
Defining the missing schemas is enough: none of the operators is called here. It is done
when torchvision is imported, by whomever, so that `import unified_vl` loads no torch.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library: object | None = None  # the definitions live as long as this object


class _BeforeTorchvision:
    """A finder that has the operators defined just before torchvision's own code runs.

    Only that: asking whether torchvision is there, as transformers does, loads nothing.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name)
        loader = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return None
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            define_missing_operators()
            run(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def prepare_torchvision() -> None:
    """Let every later import of torchvision find its operators defined; may be called again."""
    if not any(isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeTorchvision())


def define_missing_operators() -> list[str]:
    """Define the torchvision operator schemas that its own library did not.

    Must run before torchvision is imported. Returns the names it defined: none
    where torchvision is absent or its library loads.
    """
    global _library
    if _library is not None or importlib.util.find_spec("torchvision") is None:
        return []
    if _own_library_loads():
        return []
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    defined = []
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
            defined.append(name)
    _library = library
    return defined


def _own_library_loads() -> bool:
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    from pathlib import Path

    for folder in spec.submodule_search_locations:
        for library in Path(folder).glob("_C*.so"):
            try:
                torch.ops.load_library(str(library))
            except OSError:
                continue
            return hasattr(torch.ops.torchvision, "nms")
    return False
