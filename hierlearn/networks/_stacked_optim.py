"""Optimisers of stacked networks: one update for all, a learning rate for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ._skorch import MIN_ONE_CYCLE_STEPS

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8

# torch's OneCycleLR at its defaults: a start at 1/25, the peak after 0.3 of the run, an end at
# 1/10,000 of the start.
_START, _RISE, _END = 25.0, 0.3, 1e4


def learning_rates(schedule: str, lr: float, n_steps: int) -> NDArray[np.float64]:
    """Return the learning rate of every step, as torch's schedulers have it.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "constant"}
    lr : float
        Peak of the cycle, start of the cosine.
    n_steps : int
        Length of the run.

    Returns
    -------
    ndarray of shape (n_steps,)

    References
    ----------
    Smith & Topin, Super-convergence, 2018 (one cycle). Loshchilov & Hutter, SGDR, ICLR 2017
    (cosine).

    Examples
    --------
    >>> learning_rates("cosine", 1.0, 4).round(2).tolist()
    [1.0, 0.85, 0.5, 0.15]
    """
    steps = np.arange(n_steps, dtype=np.float64)
    if schedule == "constant" or n_steps < MIN_ONE_CYCLE_STEPS:
        return np.full(n_steps, float(lr))
    if schedule == "cosine":
        return _between(lr, 0.0, steps / n_steps)
    top = _RISE * n_steps - 1
    start = lr / _START
    rising = _between(start, lr, steps / top)
    falling = _between(lr, start / _END, (steps - top) / (n_steps - 1 - top))
    return np.where(steps <= top, rising, falling)


def _between(start: float, end: float, share: NDArray[Any]) -> NDArray[np.float64]:
    return end + (start - end) / 2.0 * (np.cos(math.pi * share) + 1)


class StackedOptimizer:
    """AdamW, Adam or SGD on the rows of a matrix, with torch's defaults; a rate for each row.

    All rows have taken the same number of steps: networks that need fewer stop, as the last rows.

    Parameters
    ----------
    name : {"adamw", "adam", "sgd"}
    weights : tensor of shape (n_members, n_weights)
        Changed in place.
    weight_decay : float
    momentum : float
        Of SGD.
    """

    def __init__(
        self, name: str, weights: torch.Tensor, weight_decay: float, momentum: float
    ) -> None:
        self.name = name
        self.weights = weights
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.n_steps = 0
        n_states = 2 if name != "sgd" else int(momentum > 0)
        self._states = [torch.zeros_like(weights) for _ in range(n_states)]
        self._spare = torch.empty_like(weights)

    def step(self, gradient: torch.Tensor, rates: torch.Tensor) -> None:
        """Move the first rows.

        Parameters
        ----------
        gradient : tensor of shape (n_running, n_weights)
            May be changed.
        rates : tensor of shape (n_running, 1)
        """
        self.n_steps += 1
        n_running = len(gradient)
        weights = self.weights[:n_running]
        states = [state[:n_running] for state in self._states]
        if self.name == "adamw":
            if self.weight_decay:
                weights.mul_(1 - rates * self.weight_decay)
        elif self.weight_decay:
            gradient.add_(weights, alpha=self.weight_decay)
        if self.name == "sgd":
            self._descend(weights, gradient, states, rates)
        else:
            self._adapt(weights, gradient, states, rates)

    def _descend(self, weights: Any, gradient: Any, states: Any, rates: Any) -> None:
        if states:
            gradient = states[0].mul_(self.momentum).add_(gradient)
        weights.addcmul_(gradient, rates, value=-1)

    def _adapt(self, weights: Any, gradient: Any, states: Any, rates: Any) -> None:
        mean, square = states
        mean.lerp_(gradient, 1 - _BETA1)
        square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        # torch's m / c1 / (sqrt(v) / c2 + eps), the corrections c1 and c2 moved into the rates.
        corrected = math.sqrt(1 - _BETA2**self.n_steps)
        spare = self._spare[: len(gradient)]
        torch.sqrt(square, out=spare).add_(_EPSILON * corrected)
        torch.div(mean, spare, out=spare)
        weights.addcmul_(spare, rates * (corrected / (1 - _BETA1**self.n_steps)), value=-1)
