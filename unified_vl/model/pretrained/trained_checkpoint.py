"""A checkpoint of this project's training as something to start from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from unified_vl.codecs.row_names import row_names
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.errors import UserError
from unified_vl.model.backbones.adapter import TransformersBackbone, empty_backbone
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.pretrained.checkpoint import Stretches, described
from unified_vl.model.pretrained.saved_model import architecture_of
from unified_vl.model.pretrained.tensor_files import refuse_no_number
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.saved_configuration import CONFIG, TOKENIZER, own_configuration
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


class TrainedCheckpoint(Stretches):
    """The weights of a checkpoint, of any ZeRO stage and any number of ranks.

    Args:
        directory: OUTPUT/checkpoints/step-...

    Raises:
        UserError: for one that is not whole, or without anything that says what it is of.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.about = f"the checkpoint {directory}"
        folder = described(directory)
        config = own_configuration(folder / CONFIG)
        self.architecture: Mapping[str, Any] = architecture_of(config)
        self.row_names = row_names(*load_tokenizer(folder / TOKENIZER))
        with torch.device("meta"):
            self.shape(UnifiedVLForConditionalGeneration(config).state_dict())


class TrainedBackbone(TransformersCheckpoint):
    """The same of a model that `transformers` computes: its modules, and our stretches of weights.

    Args:
        directory: OUTPUT/checkpoints/step-...

    Raises:
        UserError: for one that is not whole.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.about = f"the checkpoint {directory}"
        self._stretches = Stretches(directory)

    def _load(self, config: TransformersConfig) -> TransformersBackbone:
        model = empty_backbone(config)
        state = model.state_dict()
        once = {name for name, _ in model.named_parameters()}  # a tied weight by its first name
        once |= {name for name, _ in model.named_buffers()} & set(state)
        self._stretches.shape(state)
        for name in sorted(once):
            if name not in self._stretches.shapes:
                raise UserError(f"the weight {name!r} is missing", file=self.directory)
            state[name].copy_(self._stretches.read(name))
            refuse_no_number(name, state[name], self.directory)
        return model.eval()

    @cached_property
    def fingerprint(self) -> str:
        return self._stretches.fingerprint
