"""A saved model of this project as something to start from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import VOCABULARY, load_tokenizer
from unified_vl.codecs.texts.loading import text_files
from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.tensor_files import TensorFiles, weight_files
from unified_vl.model.saved_configuration import CONFIG, TOKENIZER, own_configuration
from unified_vl.specs.runs.model import Architecture

EMBEDDING = "encoder.embedding.weight"


class SavedModel:
    """What `save_model` wrote, in one file or in several with an index.

    Args:
        directory: of it.

    Raises:
        UserError: naming the file that is missing or broken.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.about = f"the model {directory}"
        config = own_configuration(directory / CONFIG)
        if getattr(config, "int8", False):
            raise UserError(
                "a model in int8 learns no more",
                file=directory,
                expected="the model that it was made of",
            )
        self.architecture = architecture_of(config)
        self.row_names = row_names(*load_tokenizer(directory / TOKENIZER))
        self._files = TensorFiles(weight_files(directory))
        rows = self.shapes.get(EMBEDDING, (0,))[0]
        if rows != len(self.row_names):
            raise UserError(
                f"the tokenizer is of {len(self.row_names)} rows of the embedding, and there are "
                f"{rows}",
                file=directory,
                expected="the tokenizer that the model was trained with",
            )

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: stored.shape for name, stored in self._files.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        return self._files.read(name, start, stop)

    @cached_property
    def fingerprint(self) -> str:
        tokenizer = self.directory / TOKENIZER
        others = (self.directory / CONFIG, tokenizer / VOCABULARY, *text_files(tokenizer))
        return self._files.fingerprint(*others)


def architecture_of(config: UnifiedVLConfig) -> dict[str, Any]:
    """The keys of a run's `model` that a configuration decides."""
    return {name: getattr(config, name) for name in Architecture.model_fields}
