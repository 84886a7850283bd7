"""How much of the flat network's posterior goes into the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validation import check_some_weight

_GRID = np.linspace(0.0, 0.9, 10)


@dataclass(frozen=True)
class MixingChoice:
    """The weight chosen and the held-out evidence for it.

    Parameters
    ----------
    weight : float
        Weight of the flat posterior, 1 for the flat network alone.
    flat_accuracy, hierarchy_accuracy, mixed_accuracy : float
        Held-out accuracies of the flat network, of the pure hierarchy and of the mixture at the
        best weight below one.
    standard_error : float
        Of the difference between mixed and flat accuracy, paired by sample.
    """

    weight: float
    flat_accuracy: float
    hierarchy_accuracy: float
    mixed_accuracy: float
    standard_error: float


def choose_mixing(
    flat: NDArray[np.float64],
    hierarchy: NDArray[np.float64],
    y: NDArray[np.int64],
    sample_weight: NDArray[np.float64] | None = None,
) -> MixingChoice:
    """Choose the weight of the flat posterior that is best on held-out data.

    The flat network is left only for a mixture whose accuracy is higher by more than one standard
    error of the paired difference: a hierarchy that merely might be better is not used. The same
    held-out rows may have chosen the partition, so the evidence slightly favours the hierarchy.

    Parameters
    ----------
    flat, hierarchy : ndarray of shape (n_held_out, n_classes)
        Posteriors of samples that neither has seen.
    y : ndarray of shape (n_held_out,)
        True class codes.
    sample_weight : ndarray of shape (n_held_out,) or None, default=None
        Frequencies of the samples. Weights that sum to less than the number of samples cannot be
        frequencies, and are scaled to a mean of one.

    Returns
    -------
    MixingChoice
        The weight, and the scores that speak for it.

    Raises
    ------
    ValueError
        If all weights are zero.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.tile([[0.6, 0.4]], (50, 1))
    >>> hierarchy = np.tile([[0.1, 0.9]], (50, 1))
    >>> choose_mixing(flat, hierarchy, np.ones(50, dtype=int)).weight
    0.0
    >>> choose_mixing(flat, hierarchy, np.zeros(50, dtype=int)).weight
    1.0
    """
    check_some_weight(sample_weight)
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    counted = np.count_nonzero(weight)
    if weight.sum() < counted:  # no frequencies, but shares: as many samples as there are rows
        weight = weight * (counted / weight.sum())
    total = weight.sum()

    def hits(share: float) -> NDArray[np.float64]:
        mixed = share * flat + (1 - share) * hierarchy
        return (mixed.argmax(axis=1) == y).astype(np.float64)

    flat_hits = hits(1.0)
    accuracies = [float(weight @ hits(share) / total) for share in _GRID]
    best = int(np.argmax(accuracies))
    difference = hits(_GRID[best]) - flat_hits
    gain = float(weight @ difference / total)
    variance = max(float(weight @ difference**2 / total) - gain**2, 0.0)
    error = float(np.sqrt(variance / total))
    return MixingChoice(
        weight=float(_GRID[best]) if gain > error else 1.0,
        flat_accuracy=float(weight @ flat_hits / total),
        hierarchy_accuracy=accuracies[0],
        mixed_accuracy=accuracies[best],
        standard_error=error,
    )
