"""From held-out scores to the partition that is built on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hierlearn._validation import Matrix, check_some_weight, safe_indexing
from hierlearn.confusion import HeldOutScores, confusion_from_scores, seed_estimator
from hierlearn.exceptions import PartitionError
from hierlearn.partition._common import fit_weighted, partition_input, root_of
from hierlearn.partition.label_partition import LabelPartition
from hierlearn.partition.registry import resolve_partitioner
from hierlearn.partition.spectral import ConfusionSpectralPartitioner

__all__ = [
    "TrainingRows",
    "confusion_of",
    "default_partitioner",
    "learn_partition",
    "with_fewer_clusters",
]


@dataclass(frozen=True)
class TrainingRows:
    """The rows a family is trained on.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, ...)
        The rows.
    codes : ndarray of shape (n_samples,)
        Class codes, indices into ``partition.classes``.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None where all count the same.
    features : mapping of str to array, default={}
        What was computed of the rows beforehand, such as a pre-trained network's features.
    """

    X: Any
    codes: NDArray[np.int64]
    weight: NDArray[np.float64] | None
    features: Mapping[str, Any] = field(default_factory=dict)

    def take(self, rows: NDArray[np.int64]) -> TrainingRows:
        """Return some of the rows.

        Parameters
        ----------
        rows : ndarray of int64
            Indices of the rows to take.

        Returns
        -------
        rows : TrainingRows
            These rows, with their weights and features.
        """
        weight = None if self.weight is None else self.weight[rows]
        features = {key: safe_indexing(value, rows) for key, value in self.features.items()}
        return TrainingRows(safe_indexing(self.X, rows), self.codes[rows], weight, features)

    def drop_unweighted(self) -> TrainingRows:
        """Leave out rows of weight zero, which no member may notice.

        Returns
        -------
        rows : TrainingRows
            The rows of positive weight.
        """
        if self.weight is None or (self.weight > 0).all():
            return self
        return self.take(np.flatnonzero(self.weight > 0))


def confusion_of(held_out: HeldOutScores, method: str, k: int | None = None) -> Matrix:
    """Return the confusion matrix of held-out scores, row = true class.

    Parameters
    ----------
    held_out : HeldOutScores
        Scores and true classes.
    method : str
        See :func:`~hierlearn.confusion.confusion_from_scores`.
    k : int or None, default=None
        Likewise.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes)
        Not normalised.
    """
    check_some_weight(held_out.sample_weight)
    return confusion_from_scores(
        held_out.scores, held_out.y, method=method, k=k, sample_weight=held_out.sample_weight
    )


def default_partitioner(n_classes: int) -> ConfusionSpectralPartitioner:
    """Return the partitioner used where none is given: about sqrt(K) spectral clusters.

    Parameters
    ----------
    n_classes : int
        Number of classes, K.

    Returns
    -------
    partitioner : ConfusionSpectralPartitioner
        Unfitted.
    """
    return ConfusionSpectralPartitioner(n_clusters=root_of(n_classes))


def with_fewer_clusters(partitioner: Any, n_classes: int) -> Any:
    """Lower ``n_clusters`` to the number of classes, which falls from level to level.

    Parameters
    ----------
    partitioner : estimator, str, LabelPartition or None
        Of a decomposition.
    n_classes : int
        Classes of the cluster that is to be divided.

    Returns
    -------
    partitioner
        A clone, if it asks for more clusters; else as given.
    """
    if not hasattr(partitioner, "get_params"):
        return partitioner
    lowered = {
        name: n_classes
        for name, value in partitioner.get_params().items()
        if name.split("__")[-1] == "n_clusters"
        and isinstance(value, int | np.integer)
        and value > n_classes
    }
    return clone(partitioner).set_params(**lowered) if lowered else partitioner


def learn_partition(
    partitioner: Any,
    confusion: Matrix,
    held_out: HeldOutScores,
    data: TrainingRows,
    seed: int,
) -> tuple[Any, LabelPartition]:
    """Fit a partitioner on whatever it takes, rows with their weights.

    Parameters
    ----------
    partitioner : estimator, str, LabelPartition or None
        A partition given is used as it is, its classes brought into the order of y's.
    confusion : ndarray or csr_array of shape (n_classes, n_classes)
        For partitioners that take a confusion matrix.
    held_out : HeldOutScores
        For partitioners that take class scores.
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
        If the partition is for other classes than those of y, or is learnt from X and a class
        has no row that weighs anything.
    ValueError
        If the partitioner looks at rows but not at their weights, and these differ, or asks for
        more clusters than there are classes.
    """
    classes = held_out.classes
    if isinstance(partitioner, LabelPartition):
        return None, partitioner.aligned_to(classes)
    estimator = _resolve(partitioner, len(classes))
    estimator = seed_estimator(estimator, seed)
    kind = partition_input(estimator)
    if kind == "features":
        _check_every_class_weighs(estimator, classes, data)
        fit_weighted(estimator, data.X, classes[data.codes], data.weight)
    elif kind == "scores":
        weight = held_out.sample_weight
        fit_weighted(estimator, held_out.scores, held_out.y, weight, classes=classes)
    else:
        estimator.fit(confusion, classes=classes)
    return estimator, estimator.partition_.aligned_to(classes)


def _check_every_class_weighs(estimator: Any, classes: NDArray[Any], data: TrainingRows) -> None:
    weight = None if data.weight is None else data.weight > 0
    seen = np.bincount(data.codes, weights=weight, minlength=len(classes))
    if not seen.all():
        raise PartitionError(
            f"partitioner={type(estimator).__name__} looks at X and needs a row of non-zero weight "
            f"for each class. Got none for {classes.tolist()[seen.argmin()]!r} instead; leave such "
            "classes out, or choose a partitioner of confusions."
        )


def _resolve(partitioner: Any, n_classes: int) -> Any:
    if partitioner is None:
        return default_partitioner(n_classes)
    return clone(resolve_partitioner(partitioner))
