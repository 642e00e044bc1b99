"""How likely a model of transformers finds each of a task's choices as the answer.

As in lm-evaluation-harness and lmms-eval: the log-probability of the choice's own tokens behind
the prompt, summed, or with `normalize: tokens` (unless given) their mean. A model with an encoder
is asked for the end as well, which its targets have.

Legend: C choices, T tokens, K kept places, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from unified_vl.inference.inputs import chunks
from unified_vl.other_models.asking import Question
from unified_vl.other_models.reading import Said

if TYPE_CHECKING:
    from unified_vl.other_models.hf_inputs import HfInputs
    from unified_vl.other_models.other_model import How

IGNORED = -100


def score_choices(
    model: Any, inputs: HfInputs, question: Question, how: How, batch_size: int
) -> Said:
    """All choices of a task with their scores, the best first.

    Args:
        model: the model.
        inputs: makes its inputs.
        question: the row.
        how: has the choices.
        batch_size: choices at once.
    """
    found: list[tuple[str, float]] = []
    for some in chunks(how.choices, batch_size):
        encoder = model.config.is_encoder_decoder
        score = _of_decoder if encoder else _of_causal
        for choice, (total, count) in zip(
            some, score(model, inputs, question, some, how.bare), strict=True
        ):
            mean = how.generate.normalize != "none"
            found.append((choice, total / max(count, 1) if mean else total))
    ranked = sorted(found, key=lambda one: -one[1])
    return Said(text=ranked[0][0], score=ranked[0][1], ranked=tuple(ranked))


def _of_causal(
    model: Any, inputs: HfInputs, question: Question, choices: Sequence[str], bare: bool
) -> list[tuple[float, int]]:
    """Of each choice the sum of its tokens' log-probabilities, and how many they are."""
    space = "" if inputs.chats else " "
    alone_T = inputs.of([question], bare=bare, padding_side="right")["input_ids"][0].tolist()
    behind = [space + choice for choice in choices]
    batch = inputs.of([question], bare=bare, padding_side="right", behind=behind)
    ids_CT, mask_CT = batch["input_ids"], batch["attention_mask"].bool()
    starts = [_common(alone_T, row) for row in ids_CT.tolist()]
    first = min(starts)
    logits_CKV = _logits(model, batch, first - 1)
    places_T = torch.arange(ids_CT.shape[1], device=ids_CT.device)
    start_C1 = torch.tensor(starts, device=ids_CT.device)[:, None]
    labels_CT = ids_CT.where(mask_CT & (places_T >= start_C1), IGNORED)
    return _sums(logits_CKV[:, :-1], labels_CT[:, first:])


def _of_decoder(
    model: Any, inputs: HfInputs, question: Question, choices: Sequence[str], bare: bool
) -> list[tuple[float, int]]:
    batch = inputs.of([question], bare=bare, padding_side="right", behind=[""] * len(choices))
    inputs.tokenizer.padding_side = "right"
    targets = inputs.tokenizer(text_target=list(choices), padding=True, return_tensors="pt")
    mask_CT = targets["attention_mask"].bool()
    labels_CT = targets["input_ids"].where(mask_CT, IGNORED).to(model.device)
    return _sums(model(**batch, labels=labels_CT).logits, labels_CT)


def _logits(model: Any, batch: Mapping[str, Any], first: int) -> torch.Tensor:
    """The logits from a place on: all of a long prompt's would not fit into memory."""
    length = batch["input_ids"].shape[1]
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        return model(**batch, logits_to_keep=length - first, use_cache=False).logits
    return model(**batch, use_cache=False).logits[:, first:]


def _sums(logits_CKV: torch.Tensor, labels_CK: torch.Tensor) -> list[tuple[float, int]]:
    lost_CK = F.cross_entropy(
        logits_CKV.float().transpose(1, 2), labels_CK, reduction="none", ignore_index=IGNORED
    )
    counts_C = (labels_CK != IGNORED).sum(1)
    return list(zip((-lost_CK.sum(1)).tolist(), counts_C.tolist(), strict=True))


def _common(alone: Sequence[int], whole: Sequence[int]) -> int:
    """How many ids two sequences begin with alike; at least one, which nothing is asked of."""
    count = 0
    for one, other in zip(alone, whole, strict=False):
        if one != other:
            break
        count += 1
    return max(count, 1)
