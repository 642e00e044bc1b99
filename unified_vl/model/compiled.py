"""A model whose encoder and steps of decoding are compiled programs.

Legend: B sources still running, K hypotheses of a source, H heads, D width of a head,
G = B * H, S source length, T positions, N slots (T * K), P = S or N, V vocabulary, R = B * K,
C candidates, L layers, 2 keys and values.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from unified_vl.model.incremental import BeamDecoder, hiding_others
from unified_vl.model.programs import CompiledPrograms
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


def compile_model(model: UnifiedVLForConditionalGeneration) -> None:
    """Let a model's blocks and its steps of decoding be compiled programs from now on.

    They keep the weights that the model has when each is first needed, so it learns no more
    (its parameters ask for no gradients); to be trained further it must be loaded anew.

    Raises:
        UserError: when no C++ compiler is found.
    """
    model.eval().requires_grad_(False)
    model.programs = CompiledPrograms(model)
    model.encoder.compiled_blocks = model.programs.encode


def beam_decoder(
    model: UnifiedVLForConditionalGeneration,
    memory_BSM: torch.Tensor,
    mask_BS: torch.Tensor,
    positions: int,
    width: int = 1,
) -> BeamDecoder:
    """The decoder of a model: compiled where the model is."""
    kind = BeamDecoder if model.programs is None else CompiledBeamDecoder
    return kind(model, memory_BSM, mask_BS, positions, width)


class CompiledBeamDecoder(BeamDecoder):
    """`BeamDecoder` whose steps are a program's."""

    first_positions = 16  # a program reads all slots there are, written or not

    def __init__(
        self,
        model: UnifiedVLForConditionalGeneration,
        memory_BSM: torch.Tensor,
        mask_BS: torch.Tensor,
        positions: int,
        width: int = 1,
    ) -> None:
        super().__init__(model, memory_BSM, mask_BS, positions, width)
        self._kept_L2GND.zero_()  # what is hidden is read, too, and must be a number
        if self._memory_bias_B11S is None:
            self._memory_bias_B11S = memory_BSM.new_zeros(len(mask_BS), 1, 1, mask_BS.shape[1])
        self._views: list[torch.Tensor] | None = None

    def next_logits(self, ids_BK: torch.Tensor) -> torch.Tensor:
        return self._run(ids_BK, None)[0]

    def next_scores(
        self, ids_BK: torch.Tensor, enough: int | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if enough is None:
            return super().next_scores(ids_BK, None)
        score_RC, id_RC = self._run(ids_BK, enough)
        return score_RC, id_RC

    def _run(self, ids_BK: torch.Tensor, enough: int | None) -> list[torch.Tensor]:
        if self.make_room() or self._views is None:
            self._views = self._running()
        program = self.model.programs.step(self.width, enough)
        first = self.step_count * self.width
        slots_K = torch.arange(first, first + self.width, device=ids_BK.device)
        found = program(self._embedded(ids_BK), slots_K, *self._biases(), *self._views)
        self.step_count += 1
        return found

    def keep(self, running_B: torch.Tensor) -> torch.Tensor:
        self._views = None
        return super().keep(running_B)

    def _running(self) -> list[torch.Tensor]:
        """What of the memory belongs to the sources still running: its bias, what was written
        and what they are, each a dense tensor."""
        assert self._memory_bias_B11S is not None
        groups = self.sources * self.heads
        views = [self._memory_bias_B11S[: self.sources]]
        for memory_L2GPD in (self._kept_L2GND, self._cross_L2GSD):
            for part_GPD in memory_L2GPD.flatten(0, 1):
                views.append(part_GPD[:groups].unflatten(0, (-1, self.heads)))
        return views

    def _biases(self) -> list[torch.Tensor]:
        """Of the layers that have their own, over all slots."""
        room = self._kept_L2GND.shape[3] // self.width
        start = self.positions - 1 - self.step_count
        biases = []
        for position_1H1T in self._position_1H1T:
            if position_1H1T is None:
                continue
            known_1H1T = position_1H1T[..., start : start + room]
            floor = torch.finfo(known_1H1T.dtype).min  # hides what was not written yet
            bias = F.pad(known_1H1T, (0, room - known_1H1T.shape[-1]), value=floor)
            if self.width > 1:
                bias = hiding_others(bias, self._slots_BKT[: self.sources, :, :room])
            biases.append(bias.contiguous())  # padding by nothing gives the view
        return biases
