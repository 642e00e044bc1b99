"""One encoder-decoder model for every vision-language and language task.

>>> from unified_vl import UnifiedVL
>>> model = UnifiedVL.from_pretrained("runs/demo/model")
>>> model.predict("emoji_caption", image="cat.png", language="de").text
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.inference.retrieval import Retriever

__all__ = ["Retriever", "UnifiedVL", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load torch only for those who ask for the model; `--help` stays quick."""
    if name == "UnifiedVL":
        from unified_vl.inference.predictor import UnifiedVL

        return UnifiedVL
    if name == "Retriever":
        from unified_vl.inference.retrieval import Retriever

        return Retriever
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
