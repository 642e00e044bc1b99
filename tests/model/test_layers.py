"""unified_vl/model/layers.py: what blocks are made of."""

import pytest
import torch
from torch.nn import functional as F

from unified_vl.model.layers import RMSNorm


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_norm_of_inference_is_that_of_training(scale: float) -> None:
    torch.manual_seed(0)
    norm = RMSNorm(48, 1e-6)
    torch.nn.init.normal_(norm.weight)
    x_BSM = torch.randn(3, 5, 48) * scale
    before = x_BSM.clone()
    learning = norm(x_BSM)
    with torch.inference_mode():
        answering = norm(x_BSM)
    torch.testing.assert_close(answering, learning.detach())
    torch.testing.assert_close(learning, F.rms_norm(x_BSM, (48,), norm.weight, 1e-6))
    assert torch.equal(x_BSM, before)
