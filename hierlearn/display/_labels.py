"""What stands beside a picture: names as they were given, and places for them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression


def check_names(names: Any, n_expected: int, *, what: str) -> list[str]:
    """Turn names into text, one per class or cluster.

    Parameters
    ----------
    names : array-like of shape (n_expected,) or None
        The names; None for the numbers from 0.
    n_expected : int
        How many there must be.
    what : str
        Name of the parameter, for the error.

    Returns
    -------
    names : list of str
        The names as text.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    if names is None:
        return [str(number) for number in range(n_expected)]
    names = [str(name) for name in names]
    if len(names) != n_expected:
        raise ValueError(f"{what} must have {n_expected} entries. Got {len(names)} instead.")
    return names


def cluster_number(cluster: object, names: Sequence[str]) -> int:
    """Return the number of a cluster that is given by number or name.

    Parameters
    ----------
    cluster : int or str
        Number from 0, or name.
    names : sequence of str
        Names of the clusters.

    Returns
    -------
    number : int
        From 0.

    Raises
    ------
    ValueError
        If there is none such.
    """
    if isinstance(cluster, Integral) and 0 <= int(cluster) < len(names):
        return int(cluster)
    if isinstance(cluster, str) and cluster in names:
        return names.index(cluster)
    raise ValueError(
        f"cluster must be a number below {len(names)} or the name of a cluster. "
        f"Got {cluster!r} instead."
    )


def spread(positions: Any, min_gap: float, low: float, high: float) -> np.ndarray:
    """Move sorted labels apart as little as possible (least squares), within bounds.

    Parameters
    ----------
    positions : array-like of shape (n,)
        Where the labels would like to be, ascending.
    min_gap : float
        Distance that neighbours keep; less where the bounds do not leave so much.
    low, high : float
        Bounds.

    Returns
    -------
    positions : ndarray of shape (n,), dtype=float64
        Where they go, ascending.

    Examples
    --------
    >>> spread([0.0, 5.0, 5.5, 9.0], min_gap=2.0, low=0.0, high=10.0)
    array([0.  , 4.25, 6.25, 9.  ])
    """
    positions = np.asarray(positions, dtype=float)
    if len(positions) < 2:
        return np.clip(positions, low, high)
    gap = min(min_gap, (high - low) / (len(positions) - 1))
    # With the gaps taken off, "apart" reads "not decreasing": an isotonic regression.
    gaps = gap * np.arange(len(positions))
    return isotonic_regression(positions - gaps, y_min=low, y_max=high - gaps[-1]) + gaps
