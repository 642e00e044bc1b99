"""A model with the weights of another, as far as they are there.

Legend: R rows, V rows of the vocabulary, C channels, M width of the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from transformers.initialization import no_init_weights

from unified_vl.codecs.row_names import CODE
from unified_vl.errors import UserError, nearest, number_of
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.initialization import initialize, start_codes_from_codebook
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.rows import (
    NOISE_OF_INPUTS,
    NOISE_OF_OUTPUTS,
    RowPlan,
    fill_rows,
    pieces_of,
    plan_rows,
)
from unified_vl.model.pretrained.tensor_files import refuse_no_number
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

EMBEDDING, HEAD = "encoder.embedding.weight", "lm_head.weight"
BRANCHES = {  # what a model may have that another has not
    "encoder.vision": "the image branch",
    "encoder.regions": "the branch of regions",
    "region_heads": "the heads of hidden regions",
    "encoder.code_positions": "the positions of images in codes",
    "matching": "the head of matching",
}
RESIZED = (  # a row for each row or column of an image's grid
    "encoder.vision.row",
    "encoder.vision.column",
    "encoder.vision.pool.row",
    "encoder.vision.pool.column",
    "encoder.code_positions.row.weight",
    "encoder.code_positions.column.weight",
)


@dataclass(frozen=True)
class Start:
    """What a model has of what it started from.

    Attributes:
        about: what it started from.
        fingerprint: of that.
        rows: of the embedding that were taken, by what they stand for.
        new: names of rows that nothing there stood for.
        between: how many rows are between two of theirs: places of another number of bins.
        fresh: branches that start at random.
        resized: weights whose grid has another size.
        unused: weights that were not taken.
    """

    about: str
    fingerprint: str
    rows: dict[str, int]
    new: list[str]
    between: int
    fresh: list[str]
    resized: list[str]
    unused: list[str]

    @property
    def has_fresh_images(self) -> bool:
        """Whether the image branch starts at random."""
        return BRANCHES["encoder.vision"] in self.fresh

    def facts(self) -> dict[str, Any]:
        """For records: JSON values."""
        return {
            "from": self.about,
            "fingerprint": self.fingerprint,
            "rows_taken": self.rows,
            "rows_new": self.new,
            "rows_between": self.between,
            "fresh": self.fresh,
            "resized": self.resized,
            "unused": self.unused,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Start:
        """The start of a run that goes on, from what its checkpoint recorded."""
        return cls(
            about=facts["from"],
            fingerprint=facts["fingerprint"],
            rows=facts["rows_taken"],
            new=facts["rows_new"],
            between=facts["rows_between"],
            fresh=facts["fresh"],
            resized=facts["resized"],
            unused=facts["unused"],
        )

    def line(self) -> str:
        """For people."""
        parts = [f"{number_of(sum(self.rows.values()), 'row')} of the embedding taken"]
        if self.between:
            parts.append(f"{self.between} between two of its places")
        named = ", ".join(self.new[:FEW_NAMES])
        more = f" ({named}{', ...' if len(self.new) > FEW_NAMES else ''})" if self.new else ""
        parts.append(f"{len(self.new)} new{more}")
        parts += [f"{name} starts at random" for name in self.fresh]
        if self.resized:
            parts.append(f"resized: {', '.join(self.resized)}")
        if self.unused:
            parts.append(f"not used: {', '.join(self.unused)}")
        return f"started from {self.about}: {'; '.join(parts)}"


FEW_NAMES = 5  # of new rows, in a line


def start_from(
    pretrained: Pretrained,
    config: UnifiedVLConfig,
    names: Sequence[str | None],
    seed: int,
    codebook_KC: torch.Tensor | None = None,
) -> tuple[UnifiedVLForConditionalGeneration, Start]:
    """A model with their weights; what they do not have starts as in any training.

    Nothing is drawn for what is taken, and weights go from the file to their place in pieces.

    Args:
        pretrained: what to start from.
        config: of the model.
        names: what the rows of its embedding stand for (`codecs.row_names`).
        seed: of the run.
        codebook_KC: the vectors of its image tokenizer's codes, where it has one.

    Raises:
        UserError: naming the weight that is missing, too much, or of another shape.
    """
    with torch.device("meta"):
        expected = UnifiedVLForConditionalGeneration(config).state_dict()
    if config.tie_word_embeddings:
        del expected[HEAD]
    fresh, unused = _compare(pretrained, expected)
    with no_init_weights():
        model = UnifiedVLForConditionalGeneration(config)
    model.tie_weights()
    for branch in fresh:
        _begin_anew(model, branch, seed)
    state = model.state_dict()
    taken = [name for name in expected if not _within(name, fresh)]
    resized = [name for name in taken if name in RESIZED]
    resized = [n for n in resized if tuple(state[n].shape) != tuple(pretrained.shapes[n])]
    plan = plan_rows(names, pretrained.row_names, pretrained.shapes[EMBEDDING][0])
    tied = config.tie_word_embeddings
    for name in taken:
        if name in (EMBEDDING, HEAD):
            inputs = name == EMBEDDING and not tied
            noise = NOISE_OF_INPUTS if inputs else NOISE_OF_OUTPUTS
            fill_rows(state[name], pretrained, name, plan, seed=seed, noise=noise)
        elif name in resized:
            state[name].copy_(_resize(pretrained.read(name), len(state[name])))
        else:
            _copy(state[name], pretrained, name)
        refuse_no_number(name, state[name], pretrained.directory)
    if codebook_KC is not None and not _has_codes(plan):
        torch.manual_seed(seed)
        start_codes_from_codebook(model, codebook_KC)
    rows = Counter(str(names[i]).partition(":")[0] for i in plan.taken)
    start = Start(
        about=pretrained.about,
        fingerprint=pretrained.fingerprint,
        rows=dict(rows),
        new=[str(names[i]) for i in plan.new],
        between=len(plan.between),
        fresh=[BRANCHES[branch] for branch in fresh],
        resized=resized,
        unused=unused,
    )
    return model, start


def _compare(
    pretrained: Pretrained, expected: dict[str, torch.Tensor]
) -> tuple[list[str], list[str]]:
    """The branches that are not there, and the weights that are not wanted.

    Raises:
        UserError: for whatever else does not fit.
    """
    theirs = dict(pretrained.shapes)
    lacking = [b for b in BRANCHES if not any(_within(name, [b]) for name in theirs)]
    idle = [b for b in BRANCHES if not any(_within(name, [b]) for name in expected)]
    fresh = [branch for branch in lacking if branch not in idle]
    unused = sorted(name for name in theirs if _within(name, idle))
    for name, weight in expected.items():
        if _within(name, fresh):
            continue
        if name not in theirs:
            raise UserError(
                f"the weight {name!r} is missing",
                file=pretrained.directory,
                expected="the weights of config.json",
                nearest=nearest(name, [each for each in theirs if each not in expected]),
            )
        found, wanted = tuple(theirs[name]), tuple(weight.shape)
        free = 1 if name in (EMBEDDING, HEAD, *RESIZED) else 0  # rows that may be others
        if len(found) != len(wanted) or found[free:] != wanted[free:]:
            raise UserError(
                f"the weight {name!r} has shape {list(found)}",
                file=pretrained.directory,
                expected=f"{list(wanted)}, as the keys of the model say",
            )
    for name in sorted(theirs.keys() - expected.keys() - set(unused) - {HEAD}):
        raise UserError(
            f"the weight {name!r} is none of this model",
            file=pretrained.directory,
            nearest=nearest(name, [each for each in expected if each not in theirs]),
        )
    return fresh, unused


def _begin_anew(model: UnifiedVLForConditionalGeneration, branch: str, seed: int) -> None:
    """Put a branch with random weights, a function of the seed, in the place of an empty one."""
    owner_name, _, name = branch.rpartition(".")
    owner = model.get_submodule(owner_name)
    torch.manual_seed(seed)
    part = type(model.get_submodule(branch))(model.config)
    part.apply(lambda module: initialize(module, model.config))
    setattr(owner, name, part)


def _copy(target: torch.Tensor, pretrained: Pretrained, name: str) -> None:
    """Take a weight, of matrices some rows at a time."""
    if target.dim() != 2:
        target.copy_(pretrained.read(name))
        return
    for start, rows_RM in pieces_of(pretrained, name):
        target[start : start + len(rows_RM)].copy_(rows_RM)


def _resize(rows_RM: torch.Tensor, count: int) -> torch.Tensor:
    """A grid's rows or columns, brought to another number of them."""
    rows_1MR = rows_RM.float().T[None]
    resized_1MR = F.interpolate(rows_1MR, size=count, mode="linear", align_corners=False)
    return resized_1MR[0].T


def _has_codes(plan: RowPlan) -> bool:
    return any((plan.names[i] or "").startswith(CODE) for i in plan.taken)


def _within(name: str, branches: Sequence[str]) -> bool:
    return any(name.startswith(f"{branch}.") for branch in branches)
