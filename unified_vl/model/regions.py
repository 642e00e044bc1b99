"""Regions of an image into the encoder: features and boxes, projected and added (VL-T5, arXiv
2102.02779, section 3.1; UNITER, arXiv 1909.11740, section 3.1).

Legend: X regions of a batch, V numbers of a region, F those of its feature, K classes, N classes or
attributes, M width of the model (d_model).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.codecs.region_values import ATTRIBUTE, BOX, CLASS, FEATURE, HIDDEN
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.linear import Linear
from unified_vl.model.layers.lookup import lookup

BOX_NUMBERS = 5


class RegionHeads(nn.Module):
    """Guesses what is hidden of regions, of the encoder's hidden states.

    Args:
        config: of a model that reads regions.
    """

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        sizes, width = config.region_sizes, config.d_model
        assert sizes is not None and sizes.features is not None
        self.inner = Linear(width, (width, width**-0.5))
        self.features = Linear(width, (sizes.features, width**-0.5))
        self.classes = None
        if sizes.classes is not None:
            self.classes = Linear(width, (sizes.classes, width**-0.5))

    def forward(self, hidden_XM: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features (X, F), and logits of classes (X, K) where the model knows any."""
        inner_XM = F.gelu(self.inner(hidden_XM))
        classes_XK = None if self.classes is None else self.classes(inner_XM)
        return self.features(inner_XM), classes_XK


class RegionEncoder(nn.Module):
    """Values of regions to embeddings. Of a hidden region the box alone is seen.

    Args:
        config: of a model that reads regions.
    """

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        sizes, width, epsilon = config.region_sizes, config.d_model, config.layer_norm_epsilon
        assert sizes is not None and sizes.features is not None
        self.values = FEATURE + sizes.features
        self.features = Linear(sizes.features, (width, sizes.features**-0.5))
        self.boxes = Linear(BOX_NUMBERS, (width, 1.0))
        self.feature_norm = nn.RMSNorm(width, epsilon)
        self.box_norm = nn.RMSNorm(width, epsilon)
        self.classes = _rows(sizes.classes, width)
        self.attributes = _rows(sizes.attributes, width)

    def forward(self, value_XV: torch.Tensor) -> torch.Tensor:
        """Embeddings (X, M), without those of the regions' names, of `codecs.region_values`."""
        dtype = self.features.weight.dtype
        shown_X1 = 1 - value_XV[:, HIDDEN, None].to(dtype)
        feature_XF = value_XV[:, FEATURE:].to(dtype) * shown_X1
        box_XM = self.box_norm(self.boxes(value_XV[:, BOX].to(dtype)))
        x_XM = self.feature_norm(self.features(feature_XF)) + box_XM
        for number, row_NM in ((CLASS, self.classes), (ATTRIBUTE, self.attributes)):
            if row_NM is not None:
                named_X = value_XV[:, number].long()
                known_X1 = named_X.ge(0)[:, None] * shown_X1
                x_XM = x_XM + lookup(named_X.clamp(min=0), row_NM) * known_X1
        return x_XM


def _rows(count: int | None, width: int) -> nn.Parameter | None:
    """An embedding of each class or attribute (N, M), of models that read them."""
    return None if count is None else nn.Parameter(torch.empty(count, width))
