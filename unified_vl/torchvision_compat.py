"""Let a CPU build of torch live with the default (CUDA) build of torchvision.

That torchvision registers its operators from a library which a CPU torch cannot
load; importing it then fails with "operator torchvision::nms does not exist",
because it declares a fake implementation for schemas that were never defined.
timm and parts of transformers import torchvision, so the mix breaks them too.
Defining the missing schemas is enough: none of the operators is called here.
"""

from __future__ import annotations

import importlib.util

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library: object | None = None  # the definitions live as long as this object


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
