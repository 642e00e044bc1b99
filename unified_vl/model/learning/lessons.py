"""What a teacher shows of a batch, and how far a student is from it.

Three losses, each a sum that the run divides by the rows or target tokens of all ranks:

- *logits*: KL from the teacher's probabilities to the student's, both at a temperature t, times t
  squared (arXiv 1503.02531, section 2.1); of a large vocabulary in chunks, never whole;
- *hidden*: 1 - cosine of the states behind each block (arXiv 1910.01108, section 3), through a
  matrix that is learnt where the widths differ (arXiv 1909.10351, equation 8);
- *attention*: KL from the teacher's attention maps (arXiv 2104.02096; 2002.10957, section 3.1).

A block of the student learns from the block of the teacher that stands at the same fraction of its
depth, its last from the last one.

Legend: B rows, S source length, T target length, N tokens, R target tokens, C those of a chunk,
M width of the student, W width of the teacher, V vocabulary, H heads, Q queries, K keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED
from unified_vl.data.packing import Packing
from unified_vl.model.learning.target_loss import Head
from unified_vl.model.learning.teacher_logits import divergence_sum

PLACES = {"encoder": "source", "decoder": "target", "cross": "target"}  # whose rows queries are of


@dataclass
class Seen:
    """What blocks gave in one forward pass.

    Attributes:
        states: behind each block of the encoder and of the decoder, (B, S, M) and (B, T, M), or
            (N, M) of tokens alone.
        maps: logarithms of attention, (B, H, Q, K) in float32, of each block of `PLACES`; one a
            group where a batch is computed without padding.
    """

    states: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    maps: dict[str, list[list[torch.Tensor]]] = field(default_factory=dict)


class Watch:
    """Sees what a model's blocks give, between `begin` and `end` alone.

    Args:
        model: of this project's architecture.
        hidden, attention: what is to be seen.
    """

    def __init__(self, model: Any, *, hidden: bool, attention: bool) -> None:
        self._seen: Seen | None = None
        for side, blocks in (("encoder", model.encoder.blocks), ("decoder", model.decoder.blocks)):
            for layer, block in enumerate(blocks):
                if hidden:
                    block.register_forward_hook(partial(self._note_state, side))
                if attention:
                    block.attend_self.watched = partial(self._note_map, side, layer)
                    if side == "decoder":
                        block.attend_cross.watched = partial(self._note_map, "cross", layer)

    def begin(self) -> None:
        """What is computed from here on is noted."""
        self._seen = Seen()

    def end(self) -> Seen:
        """What was computed since `begin`."""
        seen, self._seen = self._seen, None
        assert seen is not None, "`begin` comes before"
        return seen

    def _note_state(self, side: str, block: Any, inputs: Any, state: torch.Tensor) -> None:
        if self._seen is not None:
            self._seen.states.setdefault(side, []).append(state)

    def _note_map(
        self,
        name: str,
        layer: int,
        query_BHQD: torch.Tensor,
        key_BHKD: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> None:
        if self._seen is None:
            return
        score_BHQK = query_BHQD @ key_BHKD.transpose(-1, -2)
        if bias is not None:
            score_BHQK = score_BHQK + bias
        layers = self._seen.maps.setdefault(name, [])
        if len(layers) == layer:
            layers.append([])
        layers[layer].append(score_BHQK.float().log_softmax(dim=-1))


@dataclass(frozen=True)
class Lesson:
    """What a teacher shows of a batch.

    Attributes:
        seen: its hidden states and attention, those that are asked for.
        last: the states that its head scores, (B, T, W) or (N, W); None where no logits are.
        head: of the teacher, likewise.
        temperature: of the logits.
        labels_BT: -100 where there is no target.
        mask_BS: 1 for ids of sources and 0 for padding.
        packing: of the batch, where it is computed without padding.
    """

    seen: Seen
    last: torch.Tensor | None
    head: Head | None
    temperature: float
    labels_BT: torch.Tensor
    mask_BS: torch.Tensor
    packing: Packing | None = None

    def shares(self, place: str) -> torch.Tensor:
        """What each token counts, so that each row counts 1: (B, S), (B, T), or (N,)."""
        real = self.mask_BS.bool() if place == "source" else self.labels_BT != IGNORED
        share = _shares(real)
        if self.packing is None:
            return share
        return share.flatten()[getattr(self.packing, place).token_N]

    def shares_of_groups(self, place: str) -> list[torch.Tensor]:
        """The same of the rows that attend side by side, (rows, longest)."""
        if self.packing is None:
            return [self.shares(place)]
        found = []
        for group in self.packing.groups:
            mask = group.source_mask_BS if place == "source" else group.target_mask_BT
            shape = (group.rows, getattr(group, place))
            real = torch.ones(shape, dtype=torch.bool) if mask is None else mask
            found.append(_shares(real.to(self.labels_BT.device)))
        return found


def _shares(real_BL: torch.Tensor) -> torch.Tensor:
    return real_BL / real_BL.sum(dim=1, keepdim=True).clamp(min=1)


class Student(nn.Module):
    """The part of a model that learns from a teacher, and is in no saved model.

    Args:
        model: that learns.
        width: of the teacher.
        hidden, attention: whether those are learnt.
    """

    def __init__(self, model: Any, width: int, *, hidden: bool, attention: bool) -> None:
        super().__init__()
        self.watch = Watch(model, hidden=hidden, attention=attention)
        self.projections = nn.ModuleDict()
        own = model.config.d_model
        if hidden and own != width:
            self.projections.update(
                {side: nn.Linear(own, width, bias=False) for side in ("encoder", "decoder")}
            )

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing: a model is saved, copied and started from without it."""
        return kwargs.get("destination", {})

    def forward(
        self, lesson: Lesson, last: torch.Tensor, head: Head | None
    ) -> dict[str, torch.Tensor]:
        """How far the student, as it was watched since `watch.begin`, is from what a lesson shows.

        Args:
            lesson: of the teacher.
            last: the states that the student's head scores, (B, T, M) or (N, M).
            head: of the student.
        """
        seen, found = self.watch.end(), {}
        if lesson.last is not None and lesson.head is not None:
            assert head is not None, "its matrix is that of `UnifiedVL` models"
            labels = lesson.labels_BT
            if lesson.packing is not None:
                labels = labels.flatten()[lesson.packing.target.token_N]
            kept = labels != IGNORED
            found["logits"] = divergence_sum(
                last[kept], lesson.last[kept], head, lesson.head, lesson.temperature
            )
        if lesson.seen.states:
            found["hidden"] = self._of_states(lesson, seen)
        if lesson.seen.maps:
            found["attention"] = self._of_maps(lesson, seen)
        return found

    def _of_states(self, lesson: Lesson, seen: Seen) -> torch.Tensor:
        total, count = lesson.labels_BT.new_zeros((), dtype=torch.float32), 0
        for side, states in seen.states.items():
            share = lesson.shares(PLACES[side])
            for state, shown in pairs(states, lesson.seen.states[side]):
                own = self.projections[side](state) if side in self.projections else state
                unlike = 1.0 - F.cosine_similarity(own.float(), shown.float(), dim=-1)
                total, count = total + (unlike * share).sum(), count + 1
        return total / count

    def _of_maps(self, lesson: Lesson, seen: Seen) -> torch.Tensor:
        total, count = lesson.labels_BT.new_zeros((), dtype=torch.float32), 0
        for name, layers in seen.maps.items():
            shares = lesson.shares_of_groups(PLACES[name])
            for groups, shown in pairs(layers, lesson.seen.maps[name]):
                for own, theirs, share in zip(groups, shown, shares, strict=True):
                    total = total + (map_divergence(own, theirs) * share).sum()
                count += 1
        return total / count


def pairs(own: Sequence[Any], shown: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each block of a student beside the block of the teacher at the same fraction of its depth."""
    for layer, each in enumerate(own, 1):
        yield each, shown[-(-layer * len(shown) // len(own)) - 1]


def map_divergence(own_BHQK: torch.Tensor, shown_BHQK: torch.Tensor) -> torch.Tensor:
    """KL from the teacher's attention of each query, (B, Q): the mean over heads, or that of the
    means over heads where their numbers differ.

    Args:
        own_BHQK, shown_BHQK: logarithms of the student's and of the teacher's attention.
    """
    if own_BHQK.shape[1] != shown_BHQK.shape[1]:
        own_BHQK, shown_BHQK = map(_mean_of_heads, (own_BHQK, shown_BHQK))
    terms_BHQK = F.kl_div(own_BHQK, shown_BHQK, reduction="none", log_target=True)
    return terms_BHQK.sum(dim=-1).mean(dim=1)


def _mean_of_heads(log_BHQK: torch.Tensor) -> torch.Tensor:
    return log_BHQK.logsumexp(dim=1, keepdim=True) - math.log(log_BHQK.shape[1])
