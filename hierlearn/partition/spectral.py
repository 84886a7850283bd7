"""Spectral clustering of confusions (Ng, Jordan & Weiss)."""

from __future__ import annotations

import warnings
from math import ceil, sqrt
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from hierlearn._validation import Interval, StrOptions, as_random_state, check_confusion
from hierlearn.confusion import similarity_from_confusion
from hierlearn.partition._aligned_means import cluster_aligned_rows
from hierlearn.partition._common import (
    AFFINITIES,
    Confusion,
    ConfusionPartitioner,
    check_n_clusters,
    number_by_first_class,
)

__all__ = [
    "ConfusionSpectralPartitioner",
    "cluster_rows",
    "confusion_spectrum",
    "similarity_spectrum",
    "spectral_labels",
    "widest_gap",
]

# Up to this many classes the similarity is formed and decomposed whole; above, eigenvectors are
# found by products with the confusion matrix alone.
_DENSE_MAX = 1000

# A class whose similarities to others sum to less than this share of its own is taken as alone:
# in the operator that sum is a difference and comes with a rounding error.
_ALONE = 1e-10

# Eigenvalues lie between -1 and 1: those known in advance, moved down by this, come last.
_SHIFT = 3.0


def confusion_spectrum(
    confusion: Any, n_vectors: int, *, random_state: Any = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the leading eigenvectors of the normalised similarity of a confusion matrix.

    With ``B = A^T A`` (A has the true classes as columns, so here ``B = C C^T``), its diagonal
    set to zero and ``D = diag(B 1)``, these are the eigenvectors of ``D^-1/2 B D^-1/2``. Above
    1000 classes B is never formed.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class.
    n_vectors : int
        Number of eigenvectors; at most one per class is returned.
    random_state : int, RandomState instance or None, default=None
        For the starting vector of the iteration above 1000 classes.

    Returns
    -------
    eigenvalues : ndarray of shape (n_vectors,)
        In descending order, at most 1.
    eigenvectors : ndarray of shape (n_classes, n_vectors)
        The largest entry of each is positive. A class that is confused with no other has a row
        of zeros wherever the eigenvalue is not 0.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), below eq. 4 (A, B). Ng, Jordan & Weiss (2002).

    Examples
    --------
    >>> from hierlearn.partition import confusion_spectrum
    >>> eigenvalues, _ = confusion_spectrum([[8, 2, 0], [2, 8, 0], [0, 0, 9]], 3)
    >>> eigenvalues.round(6).tolist()
    [1.0, 0.0, -1.0]
    """
    matrix: Confusion = check_confusion(confusion)
    n_classes = matrix.shape[0]
    largest = matrix.max()
    if largest > 0:
        matrix = matrix / largest  # keeps the squares of tiny shares and large counts in range
    if n_classes <= _DENSE_MAX or n_vectors >= n_classes - 1:
        dense = matrix.toarray() if sparse.issparse(matrix) else matrix
        return similarity_spectrum(similarity_from_confusion(dense), n_vectors)
    return _spectrum_by_products(matrix, n_vectors, random_state)


def similarity_spectrum(
    similarity: NDArray[np.float64], n_vectors: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the leading eigenvectors of a dense similarity, normalised without its diagonal.

    Parameters
    ----------
    similarity : ndarray of shape (n_classes, n_classes)
        Symmetric, no negative entries.
    n_vectors : int
        Number of eigenvectors; at most one per class is returned.

    Returns
    -------
    eigenvalues : ndarray of shape (n_vectors,)
        In descending order.
    eigenvectors : ndarray of shape (n_classes, n_vectors)
        The largest entry of each is positive.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import similarity_spectrum
    >>> similarity_spectrum(np.ones((3, 3)), 2)[0].round(6).tolist()
    [1.0, -0.5]
    """
    own = similarity.diagonal()
    others = similarity - np.diag(own)
    scale = _inverse_root(others.sum(axis=1), own)
    n_classes = others.shape[0]
    n_vectors = min(n_vectors, n_classes)
    values, vectors = eigh(
        scale[:, None] * others * scale, subset_by_index=(n_classes - n_vectors, n_classes - 1)
    )
    return values[::-1], _fix_signs(vectors[:, ::-1])


def _spectrum_by_products(
    matrix: Confusion, n_vectors: int, random_state: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the eigenvectors from products with the confusion matrix and its transpose only."""
    n_classes = matrix.shape[0]
    squares = matrix.multiply(matrix) if sparse.issparse(matrix) else matrix * matrix
    own = np.asarray(squares.sum(axis=1)).ravel()
    transposed = matrix.T.tocsr() if sparse.issparse(matrix) else matrix.T

    def others(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        diagonal = own if vectors.ndim == 1 else own[:, None]
        return matrix @ (transposed @ vectors) - diagonal * vectors

    degrees = others(np.ones(n_classes))
    scale = _inverse_root(degrees, own)
    rng = as_random_state(random_state)
    known = _component_vectors(matrix, np.where(scale > 0, degrees, 0.0))
    n_known = known.shape[1]
    if n_known >= n_vectors:  # more components than vectors: each gets a share in all of them
        mixing, _ = np.linalg.qr(rng.normal(size=(n_known, n_vectors)))
        return np.ones(n_vectors), _fix_signs(known @ mixing)
    if not n_known:
        return np.zeros(n_vectors), np.zeros((n_classes, n_vectors))

    def remaining(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        vector = vector.ravel()
        return scale * others(scale * vector) - _SHIFT * (known @ (known.T @ vector))

    operator = LinearOperator((n_classes, n_classes), matvec=remaining, dtype=np.float64)
    start = rng.uniform(-1, 1, n_classes)
    values, vectors = eigsh(operator, k=n_vectors - n_known, which="LA", v0=start)
    order = np.argsort(values)[::-1]
    values = np.concatenate([np.ones(n_known), values[order]])
    return values, _fix_signs(np.hstack([known.toarray(), vectors[:, order]]))


def _component_vectors(matrix: Confusion, degrees: NDArray[np.float64]) -> sparse.csr_array:
    """Return the eigenvectors for eigenvalue 1: D^1/2 on each connected group of classes.

    The iteration could miss some of several equal eigenvalues, so it gets to see none of them.
    """
    n_classes = matrix.shape[0]
    if not sparse.issparse(matrix) and (matrix > 0).all(axis=0).any():
        groups = np.zeros(n_classes, dtype=np.int64)  # a column links all: the usual case if dense
    else:
        # Classes are linked through the columns they share: rows and columns are the two sides.
        links = sparse.csr_array(matrix > 0)
        graph = sparse.block_array([[None, links], [links.T, None]])
        groups = connected_components(graph, directed=False)[1][:n_classes]
    linked = np.flatnonzero(degrees > 0)
    groups = np.unique(groups[linked], return_inverse=True)[1]
    weights = np.bincount(groups, weights=degrees[linked])
    entries = (np.sqrt(degrees[linked] / weights[groups]), (linked, groups))
    return sparse.csr_array(entries, shape=(n_classes, weights.size))


def _inverse_root(degrees: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute D^-1/2, with 0 for classes that are like no other."""
    connected = degrees > _ALONE * own
    return np.where(connected, 1 / np.sqrt(np.where(connected, degrees, 1.0)), 0.0)


def _fix_signs(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1.0, signs)


def widest_gap(eigenvalues: NDArray[np.float64], max_clusters: int) -> int:
    """Choose the number of clusters at the widest gap between successive eigenvalues.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n_values,)
        In descending order.
    max_clusters : int
        Upper limit.

    Returns
    -------
    n_clusters : int
        At least 2, as the gap behind the first eigenvalue is wide for any connected graph. Of
        equal gaps the last counts: all are zero where more groups than ``max_clusters`` are not
        connected at all.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import widest_gap
    >>> widest_gap(np.array([1.0, 0.9, 0.9, 0.2, 0.1]), max_clusters=4)
    3
    """
    gaps = -np.diff(eigenvalues[1 : max_clusters + 1])
    if gaps.size == 0:
        return min(2, eigenvalues.size)
    return 2 + int(np.flatnonzero(gaps >= gaps.max() - 1e-9)[-1])


def spectral_labels(
    eigenvectors: NDArray[np.float64], n_clusters: int, *, random_state: Any = None
) -> NDArray[np.int64]:
    """Cluster classes by the first ``n_clusters`` eigenvectors: unit rows, then k-means.

    Above 1000 classes k-means starts from centres that a rotation of the eigenvectors gives, and
    once at random, instead of ten times at random.

    Parameters
    ----------
    eigenvectors : ndarray of shape (n_classes, n_vectors)
        As :func:`confusion_spectrum` returns them.
    n_clusters : int
        Number of clusters.
    random_state : int, RandomState instance or None, default=None
        For k-means.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import spectral_labels
    >>> spectral_labels(np.array([[2.0, 0.0], [1.0, 0.1], [0.0, 3.0]]), 2, random_state=0)
    array([0, 0, 1])
    """
    rows = eigenvectors[:, :n_clusters]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > _ALONE)
    if units.shape[0] > _DENSE_MAX and units.shape[1] == n_clusters:
        return number_by_first_class(cluster_aligned_rows(units, as_random_state(random_state)))
    return cluster_rows(units, n_clusters, random_state=random_state)


def cluster_rows(
    rows: Any, n_clusters: int, *, random_state: Any = None, kind: Any = KMeans, **settings: Any
) -> NDArray[np.int64]:
    """Cluster rows by k-means, accepting that equal rows give fewer clusters.

    Parameters
    ----------
    rows : ndarray or sparse array of shape (n_classes, n_dimensions)
        A point per class.
    n_clusters : int
        Number of clusters; at most one per different row is made.
    random_state : int, RandomState instance or None, default=None
        For the initial centres.
    kind : {KMeans, MiniBatchKMeans}, default=KMeans
        scikit-learn's class.
    **settings
        Its further parameters; ``n_init=10`` unless given.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import cluster_rows
    >>> cluster_rows(np.array([[0.0], [9.0], [0.1]]), 2, random_state=0)
    array([0, 1, 0])
    """
    n_clusters = min(n_clusters, rows.shape[0])
    settings = {"n_init": 10, **settings}
    means = kind(n_clusters, random_state=as_random_state(random_state), **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        labels = means.fit(rows).labels_
    return number_by_first_class(labels)


class ConfusionSpectralPartitioner(ConfusionPartitioner):
    """Cluster classes by spectral clustering of their confusions.

    Classes are alike if they are confused with the same classes. The similarity's leading
    eigenvectors, with rows of unit length, are clustered by k-means.

    Parameters
    ----------
    n_clusters : int or None, default=None
        Number of clusters, C, at most that of classes. None takes the widest gap between
        successive eigenvalues. Fewer are made where classes cannot be told apart (all those that
        are confused with no other form one cluster).
    affinity : {"precomputed", "hard", "soft", "top_k", "co_detection"}, default="precomputed"
        What ``fit`` gets: a confusion matrix ("precomputed"), or class scores from which the
        confusion matrix of that name is taken, see
        :func:`hierlearn.confusion.confusion_from_scores`.
    k : int or None, default=None
        Number of top classes, for the affinities "top_k" and "co_detection".
    max_clusters : int or None, default=None
        Upper limit where ``n_clusters`` is None. None means the smaller of half the classes and
        ``4 * ceil(sqrt(n_classes))``, and at least 2.
    random_state : int, RandomState instance or None, default=None
        For k-means.

    Attributes
    ----------
    partition_ : LabelPartition
        The clusters, without a tree.
    labels_ : ndarray of int64, shape (n_classes,)
        Cluster of each class.
    n_clusters_ : int
        Number of clusters.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    eigenvalues_ : ndarray
        The leading eigenvalues in descending order: as many as there are clusters, and where the
        gap chose the number, as many as were compared.
    n_features_in_ : int
        Number of classes.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen during fit, where X had any.

    See Also
    --------
    ConfusionLinkagePartitioner : Limits the size of the clusters instead.
    confusion_spectrum : The eigenvectors without the estimator.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), eq. 3, eq. 4 and below (A, B, C). Ng, Jordan &
    Weiss (2002), On spectral clustering: analysis and an algorithm.

    Examples
    --------
    >>> from hierlearn.partition import ConfusionSpectralPartitioner
    >>> confusion = [[7, 3, 0, 0], [2, 8, 0, 0], [0, 0, 6, 4], [0, 1, 3, 6]]
    >>> partitioner = ConfusionSpectralPartitioner(n_clusters=2, random_state=0)
    >>> partitioner.fit(confusion).labels_
    array([0, 0, 1, 1])
    >>> partitioner.predict([[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    array([0, 1])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "affinity": [StrOptions(set(AFFINITIES))],
        "k": [Interval(Integral, 1, None, closed="left"), None],
        "max_clusters": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    eigenvalues_: NDArray[np.float64]

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        affinity: str = "precomputed",
        k: int | None = None,
        max_clusters: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.affinity = affinity
        self.k = k
        self.max_clusters = max_clusters
        self.random_state = random_state

    def _cluster(self, confusion: Confusion) -> tuple[NDArray[np.int64], None]:
        n_classes = confusion.shape[0]
        check_n_clusters(self.n_clusters, n_classes)
        rng = as_random_state(self.random_state)
        limit = self.max_clusters or _default_max_clusters(n_classes)
        wanted = self.n_clusters if self.n_clusters is not None else limit + 1
        self.eigenvalues_, vectors = confusion_spectrum(
            confusion, min(wanted, n_classes), random_state=rng
        )
        n_clusters = self.n_clusters or widest_gap(self.eigenvalues_, limit)
        return spectral_labels(vectors, n_clusters, random_state=rng), None


def _default_max_clusters(n_classes: int) -> int:
    return max(2, min(ceil(n_classes / 2), 4 * ceil(sqrt(n_classes))))
