"""Soft targets: what a teacher says about every class of a sample, and the loss that learns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional


def soften(
    probabilities: ArrayLike, temperature: float, *, multilabel: bool = False
) -> NDArray[np.float64]:
    """Return the posteriors that a teacher's logits would give at another temperature.

    ``p ** (1 / T)``, normalised: a softmax (or, of several labels, each a sigmoid) of the logits
    over T, which need not be known.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Posteriors of classes, or of each label.
    temperature : float
        T; above 1 they become more even, below 1 less.
    multilabel : bool, default=False
        Whether every column is a probability of its own.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
        Rows sum to one, unless ``multilabel``.

    Examples
    --------
    >>> from hierlearn.networks.soft_targets import soften
    >>> soften([[0.9, 0.09, 0.01]], 2.0).round(3).tolist()
    [[0.703, 0.222, 0.074]]
    >>> soften([[0.9, 0.5]], 2.0, multilabel=True).round(3).tolist()
    [[0.75, 0.5]]
    """
    given = np.clip(np.asarray(probabilities, dtype=np.float64), 0.0, 1.0)
    rest = 1 - given
    # Relative to the largest, whose power stays 1 at any temperature.
    largest = np.maximum(given, rest) if multilabel else given.max(axis=1, keepdims=True)
    powers = (given / largest) ** (1 / temperature)
    if multilabel:
        return powers / (powers + (rest / largest) ** (1 / temperature))
    normalised: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return normalised


@dataclass(frozen=True)
class SoftTargets:
    """What a student learns beside the labels.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_classes)
        The teacher's posteriors, softened.
    temperature : float
        At which they are.
    alpha : float
        Weight of them in the loss; the labels have the rest.
    """

    values: NDArray[Any]
    temperature: float
    alpha: float

    def of_rows(self, rows: Any) -> SoftTargets:
        """Return those of some rows."""
        return replace(self, values=self.values[rows])

    def criterion(self, multilabel: bool) -> Callable[..., nn.Module]:
        """Return what makes the loss."""
        return partial(DistillationLoss, self.temperature, self.alpha, multilabel)


class DistillationLoss(nn.Module):
    """``alpha * T**2 * KL(teacher || student) + (1 - alpha) * cross-entropy``, a value a sample.

    The first term compares both at temperature T; the square keeps its gradient as large as the
    other's, whatever T is. For several labels both terms are means over the labels.

    Parameters
    ----------
    temperature, alpha : float
    multilabel : bool
    reduction : {"none"}, default="none"
    pos_weight : Tensor of shape (n_labels,) or None, default=None
        Factors on the cross-entropy of labels' positives.

    References
    ----------
    Hinton, Vinyals & Dean, Distilling the knowledge in a neural network (2015), sec. 2.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.soft_targets import DistillationLoss
    >>> logits = torch.tensor([[2.0, 0.0, -2.0]])
    >>> loss = DistillationLoss(2.0, 1.0, False)
    >>> same = loss(logits, torch.tensor([0]), torch.softmax(logits / 2, dim=1))
    >>> bool(same.abs().item() < 1e-6)
    True
    """

    def __init__(
        self,
        temperature: float,
        alpha: float,
        multilabel: bool,
        reduction: str = "none",
        pos_weight: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.alpha = alpha
        self.multilabel = multilabel
        self.labels: nn.Module = (
            nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=pos_weight)
            if multilabel
            else nn.CrossEntropyLoss(reduction=reduction)
        )

    def forward(
        self, logits: torch.Tensor, target: torch.Tensor, soft: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of every row, shape (n,), or (n, n_labels)."""
        divergence = self._divergence(logits / self.temperature, soft)
        hard = self.labels(logits, target)
        return self.alpha * self.temperature**2 * divergence + (1 - self.alpha) * hard

    def _divergence(self, logits: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        if not self.multilabel:
            log_student = torch.log_softmax(logits, dim=1)
            return functional.kl_div(log_student, soft, reduction="none").sum(dim=1)
        cross = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        entropy = -(torch.xlogy(soft, soft) + torch.xlogy(1 - soft, 1 - soft))
        return cross - entropy
