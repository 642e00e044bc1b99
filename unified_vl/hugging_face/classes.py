"""The classes of a saved model in `transformers`; its `unified_vl_classes.py` names them."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
)

from unified_vl.auto_classes import MODEL_TYPE
from unified_vl.hugging_face.processor import UnifiedVLProcessor
from unified_vl.hugging_face.tokenizer import UnifiedVLTokenizer
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

__all__ = [
    "UnifiedVLConfig",
    "UnifiedVLForConditionalGeneration",
    "UnifiedVLProcessor",
    "UnifiedVLTokenizer",
]


def register() -> None:
    """Make them known; `unified_vl.auto_classes.register` does it once."""
    AutoConfig.register(MODEL_TYPE, UnifiedVLConfig, exist_ok=True)
    for auto in (AutoModelForSeq2SeqLM, AutoModelForImageTextToText):
        auto.register(UnifiedVLConfig, UnifiedVLForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(UnifiedVLConfig, UnifiedVLProcessor, exist_ok=True)
    AutoTokenizer.register(UnifiedVLConfig, tokenizer_class=UnifiedVLTokenizer, exist_ok=True)
