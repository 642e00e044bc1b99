"""Copies of batches to a GPU, which go on while the step before computes.

A copy runs beside the computation only where it reads pinned memory (which is never swapped out)
and is on a stream of its own. So the thread that prepares updates pins their tensors and asks for
the copies on a second stream, and the stream that computes waits for an event behind them, on the
GPU; no thread waits. Memory of the second stream that the first one reads is lent to it
(`Tensor.record_stream`), or it would be used again too early. On CPUs there are no copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from unified_vl.data.packing import Change
from unified_vl.training.update import TaskBatch


@dataclass(frozen=True)
class OnTheWay:
    """An update's batches in the memory of a GPU, or soon: `Copies.arrived` gives them."""

    batches: list[TaskBatch]
    event: Any


class Copies:
    """To one GPU. Not run on one yet: its order of calls is tested on stand-ins.

    Args:
        device: the GPU.
        cuda: `torch.cuda`, or what stands in for it.
    """

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._stream = cuda.Stream(device)

    def sent(self, updates: Iterator[list[TaskBatch]]) -> Iterator[OnTheWay]:
        """The same updates, each on its way; for the thread that prepares them."""
        self._cuda.set_device(self._device)  # each thread has its own
        for update in updates:
            pinned = _changed(update, torch.Tensor.pin_memory)
            with self._cuda.stream(self._stream):
                moved = _changed(pinned, lambda each: each.to(self._device, non_blocking=True))
                event = self._stream.record_event()
            # torch uses pinned memory again only when the copies have read it
            yield OnTheWay(moved, event)

    def arrived(self, update: OnTheWay) -> list[TaskBatch]:
        """Its batches, which what is asked for next on the current stream may read."""
        computing = self._cuda.current_stream(self._device)
        computing.wait_event(update.event)

        def lend(tensor: torch.Tensor) -> torch.Tensor:
            tensor.record_stream(computing)
            return tensor

        return _changed(update.batches, lend)


def _changed(update: Sequence[TaskBatch], change: Change) -> list[TaskBatch]:
    return [
        replace(each, parts=tuple(part.changed(change) for part in each.parts)) for each in update
    ]
