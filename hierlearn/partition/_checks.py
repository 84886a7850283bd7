"""Checks of the parts of a LabelPartition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hierlearn.exceptions import PartitionError
from hierlearn.partition._groups import shorten

__all__ = ["check_classes", "check_labels", "check_membership", "check_names", "indicator"]


def indicator(labels: NDArray[np.int64]) -> sparse.csr_array:
    """Mark the primary cluster of each class, shape (n_classes, n_clusters)."""
    n_classes = labels.size
    shape = (n_classes, int(labels.max()) + 1)
    ones = np.ones(n_classes, dtype=bool)
    return sparse.csr_array((ones, labels, np.arange(n_classes + 1)), shape=shape)


def check_classes(classes: ArrayLike) -> NDArray[Any]:
    """Copy the class labels, all different."""
    checked = np.array(classes)
    if checked.ndim != 1 or checked.size == 0:
        raise PartitionError(
            f"classes must be a non-empty one-dimensional array. Got shape {checked.shape} instead."
        )
    if len(set(checked.tolist())) < checked.size:
        raise PartitionError(
            "classes must all be different: pass numpy.unique(y). "
            f"Got {checked.size - len(set(checked.tolist()))} repeated classes instead."
        )
    return checked


def check_labels(labels: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Copy the primary clusters: one per class, numbered from 0 without gaps."""
    checked = np.array(labels)
    if checked.shape != (n_classes,) or checked.dtype.kind not in "iu":
        raise PartitionError(
            f"labels must be integers, a cluster for each of the {n_classes} classes. "
            f"Got shape {checked.shape} and dtype {checked.dtype} instead."
        )
    checked = checked.astype(np.int64)
    used = np.unique(checked)
    if not np.array_equal(used, np.arange(used.size)):
        raise PartitionError(
            "labels must use every cluster from 0 on: renumber them with numpy.unique(labels, "
            f"return_inverse=True)[1]. Got clusters {shorten(used.tolist())} instead."
        )
    return checked


def check_membership(membership: Any, labels: NDArray[np.int64]) -> sparse.csr_array:
    """Copy the membership into a clean boolean csr_array that contains the primary clusters."""
    primary = indicator(labels)
    if membership is None:
        return primary
    checked = sparse.csr_array(membership, copy=True).astype(bool)
    checked.sum_duplicates()
    checked.eliminate_zeros()
    if checked.shape != primary.shape:
        raise PartitionError(
            f"membership must have shape {primary.shape}, classes by clusters. "
            f"Got shape {checked.shape} instead."
        )
    left_out = labels.size - int(checked.multiply(primary).sum())
    if left_out:
        raise PartitionError(
            "membership must contain the primary cluster of every class: add them with "
            f"membership[range(n_classes), labels] = True. Got {left_out} classes without it "
            "instead."
        )
    return checked


def check_names(names: Sequence[str], n_clusters: int) -> tuple[str, ...]:
    """Copy the cluster names, all different."""
    checked = tuple(str(name) for name in names)
    if len(set(checked)) != n_clusters or len(checked) != n_clusters:
        raise PartitionError(
            f"names must be {n_clusters} different names, one for each cluster. "
            f"Got {shorten(checked)} instead."
        )
    return checked
