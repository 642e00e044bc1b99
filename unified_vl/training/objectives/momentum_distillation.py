"""Soft targets that a momentum copy of the weights makes (ALBEF, arXiv 2107.07651, section 3.4).

What the copy finds likely at each place of a target takes a share of the data's target there: a
caption that says something else than the picture shows is then learnt less, and what fits as well
as the words of the data is no mistake. Logits of a large vocabulary are never there whole.

Legend: B rows, T target length, R target tokens, M width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.backbone import Backbone, UnifiedVLOutput
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.learning.teacher_logits import divergence_sum
from unified_vl.specs.objectives.keys import OBJECTIVES, MomentumDistillationKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.reading.target_tokens import of_target_tokens

NAME = "momentum_distillation"


def share_at(batches: int, share: float, ramp: int) -> float:
    """The share of the copy in the batch behind so many of the task."""
    return share * min(batches / ramp, 1.0) if ramp else share


class MomentumDistillation(Objective):
    """KL(copy || model) of each target token's probabilities, summed over them.

    With a share `a` the task's loss is (1 - a) cross-entropy + a KL: by its gradients the
    cross-entropy with a mixture of the data's target and the copy's.

    Args:
        share: within [0, 1).
        ramp: batches of the task over which it grows from 0, as in ALBEF's first epoch.
    """

    reads_logits = False
    reads_momentum = True
    takes_share = True
    per = "token"

    def __init__(self, share: float, ramp: int = 0) -> None:
        super().__init__(share)
        self.share, self.ramp = share, ramp

    def begin(self, batches: int) -> None:
        self.weight = share_at(batches, self.share, self.ramp)

    def momentum(self, model: Backbone, batch: Batch) -> Mapping[str, torch.Tensor]:
        """The copy's states of target tokens and its head: `soft_states` (R, M), `soft_head`
        (V, M); `soft_logits` (R, V) of a model whose logits are more than a product."""
        labels_BT = batch.labels_BT
        assert labels_BT is not None, "rows of training have targets"
        output = model.forward(
            **batch.model_inputs(),
            targets=Targets(torch.full_like(labels_BT, IGNORED), logits=False),  # no loss of them
            packing=batch.packing,
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels_BT),
            use_cache=False,
        )
        state_RM, head = of_target_tokens(output.target_states, batch), model.head()
        if head is None:
            return {"soft_logits": model.logits(state_RM)}
        return {"soft_states": state_RM, "soft_head": head.weight.clone()}

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """The divergence, in the call of the model that has its head's weights."""
        shown, head = output.momentum, model.head()
        assert shown is not None and output.target_states is not None
        state_RM = of_target_tokens(output.target_states, batch)
        if head is None:
            log_RV, shown_RV = (
                each.float().log_softmax(-1)
                for each in (model.logits(state_RM), shown["soft_logits"])
            )
            return {NAME: F.kl_div(log_RV, shown_RV, reduction="sum", log_target=True)}
        copied = replace(head, weight=shown["soft_head"])
        return {NAME: divergence_sum(state_RM, shown["soft_states"], head, copied, 1.0)}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.beside is not None
        found: torch.Tensor = output.beside[NAME]
        return found


MOMENTUM_DISTILLATION = ObjectiveKind(
    NAME,
    MomentumDistillationKeys,
    lambda entry, config: MomentumDistillation(
        entry.momentum_distillation, entry.momentum_distillation_ramp
    ),
    OBJECTIVES[NAME].rules,
)
