"""How much heads and feed-forward units matter to the loss of a run's tasks.

*taylor*: the first-order change of the loss without the group, |sum of w * dL/dw| over its weights
in the way out (arXiv 1905.10650, equation 2; 1906.10771), summed over batches. *magnitude*: the
norm of its weights (arXiv 1803.03635), which needs no data.

Legend: H heads, F units.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch

from unified_vl.data.batching import Batch
from unified_vl.model.learning.target_loss import Targets
from unified_vl.training.compression.pruning import prunable

By = Literal["taylor", "magnitude"]


def importance(model: Any, batches: Iterable[Batch], by: By) -> dict[str, torch.Tensor]:
    """Of each attention the heads' (H,), by `heads:NAME`, and of each layer the units' (F,), by
    `units:NAME`.

    Args:
        model: of this project's architecture; it stays as it is.
        batches: of the tasks whose loss counts; not read for `magnitude`.
        by: what is measured.
    """
    parts = prunable(model)
    ways_out = {f"heads:{n}": (each.out, each.heads) for n, each in parts.attentions.items()}
    ways_out |= {f"units:{n}": (each.wo, each.wo.in_features) for n, each in parts.feeds.items()}
    if by == "magnitude":
        return {
            name: layer.weight.detach().square().sum(0).unflatten(0, (groups, -1)).sum(1).sqrt()
            for name, (layer, groups) in ways_out.items()
        }
    scores = {name: torch.zeros(groups) for name, (_, groups) in ways_out.items()}
    weights = [layer.weight for layer, _ in ways_out.values()]
    model.eval()
    for batch in batches:
        assert batch.labels_BT is not None, "rows of training have targets"
        ids_BT = model.prepare_decoder_input_ids_from_labels(batch.labels_BT)
        targets = Targets(batch.labels_BT, logits=False)
        with torch.enable_grad():
            output = model(**batch.model_inputs(), decoder_input_ids=ids_BT, targets=targets)
            loss = output.target_loss / max(batch.target_tokens, 1)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for (name, (_, groups)), weight, gradient in zip(
            ways_out.items(), weights, gradients, strict=True
        ):
            if gradient is not None:  # a resampler has none in a batch without images
                change = (weight.detach() * gradient).sum(0).unflatten(0, (groups, -1)).sum(1)
                scores[name] += change.abs().float().cpu()
    return scores
