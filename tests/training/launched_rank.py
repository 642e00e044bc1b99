"""A rank without a model: it waits to be asked for an end, and tells what asked.

Argument: a folder. `rank-N.ready` is there when it waits, `rank-N.asked` when it was asked; it
ends, as after a checkpoint, when the test has written `saved`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from unified_vl.files import write_atomically
from unified_vl.training.distributed.signals import StopSignals, name_of


def main(folder: Path) -> None:
    rank = os.environ["RANK"]
    with StopSignals() as signals:
        write_atomically(folder / f"rank-{rank}.ready", str(os.getpid()))
        while not signals.received:
            time.sleep(0.02)
        write_atomically(folder / f"rank-{rank}.asked", name_of(signals.received))
        while not (folder / "saved").exists():
            time.sleep(0.02)
        write_atomically(folder / f"rank-{rank}.ended", "")


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
