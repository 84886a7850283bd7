"""Which classes share a cluster of an output layer, and where the clusters of rare ones begin."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.extmath import randomized_svd

from .._validation import as_random_state
from ..partition import cluster_rows

# Weights of a flat output layer from which on another is taken by itself.
_MIN_WEIGHTS = 2**20
# k-means looks at all class means in every round up to so many, beyond at some of them.
_MAX_WHOLE_BATCH = 20_000
_MEANS_A_BATCH = 4096
_N_ROUNDS = 20
# Where it takes no time, k-means starts from several sets of centres.
_N_STARTS = 10
_MAX_STARTED_ANEW = 2**17
# Directions along which class means are told apart.
_N_DIRECTIONS = 32
_N_POWER_STEPS = 8
# What a score costs beside its products (exponential, sum, gradient), and what a step of the
# optimiser costs a weight, spread over the rows of a batch; both in multiply-adds of a row.
_PER_SCORE = 32
_PER_WEIGHT = 10 / 256
_MAX_TAILS = 3
_MIN_PROJECTION = 8
# Ranks tried as cutoffs, evenly spaced on a logarithmic scale.
_N_CANDIDATES = 28


def frequency_ranks(frequencies: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank of each class by frequency, 0 for the most frequent.

    Parameters
    ----------
    frequencies : ndarray of shape (n_classes,)
        Samples of each class, or their weights.

    Returns
    -------
    ndarray of int64, shape (n_classes,)
        Classes as frequent as one another are ranked in the order of their codes.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.class_clusters import frequency_ranks
    >>> frequency_ranks(np.array([1, 2, 1])).tolist()
    [1, 0, 2]
    """
    ranks = np.empty(len(frequencies), dtype=np.int64)
    # Rounded, as sums of equal weights in another order differ in their last bits.
    shares = np.round(frequencies / np.mean(frequencies), 6)
    ranks[np.argsort(-shares, kind="stable")] = np.arange(len(frequencies))
    return ranks


def automatic_cutoffs(
    frequencies: NDArray[Any], in_features: int, div_value: float = 4.0
) -> tuple[int, ...]:
    """Return the cutoffs with which a training step of an adaptive softmax is cheapest.

    Parameters
    ----------
    frequencies : ndarray of shape (n_classes,)
        Training samples of each class, in descending order.
    in_features : int
        Width of the hidden features.
    div_value : float, default=4.0
        How much narrower each cluster's projection is than the one before.

    Returns
    -------
    tuple of int
        Ascending; at most three, and none where they would not halve the cost of a step, or the
        layer is small, see :func:`is_large`.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.class_clusters import automatic_cutoffs
    >>> automatic_cutoffs(np.ones(100), 128)
    ()
    >>> len(automatic_cutoffs(1 / np.arange(1, 50001), 128)) > 0
    True
    """
    n_classes = len(frequencies)
    if not is_large(n_classes, in_features):
        return ()
    mass = np.concatenate([[0.0], np.cumsum(frequencies) / np.sum(frequencies)])
    steps = np.geomspace(min(64, n_classes), n_classes, _N_CANDIDATES)[:-1]
    candidates = np.unique(np.clip(np.round(steps), 1, max(n_classes - 1, 1)).astype(int)).tolist()
    per_score = in_features * (1 + _PER_WEIGHT) + _PER_SCORE
    best, cheapest = (), n_classes * per_score / 2
    for n_tails in range(1, _MAX_TAILS + 1):
        width = in_features / div_value**n_tails
        if width < min(_MIN_PROJECTION, in_features):
            break
        for cutoffs in combinations(candidates, n_tails):
            cost = (cutoffs[0] + n_tails) * per_score
            bounds = [*cutoffs, n_classes]
            for tail, (start, stop) in enumerate(pairwise(bounds)):
                share, narrow = mass[stop] - mass[start], in_features // div_value ** (tail + 1)
                weights = narrow * (in_features + stop - start)
                cost += share * (weights + _PER_SCORE * (stop - start)) + _PER_WEIGHT * weights
            if cost < cheapest:
                best, cheapest = cutoffs, cost
    return best


def check_cutoffs(cutoffs: Any, n_classes: int) -> tuple[int, ...]:
    """Return given cutoffs as integers, or say what is wrong with them.

    Parameters
    ----------
    cutoffs : array-like of int
    n_classes : int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        Unless they ascend from 1 at the least to ``n_classes - 1`` at the most.
    """
    values = np.asarray(cutoffs)
    whole = values.ndim == 1 and (values.size == 0 or values.dtype.kind in "iu")
    listed = values.tolist()
    inside = whole and all(1 <= value <= n_classes - 1 for value in listed)
    if not inside or any(np.diff(values) <= 0):
        raise ValueError(
            f"cutoffs must be ascending whole numbers from 1 to n_classes - 1, {n_classes - 1}. "
            f"Got {listed} instead; sort them, or take cutoffs='auto'."
        )
    return tuple(listed)


def is_large(n_classes: int, in_features: int) -> bool:
    """Tell whether a flat output layer has so many weights that a structured one is worth it.

    A step over fewer takes milliseconds, and a structure costs accuracy where the classes have none
    of their own.
    """
    return n_classes * in_features >= _MIN_WEIGHTS


def default_n_clusters(n_classes: int, in_features: int) -> int:
    """Return how many clusters a two-level softmax has where nothing is said.

    Four times the square root of the number of classes, up to twice as many where clusters had more
    than forty classes else. A step of training scores all clusters, and moves the weights of all
    classes in the clusters of the batch; the latter is the larger part. One in a small layer, see
    :func:`is_large`.
    """
    if not is_large(n_classes, in_features):
        return 1
    root = 4 * round(n_classes**0.5)
    wanted = np.clip(n_classes // 40, root, 2 * root)
    return int(np.clip(wanted, 2, max(2, n_classes // 4)))


def clusters_of_means(means: Any, n_clusters: int, random_state: Any = None) -> NDArray[np.int64]:
    """Cluster classes by k-means, and halve the largest clusters until there are enough.

    Parameters
    ----------
    means : {ndarray, sparse matrix} of shape (n_classes, n_features)
        A point for each class.
    n_clusters : int
        Number of clusters, at most one for each class.
    random_state : int, RandomState instance or None, default=None
        First centres, and the start of the search for directions.

    Returns
    -------
    ndarray of int64, shape (n_classes,)
        Cluster of each class. k-means finds fewer clusters than asked for where points are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.class_clusters import clusters_of_means
    >>> clusters_of_means(np.array([[0.0], [9.0], [1.0], [8.0]]), 2, 0).tolist()
    [0, 1, 0, 1]
    """
    rng = as_random_state(random_state)
    points = _few_directions(means, rng)
    settings: dict[str, Any] = {"max_iter": _N_ROUNDS, "random_state": rng}
    settings["n_init"] = _N_STARTS if len(points) * n_clusters <= _MAX_STARTED_ANEW else 1
    if len(points) > _MAX_WHOLE_BATCH:
        settings.update(kind=MiniBatchKMeans, batch_size=_MEANS_A_BATCH)
    labels = cluster_rows(points, n_clusters, **settings)
    while (found := labels.max() + 1) < n_clusters:
        largest = np.flatnonzero(labels == np.bincount(labels).argmax())
        labels[largest[balanced_clusters(points[largest], 2, rng) == 1]] = found
    return labels


def balanced_clusters(means: Any, n_clusters: int, random_state: Any = None) -> NDArray[np.int64]:
    """Split classes again and again across the direction in which they differ most.

    Takes n log n steps, and clusters are of equal size but for one class.

    Parameters
    ----------
    means : {ndarray, sparse matrix} of shape (n_classes, n_features)
        A point for each class.
    n_clusters : int
        Number of clusters, at most one for each class.
    random_state : int, RandomState instance or None, default=None
        Start of the search for directions.

    Returns
    -------
    ndarray of int64, shape (n_classes,)
        Cluster of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.class_clusters import balanced_clusters
    >>> balanced_clusters(np.array([[0.0], [9.0], [1.0], [8.0]]), 2, 0).tolist()
    [0, 1, 0, 1]
    """
    rng = as_random_state(random_state)
    points = _few_directions(means, rng)
    labels = np.zeros(len(points), dtype=np.int64)
    pending: list[tuple[NDArray[np.int64], int, int]] = [(np.arange(len(points)), 0, n_clusters)]
    while pending:
        members, first, parts = pending.pop()
        if parts == 1:
            labels[members] = first
            continue
        left = parts // 2
        size = round(len(members) * left / parts)
        size = min(max(size, left), len(members) - (parts - left))
        order = np.argsort(_along_widest(points[members], rng), kind="stable")
        pending.append((np.sort(members[order[size:]]), first + left, parts - left))
        pending.append((np.sort(members[order[:size]]), first, left))
    return labels


def _few_directions(means: Any, rng: np.random.RandomState) -> NDArray[np.float64]:
    """Return the points in the directions in which they vary most."""
    if not sparse.issparse(means):
        means = np.asarray(means, dtype=np.float64)
        means = means - means.mean(axis=0)
    if min(means.shape) <= _N_DIRECTIONS:
        return means.toarray() if sparse.issparse(means) else means
    vectors, values, _ = randomized_svd(means, _N_DIRECTIONS, random_state=rng)
    return vectors * values


def _along_widest(points: NDArray[np.float64], rng: np.random.RandomState) -> NDArray[np.float64]:
    """Return where the points lie along their first principal direction."""
    centred = points - points.mean(axis=0)
    spread: NDArray[np.float64] = centred.T @ centred
    direction = rng.standard_normal(len(spread))
    for _ in range(_N_POWER_STEPS):
        direction = spread @ direction
        length = np.linalg.norm(direction)
        if length == 0:
            return np.zeros(len(points))
        direction /= length
    # A direction and its opposite are as good: the larger component is positive.
    direction *= np.sign(direction[np.abs(direction).argmax()])
    return centred @ direction
