"""Which clusters a sample visits, and what comes out of the visit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import check_choice

Posteriors = NDArray[np.float64]

# Up to so many clusters, taking the largest again and again is faster than sorting.
_MAX_PASSES = 5


def route(gate: Posteriors, routing: str | float) -> Posteriors:
    """Return the weight with which every sample visits every cluster.

    Parameters
    ----------
    gate : ndarray of shape (n_samples, n_clusters)
        Cluster posteriors ``p`` of the hierarchy classifier. A row of zeros is a tie between all.
    routing : {"hard", "soft"}, int or float in (0, 1)
        ``"hard"`` visits the most probable cluster, an int the k most probable ones, a float those
        of at least that probability and in any case the most probable one, ``"soft"`` all that have
        any probability.

    Returns
    -------
    ndarray of shape (n_samples, n_clusters)
        The posteriors of the clusters visited, renormalised to sum to one; zero elsewhere. Ties
        go to the clusters with the lowest numbers.

    Raises
    ------
    ValueError
        If the routing is unknown, an int below 1, or a float outside (0, 1).

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.3 (hard); Yan et al., HD-CNN, ICCV 2015, sec. 3 (soft: probabilistic averaging) and
    sec. 5 (float: conditional execution).

    Examples
    --------
    >>> import numpy as np
    >>> gate = np.array([[0.5, 0.25, 0.25], [0.0, 0.2, 0.8]])
    >>> route(gate, "hard")
    array([[1., 0., 0.],
           [0., 0., 1.]])
    >>> route(gate, 2).round(2)
    array([[0.67, 0.33, 0.  ],
           [0.  , 0.2 , 0.8 ]])
    >>> route(gate, 0.4)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    n_clusters = gate.shape[1]
    if not _is_threshold(routing) and _clusters_visited(routing, n_clusters) == 1:
        return _most_probable(gate, 1).astype(np.float64)
    gate = np.where(gate.any(axis=1, keepdims=True), gate, 1.0)
    if _is_threshold(routing):
        kept = (gate >= float(routing)) | _most_probable(gate, 1)
    else:
        k = _clusters_visited(routing, n_clusters)
        kept = _most_probable(gate, min(k, n_clusters))
    weights = np.where(kept, gate, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _most_probable(gate: Posteriors, k: int) -> NDArray[np.bool_]:
    """Mark the k most probable clusters of every row; ties go to the lowest numbers."""
    mask = np.zeros(gate.shape, dtype=bool)
    if k >= gate.shape[1]:
        return ~mask
    if k > _MAX_PASSES:
        # A stable sort breaks ties by cluster number, whatever the platform.
        kept = np.argsort(-gate, axis=1, kind="stable")[:, :k]
        np.put_along_axis(mask, kept, True, axis=1)
        return mask
    left, rows = gate if k == 1 else gate.copy(), np.arange(len(gate))
    for taken in range(k):
        best = left.argmax(axis=1)
        mask[rows, best] = True
        if taken < k - 1:
            left[rows, best] = -np.inf
    return mask


def _is_threshold(routing: str | float) -> bool:
    if not isinstance(routing, Real) or isinstance(routing, Integral):
        return False
    if not 0 < routing < 1:
        raise ValueError(
            "routing must be 'hard', 'soft', a whole number of clusters or a probability between 0 "
            f"and 1, both excluded. Got {routing} instead."
        )
    return True


def _clusters_visited(routing: str | float, n_clusters: int) -> int:
    if not isinstance(routing, Integral):
        return {"hard": 1, "soft": n_clusters}[check_choice(routing, ("hard", "soft"), "routing")]
    if routing < 1:
        raise ValueError(f"routing must be 'hard', 'soft' or at least 1. Got {routing} instead.")
    return int(routing)


def combine(
    weights: Posteriors,
    fine: Sequence[Callable[[NDArray[np.intp]], Posteriors]],
    members: Sequence[NDArray[np.int64]],
    n_classes: int,
    out: Posteriors | None = None,
) -> Posteriors:
    """Add up the class posteriors along the routes taken: ``sum_i p_i q_k``.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_clusters)
        From :func:`route`.
    fine : sequence of callable
        ``fine[i](rows)`` returns the posteriors ``q`` of cluster i's class assignment classifier
        for these rows, shape (len(rows), len(members[i])); called for visited rows only.
    members : sequence of ndarray
        Class codes of each cluster, ascending.
    n_classes : int
        Number of classes.
    out : ndarray of shape (n_samples, n_classes) or None, default=None
        Zeros, which the result is written to; None makes a new array.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Class posteriors; a class in several clusters collects from all of them.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    eq. 2.
    """
    posteriors = np.zeros((len(weights), n_classes)) if out is None else out
    seen = np.zeros(n_classes, dtype=bool)
    for cluster, (codes, column) in enumerate(zip(members, weights.T.copy(), strict=True)):
        rows = np.flatnonzero(column)
        if len(rows):
            visited = fine[cluster](rows) * column[rows, None]
            everyone = len(rows) == len(weights)
            place: Any = (slice(None), codes) if everyone else (rows[:, None], codes)
            if seen[codes].any():
                visited += posteriors[place]
            posteriors[place] = visited
            seen[codes] = True
    return posteriors
