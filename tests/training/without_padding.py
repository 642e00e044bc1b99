"""What a run learns from a batch, with its padding and without."""

from __future__ import annotations

import torch

from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone
from unified_vl.model.learning.target_loss import Targets
from unified_vl.specs.run import Run
from unified_vl.training.build import build


def check_tasks(run: Run, *tasks: str) -> list[Batch]:
    """Losses and gradients of a batch of each task are the same; returns the batches.

    Args:
        run: with `packing`, and without dropout.
        tasks: by name.
    """
    parts = build(run)
    model = parts.model.double().train()
    batches = [parts.streams[task].batch(0) for task in tasks]
    for batch in batches:
        assert batch.packing is not None and batch.places == batch.counts.tokens
        found, expected = (learn(model, batch, packed=packed) for packed in (True, False))
        assert found.keys() == expected.keys()
        for name, value in found.items():
            error, size = float((value - expected[name]).norm()), float(expected[name].norm())
            assert error <= 1e-5 * max(size, 1e-3), (batch.task, name, error, size)
    return batches


def learn(model: Backbone, batch: Batch, *, packed: bool) -> dict[str, torch.Tensor]:
    """The loss of a batch, and the gradient of every weight."""
    assert batch.labels_BT is not None
    model.zero_grad()
    output = model(
        **batch.model_inputs(),
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(batch.labels_BT),
        targets=Targets(batch.labels_BT, 0.1, 0.01, logits=False),
        packing=batch.packing if packed else None,
        use_cache=False,
    )
    output.target_loss.backward()
    weights = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": output.target_loss.detach(), **weights}
