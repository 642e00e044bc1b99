"""`unified-vl train` that may end itself at a named point: what `kill_resume.py` starts.

    python benchmarks/dying_training.py [--death POINT TIME HOW] train RUN [--resume]

Under a launcher every rank is one of these. The points are reached by rank 0 alone, or first.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from unified_vl import files
from unified_vl.cli.main import main as unified_vl
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.training import checkpoint, trainer  # noqa: F401  what a fork of this then has
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.record.models import ModelWriter

BEST_MODEL = "best_model"


class Point(NamedTuple):
    """A function whose call is the moment, and the one within which it counts, if any."""

    place: Any
    name: str
    within: tuple[Any, str] | None = None


WRITES_BEST = (ModelWriter, "write_best")
POINTS = {
    "before the state of a checkpoint": Point(Engine, "save"),
    "before the manifest of a checkpoint": Point(checkpoint, "write_manifest"),
    "before the best model": Point(*WRITES_BEST),
    "within a model": Point(SequenceCodec, "save"),
    "between the renames of a model": Point(Path, "rename"),
    "within the best model": Point(SequenceCodec, "save", WRITES_BEST),
    "before the renames of the best model": Point(files, "replace_directory", WRITES_BEST),
    "between the renames of the best model": Point(Path, "rename", WRITES_BEST),
}
AIMS = {
    "": sorted(POINTS),
    BEST_MODEL: [name for name in sorted(POINTS) if name.endswith("the best model")],
}


def end_all() -> None:
    """As a power cut: every process of the launcher's group, this one among them."""
    os.killpg(0, signal.SIGKILL)


HOW: dict[str, Callable[[], None]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGKILL of all": end_all,
}


@dataclass(frozen=True)
class Death:
    """The process ends itself when it comes to a point for the time `time`, by `how`."""

    point: str
    time: int
    how: str = "SIGKILL"

    def __str__(self) -> str:
        return f"{self.point}, time {self.time}" + f", {self.how}" * (self.how != "SIGKILL")

    def install(self) -> None:
        """From now on this process waits for it."""
        point = POINTS[self.point]
        inside, left = point.within is None, self.time

        def entering(*arguments: Any, **more: Any) -> Any:
            nonlocal inside
            inside = True
            try:
                return enter(*arguments, **more)
            finally:
                inside = False

        def dying(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= inside
            if inside and left == 0:
                HOW[self.how]()
            return before(*arguments, **more)

        if point.within is not None:
            enter = getattr(*point.within)
            setattr(*point.within, entering)
        before = getattr(point.place, point.name)
        setattr(point.place, point.name, dying)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--local_rank", help="set by the deepspeed launcher")
    parser.add_argument("--death", nargs=3, metavar=("POINT", "TIME", "HOW"))
    # deepspeed's launcher takes a `--` away: what is not known here is unified-vl's
    options, command = parser.parse_known_args()
    if options.death and os.environ.get("RANK", "0") == "0":
        point, time, how = options.death
        Death(point, int(time), how).install()
    sys.argv = ["unified-vl", *command]
    unified_vl()


if __name__ == "__main__":
    main()
