"""Clusters of classes for an output layer, from any partitioner."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from ..confusion import confusion_from_scores, seed_estimator, stratified_holdout
from ..partition import LabelPartition, partition_input, resolve_partitioner
from ..partition._common import fit_weighted
from ._data import BatchDataset
from .brief import best_scores, brief_settings


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
    split = stratified_holdout(train.target, random_state=seed)
    network = clone(estimator).set_params(partitioner=None, **brief_settings(estimator, seed))
    n_classes = len(estimator.classes_)
    found = best_scores(network, train.X, train.target, train.weight, split, n_classes)
    return found, train.target[split[1]], train.weight[split[1]]
