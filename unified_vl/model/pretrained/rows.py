"""Rows of an embedding and of a head for a vocabulary, from those of another.

Legend: R rows that are read at once, V rows of the vocabulary, M width of the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from unified_vl.codecs.row_names import LOCATION, SPECIAL, UNUSED
from unified_vl.data.order import draw_seed
from unified_vl.model.initialization import location_curves
from unified_vl.model.pretrained.pretrained import Pretrained

ROWS_AT_ONCE = 1 << 24  # numbers of a piece that is read: 64 MiB in float32
NOISE_OF_INPUTS = 1.0  # of a new row of the embedding: as far from the mean as a known one
NOISE_OF_OUTPUTS = 0.1  # of the head, or of both in one
_PLACE = re.compile(rf"{LOCATION}(\d+)/(\d+)")


@dataclass(frozen=True)
class RowPlan:
    """Where the row of each id is from.

    Attributes:
        names: what each row stands for.
        taken: by id, the row that stands for the same.
        between: by id, two rows and the share of the second: a place on an image's axis that was
            cut into another number of bins.
        kinds: of the rows that are there, by row.
    """

    names: Sequence[str | None]
    taken: dict[int, int]
    between: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    kinds: Sequence[str] = ()

    @property
    def new(self) -> list[int]:
        """The ids that nothing there stands for; those that are no token do not count."""
        return [
            i
            for i, name in enumerate(self.names)
            if i not in self.taken and i not in self.between and _kind(name) != UNUSED
        ]


def plan_rows(
    names: Sequence[str | None], theirs: Sequence[str | None] | None, count: int
) -> RowPlan:
    """Find rows by what they stand for.

    Args:
        names: of `codecs.row_names`, of the vocabulary that is to be served.
        theirs: of the rows that are there; None where an id means the same.
        count: how many rows are there.
    """
    if theirs is None:
        return RowPlan(names, {i: i for i in range(min(len(names), count))}, {}, [""] * count)
    places = {name: row for row, name in enumerate(theirs) if name is not None}
    taken = {i: places[name] for i, name in enumerate(names) if name in places}
    bins = [row for row, name in enumerate(theirs) if _kind(name) == LOCATION]
    between = {}
    for i, name in enumerate(names):
        found = _PLACE.fullmatch(name or "")
        if found and bins and i not in taken:
            between[i] = _neighbours(int(found[1]), int(found[2]), bins)
    return RowPlan(names, taken, between, [_kind(name) for name in theirs])


def _neighbours(place: int, count: int, bins: Sequence[int]) -> tuple[int, int, float]:
    """The rows whose centres are around that of bin `place` of `count`."""
    position = (place + 0.5) / count * len(bins) - 0.5
    position = min(max(position, 0.0), len(bins) - 1.0)
    low = min(int(position), len(bins) - 2) if len(bins) > 1 else 0
    return bins[low], bins[min(low + 1, len(bins) - 1)], position - low


@torch.no_grad()
def fill_rows(
    target_VM: torch.Tensor,
    pretrained: Pretrained,
    name: str,
    plan: RowPlan,
    *,
    seed: int,
    noise: float,
) -> None:
    """Fill a table of rows.

    A new row is the mean of the rows of its kind (pieces, tags, ...) plus noise, in each
    dimension a share of their standard deviation. Close to the mean, new rows of a head take
    next to nothing from what the model says (J. Hewitt, Initializing New Word Embeddings for
    Pretrained Language Models, 2021); new rows of an embedding that are as far from each other
    as known ones can be told apart. Places in an image, where none were known, start on smooth
    curves (`model.initialization`) about that mean.

    Args:
        target_VM: takes the rows.
        pretrained: has the table `name`.
        name: of it.
        plan: where each row is from.
        seed: of the run; a row's noise depends on it and on the name of the row alone.
        noise: the share.
    """
    source = torch.full((len(plan.names),), -1)
    for i, row in plan.taken.items():
        source[i] = row
    spread = _Spread(target_VM.shape[1])
    for start, rows_RM in pieces_of(pretrained, name):
        here = (source >= start) & (source < start + len(rows_RM))
        target_VM[here] = rows_RM[source[here] - start].to(target_VM.dtype)
        spread.add(rows_RM, plan.kinds[start : start + len(rows_RM)])
    for i, (low, high, share) in plan.between.items():
        both_RM = pretrained.read(name, low, high + 1).to(target_VM.dtype)
        target_VM[i] = torch.lerp(both_RM[0], both_RM[-1], share)
    lost = [i for i in range(len(plan.names)) if source[i] < 0 and i not in plan.between]
    places = [i for i in lost if _kind(plan.names[i]) == LOCATION]
    if places:
        mean_M, std_M = spread.of(LOCATION)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw_seed(seed, "places", name) % 2**63)
            target_VM[places] = mean_M + location_curves(len(places), len(mean_M)) * std_M
    for i in sorted({*lost} - {*places}):
        mean_M, std_M = spread.of(_kind(plan.names[i]))
        generator = torch.Generator().manual_seed(
            draw_seed(seed, "row", name, plan.names[i] or i) % 2**63
        )
        drawn_M = torch.randn(len(mean_M), generator=generator)
        target_VM[i] = mean_M + drawn_M * std_M * noise


def pieces_of(pretrained: Pretrained, name: str) -> Iterator[tuple[int, torch.Tensor]]:
    """The rows of a table in pieces, each with the number of its first row."""
    count, width = pretrained.shapes[name]
    at_once = max(1, ROWS_AT_ONCE // max(width, 1))
    for start in range(0, count, at_once):
        yield start, pretrained.read(name, start, min(start + at_once, count))


class _Spread:
    """Mean and standard deviation of rows, by what kind of thing they stand for."""

    def __init__(self, width: int) -> None:
        self._count: Counter[str] = Counter()
        self._sum: dict[str, torch.Tensor] = {}
        self._squares: dict[str, torch.Tensor] = {}
        self._width = width

    def add(self, rows_RM: torch.Tensor, kinds: Sequence[str]) -> None:
        for kind in set(kinds):
            if kind in (UNUSED, SPECIAL):
                continue
            where = torch.tensor([each == kind for each in kinds])
            of_kind_RM = rows_RM[where].double()
            self._count[kind] += len(of_kind_RM)
            zero = torch.zeros(self._width, dtype=torch.float64)
            self._sum[kind] = self._sum.get(kind, zero) + of_kind_RM.sum(0)
            self._squares[kind] = self._squares.get(kind, zero) + of_kind_RM.square().sum(0)

    def of(self, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Of a kind; of all rows where it has too few to say."""
        kinds = [kind] if self._count[kind] > 1 else list(self._count)
        count = sum(self._count[each] for each in kinds)
        zero = torch.zeros(self._width, dtype=torch.float64)
        mean_M = sum((self._sum[each] for each in kinds), zero) / max(count, 1)
        square_M = sum((self._squares[each] for each in kinds), zero) / max(count, 1)
        return mean_M.float(), (square_M - mean_M.square()).clamp(min=0).sqrt().float()


def _kind(name: str | None) -> str:
    """The kind of thing that a row stands for, as its name begins."""
    return UNUSED if name is None else f"{name.partition(':')[0]}:"
