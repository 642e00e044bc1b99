"""Optimal transport between two bags of vectors, by IPOT (arXiv 1802.04307, algorithm 1).

Legend: R pairs, X and Y vectors of the two sides.
"""

from __future__ import annotations

import torch

BETA = 0.5  # of the proximal steps, as UNITER has it
STEPS = 50
NOTHING = -1e9  # the logarithm of what is not there


@torch.no_grad()
def transport_plan(
    cost_RXY: torch.Tensor,
    mass_RX: torch.Tensor,
    mass_RY: torch.Tensor,
    *,
    beta: float = BETA,
    steps: int = STEPS,
) -> torch.Tensor:
    """How much of each X goes to each Y, so that all of it costs the least; without gradients.

    Proximal steps converge to the plan of the exact problem, not to that of one with entropy. They
    are taken in logarithms, which no cost makes too small.

    Args:
        cost_RXY: of moving one from X to Y.
        mass_RX: what there is of each X; sums to 1, 0 where there is no such vector.
        mass_RY: what each Y takes; likewise.
        beta: the smaller, the larger the steps.
        steps: how many; of each one scaling, as the paper has it.
    """
    real_RX, real_RY = mass_RX > 0, mass_RY > 0
    nothing_RXY = ~(real_RX[:, :, None] & real_RY[:, None])
    log_kernel_RXY = (-cost_RXY.float() / beta).masked_fill(nothing_RXY, NOTHING)
    log_plan_RXY = torch.zeros_like(log_kernel_RXY)
    log_RX, log_RY = (torch.where(m > 0, m, 1.0).float().log() for m in (mass_RX, mass_RY))
    scale_RY = log_RY
    for _ in range(steps):
        log_step_RXY = log_kernel_RXY + log_plan_RXY
        scale_RX = log_RX - (log_step_RXY + scale_RY[:, None]).logsumexp(2)
        scale_RX = scale_RX.masked_fill(~real_RX, 0.0)
        scale_RY = log_RY - (log_step_RXY + scale_RX[:, :, None]).logsumexp(1)
        scale_RY = scale_RY.masked_fill(~real_RY, 0.0)
        log_plan_RXY = scale_RX[:, :, None] + log_step_RXY + scale_RY[:, None]
    return log_plan_RXY.exp()


def transport_distance(
    vector_RXM: torch.Tensor,
    there_RX: torch.Tensor,
    other_RYM: torch.Tensor,
    there_RY: torch.Tensor,
) -> torch.Tensor:
    """What the cheapest plan costs, (R,); a cost is 1 less the cosine, each vector has as much.

    Args:
        vector_RXM: of the one side.
        there_RX: which of them there are; one at least.
        other_RYM: of the other.
        there_RY: likewise.
    """
    unit_RXM = torch.nn.functional.normalize(vector_RXM.float(), dim=-1)
    unit_RYM = torch.nn.functional.normalize(other_RYM.float(), dim=-1)
    cost_RXY = 1 - unit_RXM @ unit_RYM.transpose(1, 2)
    mass_RX, mass_RY = (each.float() / each.sum(1, keepdim=True) for each in (there_RX, there_RY))
    plan_RXY = transport_plan(cost_RXY, mass_RX, mass_RY)
    return (plan_RXY * cost_RXY).sum((1, 2))
