"""unified_vl/decoding/sampling.py: draws that follow the probabilities, and only them."""

from __future__ import annotations

import pytest
import torch

from unified_vl.decoding.sampling import Sampler


def draw(sampler: Sampler, probabilities: list[float], rows: int) -> list[int]:
    log_probability_RV = torch.tensor(probabilities).log().expand(rows, -1)
    return sampler(log_probability_RV, torch.arange(rows), 0).tolist()


def test_draws_follow_the_probabilities() -> None:
    rows = 4000
    uniform_AKT = torch.linspace(0, 1, rows + 1)[:rows, None, None]
    probabilities = [0.1, 0.0, 0.6, 0.3]

    def shares(**options: float) -> list[float]:
        drawn = draw(Sampler(uniform_AKT, **options), probabilities, rows)
        return [drawn.count(i) / rows for i in range(4)]

    assert shares() == pytest.approx(probabilities, abs=1e-3)
    assert shares(top_k=2) == pytest.approx([0, 0, 2 / 3, 1 / 3], abs=1e-3)
    assert shares(top_k=100) == pytest.approx(probabilities, abs=1e-3)
    assert shares(top_p=0.6) == pytest.approx([0, 0, 1, 0], abs=1e-3)
    assert shares(top_p=0.61) == pytest.approx([0, 0, 2 / 3, 1 / 3], abs=1e-3)
    squared = [p * p / 0.46 for p in probabilities]
    assert shares(temperature=0.5) == pytest.approx(squared, abs=1e-3)


def test_what_is_impossible_is_never_drawn() -> None:
    almost_one = torch.full((1, 1, 1), 1.0).nextafter(torch.zeros(()))
    for uniform in (torch.zeros(1, 1, 1), almost_one):
        assert draw(Sampler(uniform), [0.0, 1.0, 0.0], 1) == [1]
