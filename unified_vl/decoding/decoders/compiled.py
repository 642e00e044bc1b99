"""A model whose encoder and steps of decoding are compiled programs.

Legend: B sources still running, K hypotheses of a source, H heads, D width of a head,
S source length, T positions, N slots (T * K), P = S or N, V vocabulary, R = B * K, C candidates,
L layers, 2 keys and values.
"""

from __future__ import annotations

from functools import cached_property

import torch

from unified_vl.decoding.beams import Beams
from unified_vl.decoding.decoders.incremental import BeamDecoder
from unified_vl.decoding.decoders.programs import CompiledPrograms
from unified_vl.decoding.decoders.steps import BeamStep, LogitsStep, Step
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


def compile_model(model: UnifiedVLForConditionalGeneration) -> None:
    """Let a model's blocks and its steps of decoding be compiled programs from now on.

    They keep the weights that the model has when each is first needed, so it learns no more
    (its parameters ask for no gradients); to be trained further it must be loaded anew.

    Raises:
        UserError: when no C++ compiler is found, or for an encoder of two streams.
    """
    model.config.refuse_two_streams("compile", "compiled")
    model.eval().requires_grad_(False)
    model.programs = CompiledPrograms(model)
    model.encoder.compiled_blocks = model.programs.encode


class CompiledBeamDecoder(BeamDecoder):
    """`BeamDecoder` whose steps are a program's."""

    _memory: list[torch.Tensor] | None = None  # what `_running` gave, while it holds

    @cached_property
    def _positions_1T1H(self) -> list[torch.Tensor]:
        return [
            position_1H1T.transpose(1, 3).contiguous() for position_1H1T in self._positions_1H1T
        ]

    @cached_property
    def _numbers_N(self) -> torch.Tensor:
        return torch.arange(self.positions * self.width, device=self.model.device)

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        return self._run(LogitsStep, ids_BK)[0]

    def grow(self, beams: Beams) -> Beams:
        step = self._numbers_N[self.step_count]
        grown = self._run(BeamStep, beams.next_BK, step, *beams.tensors())
        self._slots_BKT = grown.pop()
        return Beams.of(grown)

    def _run(
        self, kind: type[Step], ids_BK: torch.Tensor, *others: torch.Tensor
    ) -> list[torch.Tensor]:
        if self.make_room() or self._memory is None:
            self._memory = self._running()
        first = self.step_count * self.width
        start = self.positions - 1 - self.step_count  # distances count back from the newest
        found = self.model.programs.step(kind, self.width)(
            self._embedded(ids_BK),
            self._numbers_N[first : first + self.width],
            self._slots_BKT[: self.sources],
            *(position_1T1H[:, start:] for position_1T1H in self._positions_1T1H),
            *self._memory,
            *others,
        )
        self.step_count += 1
        return found

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        self._memory = None
        return super().keep(running_B)

    def _running(self) -> list[torch.Tensor]:
        """What of the memory belongs to the sources still running: its bias, what was written
        and what they are, each a dense tensor."""
        views = [self._memory_bias()]
        for memory_L2BHPD in (self._kept_L2BHND, self._cross_L2BHSD):
            views += [part_BHPD[: self.sources] for part_BHPD in memory_L2BHPD.flatten(0, 1)]
        return views

    def _memory_bias(self) -> torch.Tensor:
        if self._memory_bias_B11S is None:
            length = self._cross_L2BHSD.shape[4]
            return self._cross_L2BHSD.new_zeros(self.sources, 1, 1, length)
        return self._memory_bias_B11S[: self.sources]
