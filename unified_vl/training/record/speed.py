"""How fast a run is: real tokens and images a second, what it waits for, how well the device is
used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unified_vl.data.counts import Counts
from unified_vl.model.work import Work

NOTABLE = 0.03  # share of waiting from which the line for people tells it


@dataclass
class _Sums:
    seconds: float = 0.0
    waited: float = 0.0
    tokens: float = 0.0
    images: float = 0.0
    operations: float = 0.0

    def add(self, other: _Sums, share: float) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + share * value)


class SpeedMeter:
    """Adds up what steps computed and how long they took, by task.

    Only steps count: neither validations nor checkpoints. A joint step's time and tokens are its
    tasks' by their tokens.

    Args:
        work: of the model; None where it is not known.
        peak: operations a second of all devices together; None where it is not known.
        memory: the most bytes so far.
    """

    def __init__(
        self,
        work: Work | None = None,
        peak: float | None = None,
        memory: Callable[[], int] | None = None,
    ) -> None:
        self._work = work if peak else None
        self._peak = peak or 1.0
        self._memory = memory
        self._tasks: dict[str, _Sums] = {}
        self._all = _Sums()

    def add(
        self, tasks: Sequence[str], counts: Sequence[Counts], seconds: float, waited: float
    ) -> None:
        """A step with a batch of each of `tasks`.

        Args:
            counts: of each batch, on all ranks.
            seconds: that it took.
            waited: those of them in which there was no batch yet.
        """
        for task, of_task in zip(tasks, counts, strict=True):
            share = of_task.tokens / max(sum(each.tokens for each in counts), 1)
            work = 0.0 if self._work is None else self._work.operations(of_task)
            sums = _Sums(seconds * share, waited * share, of_task.tokens, of_task.images, work)
            self._tasks.setdefault(task, _Sums()).add(sums, 1.0)
            self._all.add(sums, 1.0)

    def take(self, task: str) -> dict[str, float]:
        """What is known of a task's steps since this was asked last; empty if it had none."""
        found = self._told(self._tasks.pop(task, _Sums()))
        if found and self._memory is not None:
            found["peak_memory_mb"] = round(self._memory() / 1e6, 1)
        return found

    def line(self) -> str:
        """What is known of all steps since this was asked last, for people."""
        found, self._all = self._told(self._all), _Sums()
        if not found:
            return ""
        parts = [f"{found['tokens_per_second']:,.0f} tokens/s"]
        if found["images_per_second"]:
            parts.append(f"{found['images_per_second']:,.0f} images/s")
        if found["data_wait"] >= NOTABLE:
            parts.append(f"{found['data_wait']:.0%} waiting for data")
        if "mfu" in found:
            parts.append(f"MFU {found['mfu']:.1%}")
        return ", ".join(parts)

    def _told(self, sums: _Sums) -> dict[str, float]:
        if sums.seconds <= 0:
            return {}
        found = {
            "step_seconds": round(sums.seconds, 4),
            "tokens_per_second": round(sums.tokens / sums.seconds, 1),
            "images_per_second": round(sums.images / sums.seconds, 2),
            "data_wait": round(sums.waited / sums.seconds, 4),
        }
        if self._work is not None:
            found["mfu"] = round(sums.operations / sums.seconds / self._peak, 5)
        return found
