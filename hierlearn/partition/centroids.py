"""Clusters of class means in any representation of the data."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from hierlearn._given import validate_data
from hierlearn._rows import RowView, check_blocks_finite, row_blocks, select_rows
from hierlearn._validation import Interval, StrOptions, as_random_state, check_weights, fit_context
from hierlearn.exceptions import PartitionError
from hierlearn.partition._common import (
    check_n_clusters,
    require_y,
    root_of,
    store_partition,
)
from hierlearn.partition._groups import class_positions, shorten
from hierlearn.partition.label_partition import LabelPartition
from hierlearn.partition.spectral import cluster_rows, similarity_spectrum, spectral_labels

# The squares of larger numbers, added up over the features, may be infinite.
_LARGEST_MEAN = 1e150

__all__ = ["CentroidPartitioner", "class_means", "cluster_means_spectrally"]


def class_means(
    X: Any, codes: NDArray[np.int64], n_classes: int, sample_weight: ArrayLike | None = None
) -> Any:
    """Average the samples of each class.

    Parameters
    ----------
    X : ndarray, csr_array or RowView of shape (n_samples, n_features)
        Any representation; read in blocks.
    codes : ndarray of int, shape (n_samples,)
        Class of each sample, from 0 to ``n_classes - 1``, each class with a sample.
    n_classes : int
        Number of classes.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in the means. Samples of weight zero are not looked at.

    Returns
    -------
    means : ndarray or csr_array of shape (n_classes, n_features)
        Sparse if X is. A class without any weight gets a row of zeros.

    Raises
    ------
    ValueError
        If means are so large that their distances are no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import class_means
    >>> class_means(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1]), 2).tolist()
    [[1.0], [5.0]]
    >>> class_means(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1]), 2, [3, 1, 1]).tolist()
    [[0.5], [5.0]]
    """
    weights = check_weights(sample_weight, codes.size)
    weights = np.ones(codes.size) if weights is None else weights
    rows = np.flatnonzero(weights)
    own, weights = codes[rows], weights[rows]
    shares = weights / np.bincount(own, weights=weights, minlength=n_classes)[own]
    means: Any = 0
    for block, values in row_blocks(X):
        inside = slice(*np.searchsorted(rows, [block.start, block.stop]))
        places = own[inside], rows[inside] - block.start
        shape = n_classes, block.stop - block.start
        averaging = sparse.csr_array((shares[inside], places), shape=shape)
        means = means + averaging @ values.astype(np.float64, copy=False)  # sparse if X is
    _check_scale(means)
    if not sparse.issparse(means):
        return means
    if max(means.nnz, *means.shape) <= np.iinfo(np.int32).max:
        # k-means takes 32 bit indices only, and X may come with wider ones.
        means.indices = means.indices.astype(np.int32)
        means.indptr = means.indptr.astype(np.int32)
    return means


def cluster_means_spectrally(
    means: Any, n_clusters: int, *, random_state: Any = None
) -> NDArray[np.int64]:
    """Cluster points spectrally by Gaussian similarity, as wide as their median distance.

    Parameters
    ----------
    means : ndarray or csr_array of shape (n_classes, n_features)
        A point per class.
    n_clusters : int
        Number of clusters.
    random_state : int, RandomState instance or None, default=None
        For k-means on the eigenvectors.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)
        Clusters numbered by their first classes.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import cluster_means_spectrally
    >>> cluster_means_spectrally(np.array([[0.0], [1.0], [9.0], [8.0]]), 2, random_state=0)
    array([0, 0, 1, 1])
    """
    squares = euclidean_distances(means, squared=True)
    between = squares[np.triu_indices_from(squares, k=1)]
    apart = between[between > 0]
    width = np.median(apart) if apart.size else 1.0
    _, vectors = similarity_spectrum(np.exp(-squares / width), n_clusters)
    return spectral_labels(vectors, n_clusters, random_state=random_state)


class CentroidPartitioner(BaseEstimator):
    """Cluster classes by where their samples lie on average.

    Needs no classifier: any low-dimensional representation of the data will do.

    Parameters
    ----------
    n_clusters : int or None, default=None
        Number of clusters, at most that of classes; at most one per different class mean is made.
        None means the square root of the number of classes, rounded, and at least 2.
    method : {"kmeans", "spectral"}, default="kmeans"
        "kmeans" clusters the class means themselves, "spectral" a Gaussian similarity between
        them, as wide as the median of their distances.
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
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Feature names seen during fit, where X had any.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 1 (k-means and spectral clustering on low dimensional representations of the data).

    Examples
    --------
    >>> from hierlearn.partition import CentroidPartitioner
    >>> X, y = [[0.0], [0.2], [1.0], [9.0], [8.0]], ["a", "a", "b", "c", "d"]
    >>> CentroidPartitioner(n_clusters=2, random_state=0).fit(X, y).partition_.to_dict()
    {'cluster_0': ['a', 'b'], 'cluster_1': ['c', 'd']}
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "method": [StrOptions({"kmeans", "spectral"})],
        "random_state": ["random_state"],
    }

    partition_input = "features"
    _reads_batches = True

    def __init__(
        self, n_clusters: int | None = None, *, method: str = "kmeans", random_state: Any = None
    ) -> None:
        self.n_clusters = n_clusters
        self.method = method
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Partition the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Any representation of the samples.
        y : array-like of shape (n_samples,), default=None
            Class labels.
        classes : array-like of shape (n_classes,) or None, default=None
            The labels in y, in the order to keep. None sorts them.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples in the mean of their class; how much a class weighs does not
            matter. Samples of weight zero count as absent, and so do classes with no others.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If y is missing or not made of classes, ``sample_weight`` does not fit y or is zero
            everywhere, or ``n_clusters`` exceeds the number of classes.
        PartitionError
            If y has other classes than ``classes``, or one of them has weight zero only.
        """
        if y is None:
            raise require_y(self, "give the class label of each row of X")
        X, y = self._check_X_y(X, y)
        check_classification_targets(y)
        weight = check_weights(sample_weight, y.size)
        if weight is not None:
            seen = _some_weight(weight)
            X, y, weight = select_rows(X, seen), y[seen], weight[seen]
        labels, codes = _encode(y, classes)
        check_n_clusters(self.n_clusters, labels.size)
        n_clusters = root_of(labels.size) if self.n_clusters is None else self.n_clusters
        means = class_means(X, codes, labels.size, weight)
        cluster = cluster_rows if self.method == "kmeans" else cluster_means_spectrally
        rng = as_random_state(self.random_state)
        store_partition(self, LabelPartition(labels, cluster(means, n_clusters, random_state=rng)))
        return self

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """Validate the rows as they are: a cast of all of them would be a copy."""
        if isinstance(X, RowView):
            validate_data(self, X, skip_check_array=True)
            y = validate_data(self, y=y)
            check_consistent_length(X, y)
        else:
            X, y = validate_data(self, X, y, accept_sparse="csr", ensure_all_finite=False)
            X = sparse.csr_array(X) if sparse.issparse(X) else X
        check_blocks_finite(X, estimator_name=type(self).__name__, input_name="X")
        return X, y

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags


def _check_scale(means: Any) -> None:
    """Refuse means whose distances are no numbers any more."""
    largest = abs(means).max()
    if not largest < _LARGEST_MEAN:
        raise ValueError(
            f"X must have class means below {_LARGEST_MEAN:g}, for their distances to be numbers. "
            f"Got {largest:g} instead; scale X, e.g. with StandardScaler."
        )


def _some_weight(weight: NDArray[np.float64]) -> NDArray[np.intp]:
    """Find the samples that weigh something."""
    seen = np.flatnonzero(weight)
    if seen.size == 0:
        raise ValueError(
            "sample_weight must not be zero everywhere. Got only zero weights instead; leave "
            "sample_weight out to weigh all samples the same."
        )
    return seen


def _encode(y: NDArray[Any], classes: ArrayLike | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes and the code of each sample's, in the order asked for."""
    present, codes = np.unique(y, return_inverse=True)
    if classes is None:
        return present, codes
    wanted = np.asarray(classes)
    absent = sorted(set(wanted.tolist()) - set(present.tolist()), key=str)
    if absent:
        raise PartitionError(
            "classes must all occur in y, with a weight that is not zero where there are weights, "
            "as a class without samples has no mean. "
            f"Got none of {shorten(absent)} in y instead."
        )
    return wanted, class_positions(present, wanted)[codes]
