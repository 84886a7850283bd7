"""What the partitioners share: reading their input, numbering, the fitted attributes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from hierlearn._given import as_labels, validate_data
from hierlearn._input import as_read_by
from hierlearn._validation import check_class_codes, fit_context, safe_indexing
from hierlearn.confusion import StreamingConfusion, confusion_from_scores, label_codes
from hierlearn.exceptions import PartitionError
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.label_partition import LabelPartition

__all__ = [
    "AFFINITIES",
    "Confusion",
    "ConfusionPartitioner",
    "ScoreTransformMixin",
    "check_n_clusters",
    "fit_weighted",
    "number_by_first_class",
    "partition_input",
    "renumber_clusters",
    "require_y",
    "root_of",
    "store_partition",
]

# An ndarray or a csr_array: scipy ships no types, which makes the union no narrower than Any.
Confusion: TypeAlias = Any

AFFINITIES = ("precomputed", "hard", "soft", "top_k", "co_detection")

_WITH_TARGET = ("hard", "soft", "top_k")


def partition_input(partitioner: Any) -> str:
    """Say what the ``fit`` of a partitioner expects as its X.

    Parameters
    ----------
    partitioner : estimator
        Any partitioner. One that is not ours says so by an attribute ``partition_input``.

    Returns
    -------
    kind : {"confusion", "scores", "features", "taxonomy"}
        "confusion" : a confusion matrix, row = true class; y is not used. Taken where the
        partitioner does not say.
        "scores" : class scores (n_samples, n_classes), and y as codes of the classes.
        "features" : any representation (n_samples, n_features), and y as labels.
        "taxonomy" : X is not used; the classes are those of y, or ``classes=``.

    Examples
    --------
    >>> from hierlearn.partition import CentroidPartitioner, ConfusionLinkagePartitioner
    >>> from hierlearn.partition import partition_input
    >>> partition_input(ConfusionLinkagePartitioner())
    'confusion'
    >>> partition_input(ConfusionLinkagePartitioner(affinity="soft"))
    'scores'
    >>> partition_input(CentroidPartitioner())
    'features'
    """
    return str(getattr(partitioner, "partition_input", "confusion"))


def number_by_first_class(labels: ArrayLike) -> NDArray[np.int64]:
    """Renumber clusters from 0 in the order of their first classes.

    Parameters
    ----------
    labels : array-like of shape (n_classes,)
        Cluster of each class, by any distinct values.

    Returns
    -------
    labels : ndarray of int64, shape (n_classes,)

    Examples
    --------
    >>> from hierlearn.partition._common import number_by_first_class
    >>> number_by_first_class([7, 2, 7, 5]).tolist()
    [0, 1, 0, 2]
    """
    _, first, codes = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[codes]


def renumber_clusters(partition: LabelPartition) -> LabelPartition:
    """Return the same partition with its clusters numbered by their first primary classes."""
    labels = number_by_first_class(partition.labels)
    old = np.empty(partition.n_clusters, dtype=np.int64)
    old[labels] = partition.labels
    names = None if partition.names is None else tuple(partition.names[cluster] for cluster in old)
    return replace(partition, labels=labels, membership=partition.membership[:, old], names=names)


def store_partition(estimator: Any, partition: LabelPartition) -> None:
    """Set the fitted attributes that every partitioner has."""
    estimator.partition_ = partition
    estimator.classes_ = partition.classes
    estimator.labels_ = partition.labels
    estimator.n_clusters_ = partition.n_clusters


def require_y(estimator: Any, remedy: str) -> ValueError:
    """Make the error for a missing y, in scikit-learn's wording."""
    name = type(estimator).__name__
    return ValueError(
        f"This {name} estimator requires y to be passed, but the target y is None: {remedy}."
    )


def fit_weighted(
    partitioner: Any, X: Any, y: Any, sample_weight: ArrayLike | None, **classes: Any
) -> Any:
    """Fit a partitioner on weighted rows, as if each were repeated as often as it weighs.

    Parameters
    ----------
    partitioner : estimator
        Any that looks at rows, see :func:`hierlearn.partition.partition_input`. Fitted in place.
    X : array-like or sparse matrix of shape (n_samples, n_columns)
        Class scores, or any representation.
    y : array-like of shape (n_samples,)
        As the partitioner expects it.
    sample_weight : array-like of shape (n_samples,) or None
        None fits without weights, whatever the partitioner supports.
    **classes : dict
        Empty, or ``classes=`` for ``fit``.

    Returns
    -------
    partitioner : estimator
        The same object, fitted.

    Raises
    ------
    ValueError
        If the partitioner takes no weights, and those that are not zero differ.

    Examples
    --------
    >>> from hierlearn.partition import ConfusionLinkagePartitioner
    >>> from hierlearn.partition._common import fit_weighted
    >>> scores = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    >>> learner = ConfusionLinkagePartitioner(n_clusters=2, affinity="soft")
    >>> fit_weighted(learner, scores, [0, 1, 2, 1], [1, 1, 1, 0]).labels_.tolist()
    [0, 0, 1]
    """
    X = as_read_by(partitioner, X)
    if sample_weight is None:
        return partitioner.fit(X, y, **classes)
    if hasattr(partitioner, "_fit_weighted"):
        return partitioner._fit_weighted(X, y, sample_weight=sample_weight, **classes)
    if has_fit_parameter(partitioner, "sample_weight"):
        return partitioner.fit(X, y, sample_weight=sample_weight, **classes)
    weight = np.asarray(sample_weight)
    kept = np.flatnonzero(weight)
    if np.unique(weight[kept]).size > 1:
        raise ValueError(
            f"sample_weight must be None, or equal where not zero, for {type(partitioner).__name__}"
            ", whose fit does not support it. Got different weights instead; leave them out or "
            "choose another partitioner."
        )
    return partitioner.fit(safe_indexing(X, kept), safe_indexing(y, kept), **classes)


class ScoreTransformMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` and ``predict`` for partitioners fitted on one column per class."""

    partition_: LabelPartition
    n_clusters_: int

    @property
    def _n_features_out(self) -> int:
        return self.n_clusters_

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Sum class scores over the clusters.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_classes)
            Class scores, columns in the order of ``classes_``.

        Returns
        -------
        cluster_scores : ndarray of shape (n_samples, n_clusters)
            Columns in the order of the clusters.
        """
        return self._cluster_scores(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Name the cluster with the largest sum of class scores.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_classes)
            Class scores, columns in the order of ``classes_``.

        Returns
        -------
        clusters : ndarray of int64, shape (n_samples,)
            Cluster of each row.
        """
        return self._cluster_scores(X).argmax(axis=1)

    def _cluster_scores(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        scores = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        with np.errstate(over="ignore"):
            sums = self.partition_.cluster_scores(scores)
        if not np.isfinite(sums).all():
            raise ValueError(
                "X must hold scores that can be added up. Got scores of up to "
                f"{abs(scores).max():g} instead; scale X."
            )
        return sums


class ConfusionPartitioner(ScoreTransformMixin, BaseEstimator):
    """Base of the partitioners that cluster a confusion matrix.

    A subclass has the parameters ``affinity`` and ``k``, and implements ``_cluster``.
    """

    affinity: str
    k: int | None

    _stream: Any = None

    @property
    def partition_input(self) -> str:
        """What ``fit`` expects, see :func:`hierlearn.partition.partition_input`."""
        return "confusion" if self.affinity == "precomputed" else "scores"

    def _cluster(self, confusion: Confusion) -> tuple[NDArray[np.int64], ClassTree | None]:
        """Return the cluster of each class, by any numbers, and a tree where there is one."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None, *, classes: ArrayLike | None = None) -> Self:
        """Partition the classes.

        Parameters
        ----------
        X : array-like or sparse matrix
            With ``affinity="precomputed"`` a confusion matrix of shape (n_classes, n_classes),
            row = true class, column = predicted class, normalised or not. Otherwise class scores
            of shape (n_samples, n_classes), held out.
        y : array-like of shape (n_samples,) or None, default=None
            True classes of the rows of the scores: integer codes (column numbers), or labels of
            another dtype; for "top_k" also an indicator matrix of shape (n_samples, n_classes).
            Not used by the affinities "precomputed" and "co_detection".
        classes : array-like of shape (n_classes,) or None, default=None
            Labels of the classes, in the order of the columns. None takes the labels in y where
            they are not integers, else 0, 1, ...

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If X is not square (``affinity="precomputed"``) or has entries that are negative or
            not finite, if y is missing where it is needed, or ``n_clusters`` exceeds the number
            of classes.
        PartitionError
            If ``classes`` does not fit the columns of X.
        """
        return self._fit_weighted(X, y, classes=classes)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, *, classes: ArrayLike | None = None) -> Self:
        """Add a batch to the confusions seen so far, and partition the classes by all of them.

        Only sums of confusions are kept, not the scores; what ``fit`` has seen is not among them:
        the first call after it starts afresh. The classes are clustered anew at the end of every
        call; where that takes long, add up a
        :class:`hierlearn.confusion.StreamingConfusion` and give its result to ``fit``.

        Parameters
        ----------
        X : array-like or sparse matrix
            As for ``fit``. Scores may be a sparse matrix that holds the highest of each row only;
            confusion matrices are added up, and should be counts.
        y : array-like of shape (n_samples,) or None, default=None
            As for ``fit``.
        classes : array-like of shape (n_classes,) or None, default=None
            As for ``fit``; looked at in the first call only, whose labels hold for all.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            As for ``fit``, or if X has another number of columns, or the estimator another
            ``affinity`` or ``k``, than in the first call.
        """
        first = self._stream is None
        if not first:
            self._check_same_confusion()
        values = self._check_input(X, reset=first)
        classes = classes if first else self.classes_
        if self.affinity == "precomputed":
            confusion = values.copy() if first else self._stream + values
            stream: Any = confusion
        else:
            y, classes = self._check_target(y, classes, values.shape)
            n_classes = values.shape[1]
            stream = (
                StreamingConfusion(n_classes, method=self.affinity, k=self.k)
                if first
                else deepcopy(self._stream)  # a batch that fails leaves no trace
            )
            confusion = stream.update(values, y).result()
        self._set_partition(confusion, classes)
        self._stream = stream
        return self

    def _check_same_confusion(self) -> None:
        """Check that batches are added to sums of their own kind."""
        stream = self._stream
        method = stream.method if isinstance(stream, StreamingConfusion) else "precomputed"
        same_k = method == "precomputed" or self.k is None or self.k == stream.k
        if method != self.affinity or not same_k:
            raise ValueError(
                f"affinity and k must stay as in the first call of partial_fit, {method!r} and "
                f"{getattr(stream, 'k', None)}. Got {self.affinity!r} and {self.k} instead; clone "
                "the partitioner to start afresh."
            )

    @fit_context(prefer_skip_nested_validation=True)
    def _fit_weighted(
        self,
        X: Any,
        y: Any = None,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit with weights of the rows, which a confusion matrix as X has none of."""
        values = self._check_input(X, reset=True)
        self._stream = None
        if self.affinity == "precomputed":
            confusion = values
        else:
            y, classes = self._check_target(y, classes, values.shape)
            confusion = confusion_from_scores(
                values, y, method=self.affinity, k=self.k, sample_weight=sample_weight
            )
        self._set_partition(confusion, classes)
        return self

    def _check_input(self, X: Any, *, reset: bool) -> Confusion:
        values = validate_data(
            self, X, reset=reset, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False
        )
        checked = _check_entries(self, values)
        return _check_square(self, checked) if self.affinity == "precomputed" else checked

    def _set_partition(self, confusion: Confusion, classes: ArrayLike | None) -> None:
        names = _check_column_classes(classes, confusion.shape[0])
        labels, tree = self._cluster(confusion)
        store_partition(self, LabelPartition(names, number_by_first_class(labels), None, tree))

    def _check_target(
        self, y: Any, classes: ArrayLike | None, shape: tuple[int, int]
    ) -> tuple[Any, ArrayLike | None]:
        """Turn y into codes, and find the classes where y holds labels."""
        if self.affinity not in _WITH_TARGET:
            return None, classes
        if y is None:
            raise require_y(self, "give the true class of each row of the scores")
        target = as_labels(y)
        if self.affinity == "top_k" and target.ndim == 2:
            return target, classes  # several labels a sample, as an indicator matrix
        if target.ndim == 1 and target.dtype.kind not in "biuf":
            classes = _check_column_classes(
                np.unique(target) if classes is None else classes, shape[1]
            )
            target = label_codes(target, classes)
        return check_class_codes(target, shape[1], n_samples=shape[0]), classes

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.affinity == "precomputed"
        tags.input_tags.positive_only = True
        tags.target_tags.required = self.affinity in _WITH_TARGET
        return tags


def check_n_clusters(n_clusters: int | None, n_classes: int) -> None:
    """Raise if more clusters are asked for than there are classes."""
    if n_clusters is not None and n_clusters > n_classes:
        raise ValueError(
            f"n_clusters must not exceed the number of classes, {n_classes}. "
            f"Got {n_clusters} instead; take fewer, or None."
        )


def root_of(n_classes: int) -> int:
    """Return how many clusters are made where nothing is said: about the square root, at least 2.

    With that many clusters, of about that many classes, neither the choice of the cluster nor
    the choice within it is the larger problem.
    """
    return min(max(2, round(np.sqrt(n_classes))), n_classes)


def _check_entries(estimator: Any, values: Any) -> Confusion:
    """Check that no entry is negative or not finite; sparse matrices become arrays."""
    if sparse.issparse(values):
        values = sparse.csr_array(values)
    entries = values.data if sparse.issparse(values) else values
    if not np.isfinite(entries).all():
        raise ValueError(
            "X must not contain NaN or inf: leave such entries out, or set them to 0. "
            f"Got {'NaN' if np.isnan(entries).any() else 'inf'} instead."
        )
    if entries.size and entries.min() < 0:
        raise ValueError(
            f"Negative values in data passed to {type(estimator).__name__}: X must hold counts, "
            "shares or posteriors, for decision values see hierlearn.confusion.class_scores. "
            f"Got a minimum of {entries.min():g} instead."
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(entries.sum(dtype=np.float64)):
            raise ValueError(
                "X must have entries whose sum is a number. Got entries of up to "
                f"{entries.max():g} instead; scale X."
            )
    return values


def _check_square(estimator: Any, confusion: Confusion) -> Confusion:
    if confusion.shape[0] != confusion.shape[1]:
        raise ValueError(
            f"{type(estimator).__name__} with affinity='precomputed' needs a square confusion "
            "matrix, a row and a column per class: for class scores set affinity='soft'. "
            f"Got shape {confusion.shape} instead."
        )
    return confusion


def _check_column_classes(classes: ArrayLike | None, n_columns: int) -> NDArray[Any]:
    """Return the labels of the columns, codes by default."""
    if classes is None:
        return np.arange(n_columns)
    checked = np.asarray(classes)
    if checked.shape != (n_columns,):
        raise PartitionError(
            f"classes must have one label for each of the {n_columns} columns of X. "
            f"Got shape {checked.shape} instead; pass classes= where y lacks some of them."
        )
    return checked
