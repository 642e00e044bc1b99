"""What is hidden of an image's regions is guessed (UNITER, arXiv 1909.11740, section 3.3).

Two losses of the regions that a field's `hide` hides: their features by regression (MRFR), and the
detector's classes by Kullback-Leibler divergence (MRC-kl).

Legend: X regions of a batch, Y hidden ones whose classes a file has the probabilities of, F numbers
of a feature, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from unified_vl.codecs.region_values import CLASS, FEATURE, HIDDEN, LABELS, REGION, SCORE
from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.model.backbone import BackboneConfig, UnifiedVLOutput
from unified_vl.specs.mixture import MixtureTask
from unified_vl.specs.objectives.keys import (
    OBJECTIVES,
    MaskedRegionClassesKeys,
    MaskedRegionFeaturesKeys,
)
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind


def feature_losses(guess_XF: torch.Tensor, value_XV: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each region's feature (X), float32."""
    return (guess_XF.float() - value_XV[:, FEATURE:]).square().mean(1)


def class_losses(logit_XK: torch.Tensor, value_XV: torch.Tensor) -> torch.Tensor:
    """The divergence of what is guessed from what the detector says (X), float32.

    Of a file that has the detector's best class and how sure it was of that: what is left of 1 is
    spread evenly over the others.
    """
    classes = logit_XK.shape[1]
    log_XK = logit_XK.float().log_softmax(1)
    best_X, sure_X = value_XV[:, CLASS].long().clamp(min=0), value_XV[:, SCORE].clamp(0, 1)
    rest_X = (1 - sure_X) / max(classes - 1, 1)
    log_best_X = log_XK.gather(1, best_X[:, None])[:, 0]
    crossed_X = sure_X * log_best_X + rest_X * (log_XK.sum(1) - log_best_X)
    entropy_X = torch.special.entr(sure_X) + (classes - 1) * torch.special.entr(rest_X)
    return -crossed_X - entropy_X


def label_losses(logit_YK: torch.Tensor, label_YK: torch.Tensor) -> torch.Tensor:
    """The divergence of what is guessed from the probabilities of all classes (Y), float32."""
    log_YK = logit_YK.float().log_softmax(1)
    return F.kl_div(log_YK, label_YK, reduction="none").sum(1)


class MaskedRegions(Objective):
    """The mean of a loss over the hidden regions of all ranks.

    Args:
        weight: what it is multiplied by.
        classes: whether classes are guessed, and not features.
    """

    reads_logits = False

    def __init__(self, weight: float, classes: bool) -> None:
        super().__init__(weight)
        self.classes = classes

    def inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """That regions shall be guessed, also where this rank's rows have none."""
        return {"guess_regions": torch.ones((), device=batch.input_ids_BS.device)}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        guess = output.region_classes if self.classes else output.region_features
        assert guess is not None, "a model with heads of regions guesses them"
        value_XV = batch.region_values_XV
        if value_XV is None:
            process.total(torch.zeros(1))
            return 0.0 * guess.sum()
        counted_X = value_XV[:, HIDDEN].bool()
        losses_X = (class_losses if self.classes else feature_losses)(guess, value_XV)
        if self.classes:
            counted_X = counted_X & (value_XV[:, CLASS] >= 0)
            label_YL = batch.region_labels_YL
            if label_YL is not None:
                place_Y = label_YL[:, REGION].long()
                found_Y = label_losses(guess[place_Y], label_YL[:, LABELS])
                losses_X = losses_X.index_copy(0, place_Y, found_Y)
                counted_X = counted_X.index_fill(0, place_Y, True)
        number = process.total(counted_X.sum())[0]
        return losses_X.where(counted_X, 0.0).sum() / max(number, 1.0)


def guesses_regions(entry: MixtureTask) -> bool:
    """Whether a task of a mixture needs the heads of a model that guess."""
    return bool(entry.masked_region_features or entry.masked_region_classes)


def _features(entry: MixtureTask, config: BackboneConfig) -> Objective:
    return MaskedRegions(entry.masked_region_features, classes=False)


def _classes(entry: MixtureTask, config: BackboneConfig) -> Objective:
    sizes = config.region_sizes
    if sizes is None or sizes.classes is None:
        said = "the model knows no classes of regions"
        raise UserError(said, field="masked_region_classes", expected="model.region_classes")
    return MaskedRegions(entry.masked_region_classes, classes=True)


MASKED_REGION_FEATURES = ObjectiveKind(
    "masked_region_features",
    MaskedRegionFeaturesKeys,
    _features,
    OBJECTIVES["masked_region_features"].rules,
)
MASKED_REGION_CLASSES = ObjectiveKind(
    "masked_region_classes",
    MaskedRegionClassesKeys,
    _classes,
    OBJECTIVES["masked_region_classes"].rules,
)
