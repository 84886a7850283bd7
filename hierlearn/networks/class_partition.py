"""Clusters of classes for an output layer, from any partitioner."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from .._rows import select_rows
from ..confusion import confusion_from_scores, seed_estimator, stratified_holdout
from ..partition import LabelPartition, partition_input, resolve_partitioner
from ..partition._common import fit_weighted
from ._data import BatchDataset

# A network whose confusions are wanted need not be trained to the end.
_MAX_EPOCHS = 5
# Scores of a held-out row that count.
_N_SCORES = 10


def learn_classes(estimator: Any, train: BatchDataset, seed: int) -> LabelPartition:
    """Make clusters of classes with the partitioner of a two-level softmax.

    Parameters
    ----------
    estimator : PartitionSoftmaxClassifier
        Its partitioner, classes and settings are looked at.
    train : BatchDataset
        Rows of X, class codes and weights.
    seed : int
        For each random state that is None.

    Returns
    -------
    LabelPartition
        Over the estimator's ``classes_``.

    Raises
    ------
    PartitionError
        If the partition is for other classes than those of y.
    """
    classes = estimator.classes_
    if isinstance(estimator.partitioner, LabelPartition):
        return estimator.partitioner.aligned_to(classes)
    partitioner = seed_estimator(clone(resolve_partitioner(estimator.partitioner)), seed)
    kind = partition_input(partitioner)
    if kind == "features":
        fit_weighted(partitioner, train.X, classes[train.target], train.weight)
    elif kind == "taxonomy":
        partitioner.fit(None, classes=classes)
    else:
        scores, codes, weight = _held_out_scores(estimator, train, seed)
        if kind == "scores":
            fit_weighted(partitioner, scores, codes, weight, classes=classes)
        else:
            confusion = confusion_from_scores(scores, codes, method="top_k", sample_weight=weight)
            partitioner.fit(confusion, classes=classes)
    return partitioner.partition_.aligned_to(classes)


def _held_out_scores(estimator: Any, train: BatchDataset, seed: int) -> tuple[Any, Any, Any]:
    """Return the best scores of rows that a briefly trained network has not seen, sparse."""
    seen, held_out = stratified_holdout(train.target, random_state=seed)
    network = clone(estimator).set_params(
        partitioner=None,
        max_epochs=min(_MAX_EPOCHS, estimator.max_epochs),
        early_stopping=False,
        warm_start=False,
        class_weight=None,
        callbacks=None,
        random_state=seed,
        verbose=0,
    )
    network.fit(select_rows(train.X, seen), train.target[seen], train.weight[seen])
    n_classes, k = len(estimator.classes_), min(_N_SCORES, len(network.classes_))
    labels, scores = network.predict_top_k(select_rows(train.X, held_out), k)
    starts = np.arange(len(labels) + 1) * k
    shape = (len(labels), n_classes)
    found = sparse.csr_array((scores.ravel(), labels.ravel(), starts), shape=shape)
    found.sort_indices()
    return found, train.target[held_out], train.weight[held_out]
