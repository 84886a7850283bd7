"""From held-out scores to the partition that a hierarchy is built on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from .._validation import Matrix
from ..confusion import HeldOutScores, confusion_from_scores, seed_estimator
from ..partition import (
    ConfusionSpectralPartitioner,
    LabelPartition,
    partition_input,
    resolve_partitioner,
)
from .family import TrainingRows
from .input import check_some_weight


def confusion_of(held_out: HeldOutScores, method: str, k: int | None = None) -> Matrix:
    """Return the confusion matrix of held-out scores, row = true class."""
    check_some_weight(held_out.sample_weight)
    return confusion_from_scores(
        held_out.scores, held_out.y, method=method, k=k, sample_weight=held_out.sample_weight
    )


def default_partitioner(n_classes: int) -> ConfusionSpectralPartitioner:
    """Return the partitioner used where none is given: about sqrt(K) spectral clusters.

    With that many clusters, of about that many classes, neither the choice of the cluster nor
    the choice within it is the larger problem.
    """
    n_clusters = max(2, round(np.sqrt(n_classes)))
    return ConfusionSpectralPartitioner(n_clusters=min(n_clusters, n_classes))


def learn_partition(
    partitioner: Any,
    confusion: Matrix,
    held_out: HeldOutScores,
    data: TrainingRows,
    seed: int,
) -> tuple[Any, LabelPartition]:
    """Fit a partitioner on whatever it takes.

    Parameters
    ----------
    partitioner : estimator, str, LabelPartition or None
        A partition given is used as it is, its classes brought into the order of y's.
    confusion : ndarray or csr_array of shape (n_classes, n_classes)
    held_out : HeldOutScores
    data : TrainingRows
        For partitioners that look at X and y themselves.
    seed : int
        For each ``random_state`` of the partitioner that is None.

    Returns
    -------
    partitioner : estimator or None
        The fitted clone; None where the partition was given.
    partition : LabelPartition
        Over ``held_out.classes``.

    Raises
    ------
    PartitionError
        If the partition is for other classes than those of y.
    """
    classes = held_out.classes
    if isinstance(partitioner, LabelPartition):
        return None, partitioner.aligned_to(classes)
    estimator = _resolve(partitioner, len(classes))
    estimator = seed_estimator(estimator, seed)
    kind = partition_input(estimator)
    if kind == "features":
        estimator.fit(data.X, classes[data.codes])
    elif kind == "scores":
        estimator.fit(held_out.scores, held_out.y, classes=classes)
    else:
        estimator.fit(confusion, classes=classes)
    return estimator, estimator.partition_.aligned_to(classes)


def _resolve(partitioner: Any, n_classes: int) -> Any:
    if partitioner is None:
        return default_partitioner(n_classes)
    return clone(resolve_partitioner(partitioner))
