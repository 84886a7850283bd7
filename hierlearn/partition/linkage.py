"""Average linkage of confusion distances, cut into clusters (Algorithm 1)."""

from __future__ import annotations

from math import ceil, sqrt
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from hierlearn._validation import Interval, StrOptions
from hierlearn.confusion import distance_from_confusion
from hierlearn.partition._common import (
    AFFINITIES,
    Confusion,
    ConfusionPartitioner,
    check_n_clusters,
    number_by_first_class,
)
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.sparse_linkage import link_similarities, similarities_of_confusion

__all__ = [
    "ConfusionLinkagePartitioner",
    "average_linkage",
    "cut_by_count",
    "cut_by_distance",
    "cut_by_size",
]

# Up to this many classes, all distances take 16 megabytes: scipy is as fast, and breaks ties as
# it does on dense input.
_SCIPY_MAX = 2000

# All distances are also written down where that is no more than a few for each non-zero.
_DENSE_PER_ENTRY = 4


def average_linkage(confusion: Any) -> NDArray[np.float64]:
    """Link classes by the mean of their confusion distances (UPGMA).

    Sparse confusions of more than 2000 classes are linked without their square of distances, in
    memory that grows with the non-zeros.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class.

    Returns
    -------
    linkage : ndarray of shape (n_classes - 1, 4)
        In scipy's format. Parts that are never confused are joined last, at height 1. Of pairs
        equally far apart any may be merged first, always the same for the same input.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1 (D, d(r, s)) and Algorithm 1, steps 1 and 2.

    Examples
    --------
    >>> from hierlearn.partition import average_linkage
    >>> average_linkage([[8, 2, 0], [2, 8, 0], [0, 0, 9]]).tolist()
    [[0.0, 1.0, 0.8, 2.0], [2.0, 3.0, 1.0, 3.0]]
    """
    if sparse.issparse(confusion):
        similarities = similarities_of_confusion(confusion)
        n_classes = similarities.shape[0]
        if n_classes > _SCIPY_MAX and n_classes**2 > _DENSE_PER_ENTRY * similarities.nnz:
            return link_similarities(similarities)
        distances = _condensed_distances(similarities)
    else:
        distances = squareform(distance_from_confusion(confusion), checks=False)
    return linkage(distances, method="average") if distances.size else np.empty((0, 4))


def _condensed_distances(similarities: sparse.csr_array) -> NDArray[np.float64]:
    """Write one minus the similarities above the diagonal as scipy's ``pdist`` does."""
    n_classes = similarities.shape[0]
    distances = np.ones(n_classes * (n_classes - 1) // 2)
    entries = similarities.tocoo()
    rows, columns = (codes.astype(np.int64) for codes in entries.coords)
    positions = n_classes * rows - rows * (rows + 1) // 2 + columns - rows - 1
    # A rate may exceed 1 by a rounding error, a distance must not fall below 0.
    distances[positions] = np.maximum(1.0 - entries.data, 0.0)
    return distances


def cut_by_size(linkage: ArrayLike, max_size: int) -> NDArray[np.int64]:
    """Split a tree from the top until no cluster has more than ``max_size`` classes.

    Parameters
    ----------
    linkage : array-like of shape (n_classes - 1, 4)
        In scipy's format.
    max_size : int
        Upper limit on the number of classes in a cluster, theta in the paper.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes. A sub-tree is split only where it is too large.

    Raises
    ------
    ValueError
        If ``linkage`` is no linkage, or ``max_size`` is not a positive whole number.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 1, step 3 (theta). The printed condition is read together with the text of sec. 3.1:
    a sub-tree is split until it fits.

    Examples
    --------
    >>> from hierlearn.partition import cut_by_size
    >>> chain = [[0, 1, 0.1, 2], [2, 4, 0.2, 3], [3, 5, 0.3, 4]]
    >>> cut_by_size(chain, 3).tolist()
    [0, 0, 0, 1]
    >>> cut_by_size(chain, 2).tolist()
    [0, 0, 1, 2]
    """
    merges = _check_merges(linkage)
    _check_count(max_size, "max_size")
    return _clusters_of_kept_merges(merges, merges[:, 3] <= max_size)


def cut_by_count(linkage: ArrayLike, n_clusters: int) -> NDArray[np.int64]:
    """Undo the last merges until there are ``n_clusters`` clusters.

    Parameters
    ----------
    linkage : array-like of shape (n_classes - 1, 4)
        In scipy's format.
    n_clusters : int
        Number of clusters; more than there are classes gives each class its own.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes: exactly ``n_clusters`` also where merges have
        equal heights.

    Raises
    ------
    ValueError
        If ``linkage`` is no linkage, or ``n_clusters`` is not a positive whole number.

    Examples
    --------
    >>> from hierlearn.partition import cut_by_count
    >>> cut_by_count([[0, 1, 0.1, 2], [2, 4, 0.2, 3], [3, 5, 0.3, 4]], 2).tolist()
    [0, 0, 0, 1]
    """
    merges = _check_merges(linkage)
    _check_count(n_clusters, "n_clusters")
    return _clusters_of_kept_merges(merges, np.arange(len(merges)) < len(merges) + 1 - n_clusters)


def _check_merges(linkage: ArrayLike) -> NDArray[np.float64]:
    merges = np.asarray(linkage, dtype=np.float64)
    if merges.size == 0:  # of one class
        return merges.reshape(0, 4)
    if merges.ndim != 2 or merges.shape[1] != 4:
        raise ValueError(
            "linkage must have shape (n_classes - 1, 4), as scipy.cluster.hierarchy.linkage "
            f"returns it. Got shape {merges.shape} instead."
        )
    return merges


def _check_count(value: Any, name: str) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1. Got {value!r} instead.")


def cut_by_distance(linkage: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """Undo all merges at or above a distance.

    Parameters
    ----------
    linkage : array-like of shape (n_classes - 1, 4)
        In scipy's format.
    threshold : float
        A threshold of 1 on confusion distances leaves groups apart that are never confused.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes.

    Raises
    ------
    ValueError
        If ``linkage`` is no linkage, or ``threshold`` is not a number.

    Examples
    --------
    >>> from hierlearn.partition import cut_by_distance
    >>> cut_by_distance([[0, 1, 0.1, 2], [2, 4, 0.2, 3], [3, 5, 0.3, 4]], 0.2).tolist()
    [0, 0, 1, 2]
    """
    merges = _check_merges(linkage)
    if not isinstance(threshold, Real) or np.isnan(float(threshold)):
        raise ValueError(f"threshold must be a distance, a number. Got {threshold!r} instead.")
    return _clusters_of_kept_merges(merges, merges[:, 2] < threshold)


def _clusters_of_kept_merges(
    merges: NDArray[np.float64], kept: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Label each class by the highest node above it that is kept.

    ``kept`` never marks a merge above one that it does not mark: sizes and heights grow upwards.
    """
    n_classes = len(merges) + 1
    top = np.arange(2 * n_classes - 1)
    children = merges[kept, :2].astype(np.int64)
    top[children] = n_classes + np.flatnonzero(kept)[:, None]
    while not np.array_equal(higher := top[top], top):  # each round doubles the steps upwards
        top = higher
    return number_by_first_class(top[:n_classes])


class ConfusionLinkagePartitioner(ConfusionPartitioner):
    """Cluster classes by average linkage of how often they are confused.

    Distances are one minus the row-normalised confusion, made symmetric; classes are linked by
    their mean distance, and the tree is cut from the top. The number of clusters follows from the
    data unless it is given.

    Parameters
    ----------
    max_cluster_size : int or None, default=None
        Upper limit on the number of classes in a cluster, theta in the paper. None, with the two
        parameters below also None, means ``max(2, ceil(sqrt(n_classes)))``.
    n_clusters : int or None, default=None
        Number of clusters, at most that of classes.
    distance_threshold : float or None, default=None
        Distance at or above which clusters are not merged. Distances lie between 0 and 1; 1 is
        that of classes which are never confused.
    affinity : {"precomputed", "hard", "soft", "top_k", "co_detection"}, default="precomputed"
        What ``fit`` gets: a confusion matrix ("precomputed"), or class scores from which the
        confusion matrix of that name is taken, see
        :func:`hierlearn.confusion.confusion_from_scores`.
    k : int or None, default=None
        Number of top classes, for the affinities "top_k" and "co_detection".

    Attributes
    ----------
    partition_ : LabelPartition
        The clusters, with the linkage as their tree.
    labels_ : ndarray of int64, shape (n_classes,)
        Cluster of each class.
    n_clusters_ : int
        Number of clusters.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    linkage_ : ndarray of shape (n_classes - 1, 4)
        The linkage in scipy's format.
    n_features_in_ : int
        Number of classes.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen during fit, where X had any.

    See Also
    --------
    ConfusionSpectralPartitioner : Spectral clustering of the same matrix.
    cut_by_size : The cut without the estimator.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1 and Algorithm 1 (C_p, D, theta).

    Examples
    --------
    >>> from hierlearn.partition import ConfusionLinkagePartitioner
    >>> confusion = [[7, 3, 0, 0], [2, 8, 0, 0], [0, 0, 6, 4], [0, 1, 3, 6]]
    >>> partitioner = ConfusionLinkagePartitioner(max_cluster_size=2)
    >>> partitioner.fit(confusion, classes=["cat", "dog", "car", "bus"]).partition_.to_table()[0]
    {'class': 'cat', 'cluster': 0, 'primary': True}
    >>> partitioner.labels_
    array([0, 0, 1, 1])
    >>> partitioner.transform([[0.5, 0.2, 0.2, 0.1]]).round(2).tolist()
    [[0.7, 0.3]]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "max_cluster_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "distance_threshold": [Interval(Real, 0, None, closed="left"), None],
        "affinity": [StrOptions(set(AFFINITIES))],
        "k": [Interval(Integral, 1, None, closed="left"), None],
    }

    linkage_: NDArray[np.float64]

    def __init__(
        self,
        *,
        max_cluster_size: int | None = None,
        n_clusters: int | None = None,
        distance_threshold: float | None = None,
        affinity: str = "precomputed",
        k: int | None = None,
    ) -> None:
        self.max_cluster_size = max_cluster_size
        self.n_clusters = n_clusters
        self.distance_threshold = distance_threshold
        self.affinity = affinity
        self.k = k

    def _cluster(self, confusion: Confusion) -> tuple[NDArray[np.int64], ClassTree]:
        given = {
            name: getattr(self, name)
            for name in ("max_cluster_size", "n_clusters", "distance_threshold")
            if getattr(self, name) is not None
        }
        if len(given) > 1:
            raise ValueError(
                "max_cluster_size, n_clusters and distance_threshold exclude each other: set one "
                f"and leave the others None. Got {given} instead."
            )
        check_n_clusters(self.n_clusters, confusion.shape[0])
        self.linkage_ = average_linkage(confusion)
        if self.n_clusters is not None:
            labels = cut_by_count(self.linkage_, self.n_clusters)
        elif self.distance_threshold is not None:
            labels = cut_by_distance(self.linkage_, self.distance_threshold)
        else:
            default = max(2, ceil(sqrt(confusion.shape[0])))
            labels = cut_by_size(self.linkage_, self.max_cluster_size or default)
        return labels, ClassTree.from_linkage(self.linkage_)
