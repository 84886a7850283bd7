"""Clusters of labels for a label tree, from any partitioner."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from .._progress import work_of_splits
from .._validation import draw_seeds
from ..confusion import (
    CONFUSION_METHODS,
    HeldOutScores,
    confusion_from_scores,
    held_out_scores,
    seed_estimator,
)
from ..embedding import label_cooccurrence, pmi
from ..exceptions import UnsupportedTargetError
from ..partition import (
    ConfusionSpectralPartitioner,
    LabelPartition,
    partition_input,
    resolve_partitioner,
)
from ..partition._common import fit_weighted, root_of
from .brief import brief_work
from .held_out_classes import _settings, brief_cooccurrence, held_out_rows
from .mlp import TorchMLPClassifier

# Fewer labels have nothing to be grouped by.
_MIN_LABELS = 4
_REMEDY = "give a LabelPartition as partitioner"


def learn_label_clusters(
    estimator: Any, X: Any, target: Any, given: np.ndarray, kept: np.ndarray, seed: int
) -> LabelPartition:
    """Make clusters of labels with the partitioner of a label tree.

    Parameters
    ----------
    estimator : MultiLabelDecompositionClassifier
        Its settings, ``classes_`` and ``multilabel_`` are looked at.
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows that have weight.
    target : ndarray of shape (n_samples,), or indicator
        Class codes, or labels.
    given : ndarray of shape (n_samples,)
        Their weights, as given.
    kept : ndarray of bool, shape (n_rows_given,)
        Which rows given to ``fit`` they are.
    seed : int
        For each random state that is None.

    Returns
    -------
    LabelPartition
        Over the estimator's ``classes_``.

    Raises
    ------
    PartitionError
        If the partition is for other labels than those of y.
    HoldOutError
        If held-out rows are needed and nothing can be held out.
    UnsupportedTargetError
        If the partitioner is for one class a sample, and y is multi-label.
    """
    classes = estimator.classes_
    if isinstance(estimator.partitioner, LabelPartition):
        return estimator.partitioner.aligned_to(classes)
    if estimator.partitioner is None and len(classes) < _MIN_LABELS:
        return LabelPartition(classes, np.zeros(len(classes), dtype=np.int64))
    seeds = draw_seeds(seed, 4).tolist()
    partitioner = seed_estimator(_resolve(estimator, len(classes)), seeds[0])
    kind = partition_input(partitioner)
    if kind == "taxonomy":
        partitioner.fit(None, classes=classes)
    elif kind == "features":
        means = label_means(X, target, given, len(classes))
        with warnings.catch_warnings():
            # A label is one point, for a row of several labels has no one class.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            fit_weighted(partitioner, means, classes, None)
    elif kind == "scores":
        _fit_on_scores(partitioner, _held_out(estimator, X, target, given, kept, seeds[1:]))
    else:
        met = _meetings(estimator, X, target, given, kept, seeds[1:])
        partitioner.fit(met, classes=classes)
    return partitioner.partition_.aligned_to(classes)


def cluster_work(estimator: Any) -> float:
    """Return about how much training the clusters take, in fits of the estimator's network.

    Parameters
    ----------
    estimator : MultiLabelDecompositionClassifier
        Its settings, ``classes_`` and ``multilabel_`` are looked at.

    Returns
    -------
    float
        0 where no network is trained for them.
    """
    given = estimator.partitioner
    if isinstance(given, LabelPartition) or (
        given is None and len(estimator.classes_) < _MIN_LABELS
    ):
        return 0.0
    kind = "confusion" if given is None else partition_input(resolve_partitioner(given))
    counted = estimator.multilabel_ and estimator.affinity == "cooccurrence"
    if kind in ("taxonomy", "features") or (kind != "scores" and counted):
        return 0.0
    return work_of_splits(estimator.cv) * brief_work(estimator)


def _fit_on_scores(partitioner: Any, held_out: HeldOutScores) -> None:
    scores, y, weight = held_out.scores, held_out.y, held_out.sample_weight
    method = getattr(partitioner, "affinity", None)
    if y.ndim > 1 and method == "hard":
        raise UnsupportedTargetError(
            "partitioner must have the affinity 'soft', 'top_k', 'co_detection' or 'precomputed' "
            f"where a sample has several labels. Got {partitioner} instead, for one class a sample."
        )
    if y.ndim == 1 or method not in CONFUSION_METHODS:
        fit_weighted(partitioner, scores, y, weight, classes=held_out.classes)
        return
    confusion = confusion_from_scores(
        scores, y, method=method, k=partitioner.k, sample_weight=weight
    )
    partitioner.set_params(affinity="precomputed").fit(confusion, classes=held_out.classes)


def _resolve(estimator: Any, n_labels: int) -> Any:
    if estimator.partitioner is not None:
        return clone(resolve_partitioner(estimator.partitioner))
    return ConfusionSpectralPartitioner(n_clusters=estimator.n_clusters or root_of(n_labels))


def _meetings(
    estimator: Any, X: Any, target: Any, given: np.ndarray, kept: np.ndarray, seeds: list[int]
) -> Any:
    """Return how much each two labels have to do with one another, and each with itself."""
    if estimator.multilabel_ and estimator.affinity == "cooccurrence":
        counts = label_cooccurrence(target, sample_weight=given)
        # Counts would put rare labels with whatever is frequent.
        met = pmi(counts, "npmi", n_samples=given.sum())
        return met if met.shape[0] > _DENSE_UP_TO else met.toarray()
    if estimator.multilabel_:
        held_out = _held_out(estimator, X, target, given, kept, seeds)
        return confusion_from_scores(
            held_out.scores, method="co_detection", sample_weight=held_out.sample_weight
        )
    splits = held_out_rows(estimator.cv, X, target, kept, seeds[0], remedy=_REMEDY)
    return brief_cooccurrence(estimator, X, target, given, splits, seeds[1])


# As in :mod:`hierlearn.confusion`: more labels stay sparse.
_DENSE_UP_TO = 2000


def _held_out(
    estimator: Any, X: Any, target: Any, given: np.ndarray, kept: np.ndarray, seeds: list[int]
) -> HeldOutScores:
    """Return scores of rows that a flat network, trained for a few epochs, has not seen."""
    splits = held_out_rows(estimator.cv, X, target, kept, seeds[0], remedy=_REMEDY)
    network = TorchMLPClassifier(**_settings(estimator, seeds[1]))
    known = None if estimator.multilabel_ else np.arange(len(estimator.classes_))
    return held_out_scores(
        network,
        X,
        target,
        cv=splits,
        sample_weight=given,
        classes=known,
        random_state=seeds[2],
        memory=estimator.memory,
    )


def label_means(X: Any, target: Any, weight: np.ndarray, n_labels: int) -> Any:
    """Average the samples that have each label.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
    target : ndarray of shape (n_samples,), or indicator of shape (n_samples, n_labels)
    weight : ndarray of shape (n_samples,)
    n_labels : int

    Returns
    -------
    ndarray or csr_array of shape (n_labels, n_features)
        Zeros for a label without samples.
    """
    if target.ndim == 1:
        rows = np.arange(len(target))
        shape = (len(target), n_labels)
        target = sparse.csr_array((np.ones(len(target)), (rows, target)), shape=shape)
    weighted = sparse.csr_array(target, dtype=np.float64).T @ sparse.diags_array(weight)
    totals = weighted.sum(axis=1)
    scale = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ weighted) @ X
