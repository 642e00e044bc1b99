"""One update of the weights: from the batches of one task, or of all tasks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from unified_vl.data.batching import IGNORED, Batch
from unified_vl.model.unified import UnifiedVLOutput
from unified_vl.specs.run import Run
from unified_vl.training.contrast import contrastive_loss
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.loss import step_loss, token_loss_sum


@dataclass(frozen=True)
class TaskBatch:
    """This rank's share of a global batch, in the parts in which it is computed."""

    task: str
    parts: tuple[Batch, ...]


@dataclass(frozen=True)
class TaskLoss:
    """What a batch of a task had to tell.

    Attributes:
        loss: the mean over its target tokens, on all ranks.
        tokens: their number.
        contrast: its contrastive loss, where the mixture asks for one.
    """

    task: str
    loss: float
    tokens: int
    contrast: float | None = None


def backward(
    engine: Engine,
    batches: Sequence[TaskBatch],
    tokens: Sequence[int],
    run: Run,
    weights: Mapping[str, float],
    contrasts: Mapping[str, float],
) -> list[TaskLoss]:
    """Leave the gradients of an update in the engine; says what each batch's loss was.

    Each batch counts by its token mean, times its task's weight. Several, of a joint
    update, count alike, or by their numbers of target tokens (`joint_weights`).

    Args:
        batches: this rank's share.
        tokens: target tokens of each batch, on all ranks.
        run: label smoothing and, in its mixture, `joint_weights`.
        weights, contrasts: of the tasks' losses and contrastive losses.
    """
    told = []
    for index, batch in enumerate(batches):
        share = 1 / len(batches)
        if run.loaded_mixture.schedule.joint_weights == "tokens":
            share = tokens[index] / sum(tokens)
        loss_sum = torch.zeros((), dtype=torch.float64)
        contrast_sum = 0.0
        for number, part in enumerate(batch.parts, 1):
            moved = part.to(engine.process.device)
            weight = contrasts[batch.task]
            output = engine.outputs(moved, contrast=weight > 0)
            part_sum = target_loss_sum(output, moved, run.label_smoothing)
            objective = step_loss(
                part_sum, tokens[index], engine.process.world, weights[batch.task]
            )
            if weight > 0:
                contrast = _contrast(engine, output, moved) / len(batch.parts)
                # every rank holds the whole loss, but gradients of its own rows only
                objective = objective + weight * engine.process.world * contrast
                contrast_sum += contrast.item()
            last = index + 1 == len(batches) and number == len(batch.parts)
            engine.backward(objective * share, last=last)
            loss_sum += part_sum.detach().cpu()
        loss = engine.process.total(loss_sum)[0] / tokens[index]
        told.append(
            TaskLoss(
                batch.task,
                loss,
                tokens[index],
                contrast_sum if contrasts[batch.task] > 0 else None,
            )
        )
    return told


def target_loss_sum(
    output: UnifiedVLOutput, batch: Batch, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy summed over the batch's target tokens."""
    assert batch.labels_BT is not None, "rows of training and validation have targets"
    assert output.logits is not None
    return token_loss_sum(output.logits, batch.labels_BT, label_smoothing)


def _contrast(engine: Engine, output: UnifiedVLOutput, batch: Batch) -> torch.Tensor:
    """The contrastive loss of all ranks' rows: a target's end token is no part of a caption."""
    assert batch.labels_BT is not None
    assert output.caption_features is not None
    assert output.image_features is not None
    ends_BT = batch.labels_BT == engine.model.config.eos_token_id
    words_BT = (~ends_BT & (batch.labels_BT != IGNORED)).to(output.caption_features.dtype)
    return contrastive_loss(
        engine.process.gather(output.caption_features),
        engine.process.gather(words_BT),
        engine.process.gather(output.image_features),
    )
