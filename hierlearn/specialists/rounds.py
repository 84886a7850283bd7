"""Which labels share a head: one partition a round, each complementary to those before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from .._validation import Matrix
from ..confusion import HeldOutScores
from ..exceptions import PartitionError
from ..partition import (
    LabelPartition,
    TrainingRows,
    extend_by_confusion,
    learn_partition,
    partition_input,
    resolve_partitioner,
)

# Below this many classes there is nothing to group: one head serves them all.
MIN_CLASSES_TO_GROUP = 4


def complementary(confusion: Matrix, partitions: Sequence[LabelPartition]) -> Matrix:
    """Leave out of a confusion what is confused inside the clusters there already are.

    Parameters
    ----------
    confusion : ndarray or csr_array of shape (n_classes, n_classes)
        Row = true class.
    partitions : sequence of LabelPartition
        Those of the rounds before.

    Returns
    -------
    ndarray or csr_array of shape (n_classes, n_classes)
        With zeros where two different classes already share a head, so that a partition of it
        brings together classes that no head has told apart yet.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), sec. 6: "each subsequent clustering ... could
    potentially identify a complementary division of the label space".

    Examples
    --------
    >>> partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    >>> complementary(np.ones((3, 3)), [partition])
    array([[1., 0., 1.],
           [0., 1., 1.],
           [1., 1., 1.]])
    """
    if not partitions:
        return confusion
    n_classes = confusion.shape[0]
    shared = sparse.csr_array((n_classes, n_classes))
    for partition in partitions:
        membership = sparse.csr_array(partition.membership, dtype=np.float64)
        shared = shared + membership @ membership.T
    together = (shared - sparse.diags_array(shared.diagonal())) > 0
    if sparse.issparse(confusion):
        given: Any = confusion
        kept = sparse.csr_array(given - given.multiply(together))
        kept.eliminate_zeros()
        return kept
    return np.where(together.toarray(), 0.0, confusion)


def learn_partitions(
    partitioner: Any,
    n_rounds: int,
    confusion: Matrix | None,
    held_out: HeldOutScores | None,
    data: TrainingRows,
    classes: Any,
    seeds: Sequence[int],
    gamma: float | None = None,
) -> tuple[Any, tuple[LabelPartition, ...]]:
    """Learn the partition of every round.

    Parameters
    ----------
    partitioner : estimator, str, LabelPartition, sequence of LabelPartition or None
        None is spectral clustering into about ``sqrt(n_classes)`` clusters, and one cluster of all
        classes where there are fewer than four. Partitions given are used as they are.
    n_rounds : int
        Number of partitions.
    confusion : ndarray or csr_array of shape (n_classes, n_classes), or None
        None where partitions are given.
    held_out : HeldOutScores or None
        Likewise.
    data : TrainingRows
        For partitioners that look at X and y themselves.
    classes : ndarray of shape (n_classes,)
        The class labels.
    seeds : sequence of int
        One a round.
    gamma : float or None, default=None
        Overlap factor, see :func:`hierlearn.partition.extend_by_confusion`.

    Returns
    -------
    partitioner : estimator or None
        The fitted clone of the first round; None where none was fitted.
    partitions : tuple of LabelPartition
        One for each round.

    Raises
    ------
    PartitionError
        If a partition is for other classes, or the partitioner cannot take a multi-label y.
    ValueError
        If fewer partitions than rounds are given.
    """
    given = given_partitions(partitioner)
    if given is not None:
        ready = _as_many(given, n_rounds, classes)
        return None, tuple(_extended(partition, confusion, gamma) for partition in ready)
    if partitioner is None and len(classes) < MIN_CLASSES_TO_GROUP:
        return None, (everything_together(classes),) * n_rounds
    fitted: Any = None
    partitions: list[LabelPartition] = []
    for seed in seeds[:n_rounds]:
        estimator, partition = _learn(
            partitioner, complementary(confusion, partitions), held_out, data, seed
        )
        fitted = estimator if fitted is None else fitted
        partitions.append(_extended(partition, confusion, gamma))
    return fitted, tuple(partitions)


def _extended(
    partition: LabelPartition, confusion: Matrix | None, gamma: float | None
) -> LabelPartition:
    if gamma is None:
        return partition
    return extend_by_confusion(partition, confusion, gamma=gamma)


def given_partitions(partitioner: Any) -> list[LabelPartition] | None:
    """Return ready partitions as a list, None where they are to be learnt."""
    if isinstance(partitioner, LabelPartition):
        return [partitioner]
    if isinstance(partitioner, list | tuple):
        return list(partitioner)
    return None


def everything_together(classes: Any) -> LabelPartition:
    """Return the partition with one cluster of all classes."""
    return LabelPartition(classes, np.zeros(len(classes), dtype=np.int64))


def _as_many(
    given: list[LabelPartition], n_rounds: int, classes: Any
) -> tuple[LabelPartition, ...]:
    wrong = [type(item).__name__ for item in given if not isinstance(item, LabelPartition)]
    if wrong or len(given) < n_rounds:
        raise ValueError(
            f"partitioner must hold a LabelPartition for each of the n_rounds={n_rounds} rounds. "
            f"Got {len(given)} items{', ' + wrong[0] + ' among them,' if wrong else ''} instead; "
            "give more partitions, or a partitioner that learns them."
        )
    return tuple(partition.aligned_to(classes) for partition in given[:n_rounds])


def _learn(
    partitioner: Any, confusion: Any, held_out: Any, data: TrainingRows, seed: int
) -> tuple[Any, LabelPartition]:
    if data.codes.ndim == 1:
        return learn_partition(partitioner, confusion, held_out, data, seed)
    estimator = resolve_partitioner(partitioner) if partitioner is not None else None
    if estimator is not None and partition_input(estimator) != "confusion":
        raise PartitionError(
            "partitioner must take a confusion matrix where y is multi-label. Got "
            f"{type(estimator).__name__}, which looks at rows, instead; choose 'spectral' or "
            "'linkage'."
        )
    return learn_partition(partitioner, confusion, held_out, data, seed)
