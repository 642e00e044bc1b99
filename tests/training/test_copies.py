"""Copies to a GPU: the order of calls, on stand-ins for streams. No GPU has run this.

The copies themselves go to torch's `meta` device, which like a GPU is another one than the CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from unified_vl.codecs.sequence import Encoded
from unified_vl.data.batching import EncodedExample, collate_encoded
from unified_vl.data.example import Example
from unified_vl.training import prefetch
from unified_vl.training.distributed.copies import Copies
from unified_vl.training.update import TaskBatch

META = torch.device("meta")


class Stream:
    """Notes what it is asked for."""

    def __init__(self, calls: list[Any], name: str) -> None:
        self.calls, self.name = calls, name

    def record_event(self) -> str:
        self.calls.append(("event", self.name))
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.calls.append(("wait", self.name, event))


class Cuda:
    """Stands in for `torch.cuda`, and notes what tensors are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Any] = []
        self.computing = Stream(self.calls, "computing")
        self.now = "computing"
        moved = torch.Tensor.to

        def pin(tensor: torch.Tensor) -> torch.Tensor:
            self.calls.append("pin")
            return tensor.clone()  # another one, as it really is

        def to(tensor: torch.Tensor, device: torch.device, *, non_blocking: bool) -> torch.Tensor:
            self.calls.append(("copy", self.now, non_blocking))
            return moved(tensor, device)

        def lend(tensor: torch.Tensor, stream: Stream) -> None:
            assert tensor.device == META
            self.calls.append(("lend", stream.name))

        monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
        monkeypatch.setattr(torch.Tensor, "to", to)
        monkeypatch.setattr(torch.Tensor, "record_stream", lend)

    def Stream(self, device: torch.device) -> Stream:
        assert device == META
        return Stream(self.calls, "copying")

    def set_device(self, device: torch.device) -> None:
        self.calls.append(("device", device))

    def current_stream(self, device: torch.device) -> Stream:
        assert device == META
        return self.computing

    @contextlib.contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        self.now = stream.name
        yield
        self.now = "computing"


@pytest.fixture
def update() -> list[TaskBatch]:
    """Two parts without padding, with an image and rows of unlike lengths."""
    example = Example("task", "en", "0", (), (), {}, {}, "rows.jsonl:1", None)
    image = [np.zeros((2, 2, 3), np.uint8)]
    rows = [
        EncodedExample(example, Encoded(source, image), Encoded(target))
        for source, target in (([5, 6, 7], [6]), ([5], [6, 7]))
    ]
    part = collate_encoded(rows, packed=True)
    return [TaskBatch("task", (part, part))]


def tensors_of(update: list[TaskBatch]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    for part in (part for batch in update for part in batch.parts):
        part.changed(note)
    return found


def test_all_of_a_batch_is_pinned_copied_and_waited_for_on_the_gpu_alone(
    update: list[TaskBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(tensors_of(update))
    assert count >= 2 * (4 + 8)  # ids, mask, labels and pixels; what packing needs
    cuda = Cuda(monkeypatch)
    copies = Copies(META, cuda)
    sent = copies.sent(iter([update, update]))
    assert cuda.calls == []  # the thread that asks for the first does all of it
    first, second = sent
    one = [*["pin"] * count, *[("copy", "copying", True)] * count, ("event", "copying")]
    assert cuda.calls == [("device", META), *one, *one]
    cuda.calls.clear()
    found = copies.arrived(first)
    waited = ("wait", "computing", "event of copying")
    assert cuda.calls == [waited, *[("lend", "computing")] * count]
    assert {tensor.device for tensor in tensors_of(found)} == {META}
    assert [batch.task for batch in found] == ["task"]
    for mine, given in zip(found[0].parts, update[0].parts, strict=True):
        assert mine.counts == given.counts and mine.examples == given.examples
    assert copies.arrived(second)


@pytest.mark.parametrize(("device", "copied"), [("cpu", False), ("cuda:0", True)])
def test_only_gpus_are_copied_to(
    device: str, copied: bool, update: list[TaskBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu: list[TaskBatch] = []

    class Noted:
        def __init__(self, to: torch.device) -> None:
            assert to == torch.device("cuda", 0)

        def sent(self, updates: Iterator[list[TaskBatch]]) -> Iterator[str]:
            return (f"update {number}" for number, _ in enumerate(updates))

        def arrived(self, sent: str) -> list[TaskBatch]:
            assert sent == "update 0"
            return on_gpu

    monkeypatch.setattr(prefetch, "Copies", Noted)
    monkeypatch.setattr(prefetch, "batches_ahead", lambda training: iter([update]))
    training: Any = SimpleNamespace(process=SimpleNamespace(device=torch.device(device)))
    (found,) = [given() for given in prefetch.updates_ahead(training)]
    assert (found is on_gpu) == copied
    if not copied:
        assert found[0] is update[0]
