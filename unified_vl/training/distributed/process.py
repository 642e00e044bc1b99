"""One process among those of a run: how it joins the others, and what they tell each other.

Works as one process and under the `deepspeed` launcher: the launcher's environment
(`RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR`, `MASTER_PORT`) is used where it is
set and made up for one process where it is not.

Legend: B rows of one process.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed

from unified_vl.training.distributed.compiler_locks import release_compiler_locks

SHARED_MEMORY_OPERATOR = "deepspeed_shm_comm"


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


def start_process() -> Process:
    """Join the processes of the run, or be its only one; may be called again.

    The backend is NCCL on CUDA and gloo on CPU. `DS_ACCELERATOR=cpu` keeps a machine
    with a GPU on its CPU.
    """
    accelerator = os.environ.setdefault(
        "DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu"
    )
    backend = "nccl" if accelerator == "cuda" else "gloo"
    if "RANK" not in os.environ:
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1")
        # any port: one that is free now may be taken by another run a moment later
        os.environ["MASTER_PORT"] = "0"
    # collectives that DeepSpeed calls by their old names
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    device = torch.device("cpu")
    if accelerator == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if os.environ.get("LOCAL_RANK") == "0":
        for line in release_compiler_locks():
            print(line, file=sys.stderr)
    with quiet():
        import deepspeed

        logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
        # on CPU, DeepSpeed would compile a C++ operator that nothing here calls
        deepspeed.ops.__compatible_ops__[SHARED_MEMORY_OPERATOR] = False
        deepspeed.init_distributed(dist_backend=backend, verbose=False)
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return Process(rank, world, device)


def stop_process() -> None:
    """Leave the other processes; another training may follow in this one."""
    if not torch.distributed.is_initialized():
        return
    from deepspeed import comm

    gc.collect()  # a group that an ended training still holds would keep its threads
    if comm.is_initialized():
        comm.destroy_process_group()  # which also forgets the groups that it has kept
    else:
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What DeepSpeed prints goes to stderr: stdout is for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
