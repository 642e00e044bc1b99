"""Robustness to small changes of what is read (VILLA, arXiv 2006.06195; FreeLB, arXiv 1909.11764).

The embeddings of a source, of its words and of its images' places, are moved a little to where the
loss of its target is larger; there the target is learnt, too, and that nothing else becomes likely.

Legend: B rows, S source length, N tokens of sources (B * S, or those of a batch without padding),
T target length, R target tokens, M width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.model.layers.known_ids import known_ids
from unified_vl.model.learning.symmetric_divergence import (
    symmetric_divergence_of_logits,
    symmetric_divergence_sum,
)
from unified_vl.model.learning.target_loss import Targets, chunked_loss_sum
from unified_vl.specs.objectives.keys import OBJECTIVES, AdversarialKeys, AdversarialSpec
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.reading.target_tokens import of_target_tokens, target_labels

NAME = "adversarial"
TINY = 1e-30  # a gradient of nothing stays nothing


class Adversarial(Objective):
    """The cross-entropy of target tokens of a changed source, and how unlike the probabilities are
    to those of the source as it is: KL both ways; both summed over target tokens.

    Args:
        spec: the keys of the task.
        config: of the model.
    """

    reads_logits = False
    per = "token"

    def __init__(self, spec: AdversarialSpec, config: BackboneConfig) -> None:
        super().__init__(spec.weight)
        self.spec, self.config = spec, config

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """The loss, in the call of the model that has its weights. The image branch is not asked
        again: its places are among the embeddings."""
        embedded, labels_BT = output.source_embeddings, batch.labels_BT
        assert embedded is not None and labels_BT is not None
        read = partial(
            model.target_states,
            source_ids=batch.input_ids_BS,
            source_mask=batch.attention_mask_BS,
            target_ids=model.prepare_decoder_input_ids_from_labels(labels_BT),
            packing=batch.packing,
        )
        change = self._change(model, embedded.detach(), batch, read)
        changed_RM = of_target_tokens(read(embedded + change), batch)
        plain_RM, head = of_target_tokens(output.target_states, batch), model.head()
        crossed = _cross_entropy(model, changed_RM, batch)
        if head is not None:
            return {NAME: crossed + symmetric_divergence_sum(plain_RM, changed_RM, head)}
        logits = model.logits(plain_RM), model.logits(changed_RM)
        return {NAME: crossed + symmetric_divergence_of_logits(*logits)}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.beside is not None
        found: torch.Tensor = output.beside[NAME]
        return found

    def _change(
        self, model: Backbone, embedded: torch.Tensor, batch: Batch, read: Any
    ) -> torch.Tensor:
        """What makes the loss larger, of the shape of `embedded`, which has no gradients.

        Each step goes along the gradient of its row, and back to the ball around the row. All
        steps, and what is learnt at the end, are with the same dropout (FreeLB, section 3.3).
        Weights have no gradients of it.
        """
        moved_N, row_N = self._places(batch)
        rows = len(batch.input_ids_BS)
        flat_NM = embedded.reshape(len(row_N), -1).float() * moved_N[:, None]
        size_B = _norms(flat_NM, row_N, rows)
        change_NM = torch.zeros_like(flat_NM)
        devices = [embedded.device] if embedded.is_cuda else []
        for _ in range(self.spec.steps):
            change_NM.requires_grad_()
            with torch.random.fork_rng(devices), torch.enable_grad():
                change = change_NM.reshape(embedded.shape).to(embedded.dtype)
                state_RM = of_target_tokens(read(embedded + change), batch)
                loss = _cross_entropy(model, state_RM, batch, of_weights=False)
                (slope_NM,) = torch.autograd.grad(loss, change_NM)
            slope_NM = slope_NM * moved_N[:, None]
            step_B = self.spec.step_size * size_B / _norms(slope_NM, row_N, rows).clamp(min=TINY)
            change_NM = change_NM.detach() + slope_NM * step_B[row_N, None]
            most_B = self.spec.epsilon * size_B / _norms(change_NM, row_N, rows).clamp(min=TINY)
            change_NM = change_NM * most_B.clamp(max=1.0)[row_N, None]
        return change_NM.reshape(embedded.shape).to(embedded.dtype)

    def _places(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Which tokens may be moved, and of which row each is: (N,) both."""
        ids_BS = batch.input_ids_BS
        moved_BS = batch.attention_mask_BS.bool()
        if self.spec.places != "all":
            names = ("image_token_id", "regions_token_id")
            held = [getattr(self.config, name, None) for name in names]
            held += getattr(self.config, "frame_token_ids", None) or ()
            seen = tuple(number for number in held if number is not None)
            of_images_BS = torch.isin(ids_BS, known_ids(seen, ids_BS.device))
            moved_BS = moved_BS & (of_images_BS == (self.spec.places == "images"))
        rows, length = ids_BS.shape
        row_N = torch.arange(rows, device=ids_BS.device).repeat_interleave(length)
        if batch.packing is None:
            return moved_BS.flatten(), row_N
        token_N = batch.packing.source.token_N
        return moved_BS.flatten()[token_N], row_N[token_N]


def _norms(x_NM: torch.Tensor, row_N: torch.Tensor, rows: int) -> torch.Tensor:
    """The length of each row's numbers, (B,)."""
    square_N = x_NM.square().sum(-1)
    return square_N.new_zeros(rows).index_add(0, row_N, square_N).sqrt()


def _cross_entropy(
    model: Backbone, state_RM: torch.Tensor, batch: Batch, *, of_weights: bool = True
) -> torch.Tensor:
    """Summed over target tokens.

    Args:
        model: whose head scores.
        state_RM: of target tokens.
        batch: that they are of.
        of_weights: whether the head has gradients, too.
    """
    label_N, head = target_labels(batch), model.head()
    label_R = label_N[label_N != IGNORED]
    if head is None:
        return F.cross_entropy(model.logits(state_RM).float(), label_R, reduction="sum")
    if not of_weights:
        head = replace(head, weight=head.weight.detach())
    return chunked_loss_sum(state_RM, label_R, head, Targets(label_R, logits=False))


def _make(entry: Any, config: BackboneConfig) -> Objective:
    return Adversarial(entry.adversarial, config)


ADVERSARIAL = ObjectiveKind(NAME, AdversarialKeys, _make, OBJECTIVES[NAME].rules)
