"""One process among those of a run, and what they tell each other.

Legend: B rows of one process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed


@dataclass(frozen=True)
class Process:
    """This process among those of the run; all of them make the same calls."""

    rank: int
    world: int
    device: torch.device

    def barrier(self) -> None:
        """Wait for the others."""
        torch.distributed.barrier()

    def total(self, values: torch.Tensor) -> list[float]:
        """Numbers summed over the processes, in float64."""
        sums = values.detach().to(self.device, torch.float64).reshape(-1)
        if self.world > 1:
            torch.distributed.all_reduce(sums)
        return sums.tolist()

    def mean_(self, x: torch.Tensor) -> torch.Tensor:
        """Put the mean over the processes in the place of a tensor of the same shape on each."""
        if self.world > 1:
            torch.distributed.all_reduce(x)
            x.div_(self.world)
        return x

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """The rows of all processes, in the order of ranks; only its own carry gradients.

        Args:
            x: (B, ...), on every process of the same sizes but for the number of rows and
                dimension 1, which is filled up with zeros to the longest.
        """
        if self.world == 1:
            return x
        own = torch.tensor(x.shape[:2], device=x.device)
        sizes = [torch.empty_like(own) for _ in range(self.world)]
        torch.distributed.all_gather(sizes, own)
        rows, lengths = torch.stack(sizes).T.tolist()
        padded = x.new_zeros(max(rows), max(lengths), *x.shape[2:])
        padded[: len(x), : x.shape[1]] = x
        every = [torch.empty_like(padded) for _ in range(self.world)]
        torch.distributed.all_gather(every, padded.detach().contiguous())
        every[self.rank] = padded
        return torch.cat([each[:count] for each, count in zip(every, rows, strict=True)])

    def own_rows(self, rows: int) -> torch.Tensor:
        """Where this process's rows are among those that `gather` gives, (rows,).

        Args:
            rows: of this process.
        """
        own = torch.arange(rows, device=self.device)
        if self.world == 1:
            return own
        counts = own.new_zeros(self.world)
        counts[self.rank] = rows
        torch.distributed.all_reduce(counts)
        return own + counts[: self.rank].sum()

    def told_whole(self, part: torch.Tensor) -> torch.Tensor:
        """The sum over all processes of one number, with the gradients of this one's."""
        if self.world == 1:
            return part
        others = part.detach().clone()
        torch.distributed.all_reduce(others)
        return part + (others - part.detach())

    def gather_objects(self, value: Any) -> list[Any]:
        """What each process calls `value`, in the order of ranks."""
        if self.world == 1:
            return [value]
        every: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(every, value)
        return every

    def from_first(self, value: Any) -> Any:
        """What rank 0 calls `value`, on every process."""
        box = [value]
        if self.world > 1:
            torch.distributed.broadcast_object_list(box, src=0, device=self.device)
        return box[0]
