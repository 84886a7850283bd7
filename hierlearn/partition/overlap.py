"""Overlap: classes that join further clusters because they are confused with a member."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse

from hierlearn._validation import check_choice, check_confusion
from hierlearn.confusion import normalise_columns
from hierlearn.exceptions import PartitionError
from hierlearn.partition._checks import indicator
from hierlearn.partition.label_partition import LabelPartition

__all__ = ["OVERLAP_RULES", "extend_by_confusion"]

OVERLAP_RULES = ("any", "all")

# Eq. 1 says "at least": shares that equal the threshold must not fall to a rounding error.
_TOLERANCE = 1e-12


def extend_by_confusion(
    partition: LabelPartition, confusion: Any, *, gamma: float | None, rule: str = "any"
) -> LabelPartition:
    """Append classes to the clusters whose members they are taken for.

    Column-normalised, the confusion matrix gives ``DCN(i, j) = P(true = i | predicted = j)``. A
    class j outside cluster Q is appended to Q when ``DCN(i, j) >= 1 / (gamma * K)`` for members
    i of Q, K being the number of classes. Primary clusters stay as they are.

    Parameters
    ----------
    partition : LabelPartition
        Q are its primary clusters. Overlap that it already has is kept.
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class; need not be normalised.
    gamma : float or None
        Larger gamma, more overlap. None returns the partition unchanged.
    rule : {"any", "all"}, default="any"
        Whether one member of Q must reach the threshold, or all of them. The paper's text says
        all, with which clusters of several classes hardly ever grow; its worked figure and its
        sweeps over gamma agree with any.

    Returns
    -------
    partition : LabelPartition
        With the same primary clusters.

    Raises
    ------
    ValueError
        If gamma is not positive and finite, or the rule is unknown.
    PartitionError
        If the confusion matrix is for another number of classes.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1, eq. 1 (Q, DCN, gamma, K_{p-1}) and Algorithm 1, step 4.

    Examples
    --------
    Class 2 is in fact class 1 in a quarter of the cases in which it is predicted, which reaches
    1 / (gamma * K) = 1 / 4:

    >>> from hierlearn.partition import LabelPartition, extend_by_confusion
    >>> confusion = [[8, 2, 0, 0], [2, 7, 1, 0], [0, 0, 3, 0], [0, 0, 0, 5]]
    >>> partition = LabelPartition(["a", "b", "c", "d"], [0, 0, 1, 1])
    >>> extend_by_confusion(partition, confusion, gamma=1).to_dict()
    {'cluster_0': {'primary': ['a', 'b'], 'also': ['c']}, 'cluster_1': ['c', 'd']}
    >>> extend_by_confusion(partition, confusion, gamma=1, rule="all") == partition
    True
    """
    check_choice(rule, OVERLAP_RULES, "rule")
    if gamma is None:
        return partition
    if not isinstance(gamma, Real) or not np.isfinite(gamma) or gamma <= 0:
        raise ValueError(
            "gamma must be a positive number: pass gamma=None for no overlap. "
            f"Got {gamma!r} instead."
        )
    shares = normalise_columns(check_confusion(confusion))
    if shares.shape[0] != partition.n_classes:
        raise PartitionError(
            "confusion must have a row and a column for each of the partition's "
            f"{partition.n_classes} classes. Got shape {shares.shape} instead."
        )
    threshold = (1 - _TOLERANCE) / (float(gamma) * partition.n_classes)
    reached = sparse.csr_array(shares >= threshold).astype(np.int64)
    primary = indicator(partition.labels)
    counts = reached.T @ primary.astype(np.int64)  # of class j in cluster Q: members that reach it
    needed = partition.primary_sizes if rule == "all" else np.ones(partition.n_clusters)
    counts = sparse.coo_array(counts)
    enough = counts.data >= needed[counts.col]
    appended = sparse.csr_array(
        (np.ones(int(enough.sum()), dtype=bool), (counts.row[enough], counts.col[enough])),
        shape=partition.membership.shape,
    )
    return replace(partition, membership=partition.membership + appended)
