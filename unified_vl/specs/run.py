"""A run: model, optimiser, engine, seed and paths of one training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import PrivateAttr, model_validator

from unified_vl.parts import FOLLOWERS
from unified_vl.specs.mixture import Mixture, load_mixture
from unified_vl.specs.reading.document import KEYS_OF, Origin, Problem
from unified_vl.specs.reading.parse import missing_file
from unified_vl.specs.runs.augment_rules import refuse_idle_augment
from unified_vl.specs.runs.course_rules import refuse_unfit_course
from unified_vl.specs.runs.run_keys import RunKeys
from unified_vl.specs.runs.run_paths import refuse_old_paths
from unified_vl.specs.runs.run_rules import check_engine, check_scored, refuse_unfit_keys

DECIDED_ELSEWHERE = (  # keys of a saved model's configuration that are no run's to set
    "vocab_size",
    "image_token_id",
    "frame_token_ids",
    "matching_head",
    "regions_token_id",
    "region_token_ids",
    "region_heads",
    "location_token_ids",
    "code_token_ids",
    "code_mask_id",
    "code_downsampling",
    "vocabulary_fingerprint",
    "task_tags",
)


class Run(RunKeys):
    """One training, as its YAML file says, or Python.

    Its paths are relative to the file, and resolved once loaded.
    """

    _loaded_mixture: Mixture | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _obey_rules(self) -> Run:
        refuse_unfit_keys(self)
        return self

    @property
    def loaded_mixture(self) -> Mixture:
        """The mixture, where `mixture` names its file, too."""
        assert self._loaded_mixture is not None, "every run is settled"
        return self._loaded_mixture

    @property
    def longest(self) -> int:
        """Ids of the longest example."""
        return self.max_source_tokens + self.max_target_tokens

    @property
    def rows(self) -> int:
        """Examples of a step; of `batch_tokens` as many as fit where all are the longest."""
        if self.batch_size is not None:
            return self.batch_size
        assert self.batch_tokens is not None, "a run has one of the two"
        return self.batch_tokens // self.longest

    def fewest_tokens(self, world: int = 1) -> int:
        """Of `batch_tokens`, so that each part of each rank's share has an example, however the
        tokens of a window are cut (`data.streams`)."""
        return 4 * world * self.accumulate * self.longest

    @property
    def last_step(self) -> int:
        """The number of steps, which epochs are once their rows are counted."""
        assert self.steps is not None, "epochs become steps before the training"
        return self.steps

    @property
    def trains_a_part(self) -> bool:
        """Whether some weights are frozen, which checkpoints do not hold."""
        return bool(self.freeze or self.model.vision.frozen) or self.lora is not None

    def __hash__(self) -> int:
        return hash((self.run, self.version))

    def told(self) -> str:
        mixture = self.mixture.mixture if isinstance(self.mixture, Mixture) else self.mixture
        length = f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"
        return f"{self.run}: {mixture}, {length}, into {self.output}"

    def settle(self, origin: Origin) -> None:
        super().settle(origin)
        refuse_old_paths(self)
        if isinstance(self.mixture, Path) and not self.mixture.is_file():
            close = missing_file(self.mixture).nearest
            raise self.error(("mixture",), f"there is no file {str(self.mixture)!r}", nearest=close)
        check_engine(self)
        named = self.mixture
        self._loaded_mixture = named if isinstance(named, Mixture) else load_mixture(named)
        check_scored(self)
        refuse_unfit_course(self)
        refuse_idle_augment(self)

    @classmethod
    def explain(cls, problem: Problem, found: object) -> Problem:
        """What is wrong with keys that are right in a saved model's configuration."""
        if problem.path[:1] == ("model",) and problem.path[-1] in DECIDED_ELSEWHERE:
            return Problem(problem.path, "the tokenizer or the mixture decides this")
        return super().explain(problem, found)


KEYS_OF["a run file"] = lambda: Run.model_fields
FOLLOWERS.append(partial(Run.model_rebuild, force=True))
