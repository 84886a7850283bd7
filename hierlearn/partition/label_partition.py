"""LabelPartition: which class belongs to which clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hierlearn.exceptions import PartitionError
from hierlearn.partition._checks import (
    check_classes,
    check_labels,
    check_membership,
    check_names,
    indicator,
)
from hierlearn.partition._groups import class_positions, shorten
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.interchange import Interchange

__all__ = ["LabelPartition"]

# What is listed when a partition is printed; there may be thousands.
_LISTED_CLUSTERS = 10
_LISTED_CLASSES = 20


@dataclass(frozen=True, eq=False, repr=False)
class LabelPartition(Interchange):
    """Clusters of classes: what every partitioner makes and everything downstream takes.

    Every class has one primary cluster. With overlap it also belongs to further clusters. In the
    paper's symbols: K classes, C clusters Q_1 ... Q_C.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The class labels, all different, of any dtype. Everything else refers to them by position
        (by code).
    labels : array-like of int, shape (n_classes,)
        Primary cluster of each class, from 0 to ``n_clusters - 1``, each cluster used.
    membership : sparse or dense matrix of bool, shape (n_classes, n_clusters), default=None
        Whether a class belongs to a cluster. Must contain the primary clusters. None means the
        primary clusters only: no overlap. Held as a ``csr_array``.
    tree : ClassTree or None, default=None
        A tree over the classes, for example the linkage the clusters were cut from.
    names : sequence of str or None, default=None
        Names of the clusters, all different. None names them ``cluster_0``, ``cluster_1``, ...
        Names are not compared by ``==``.

    Raises
    ------
    PartitionError
        If the parts do not fit together. The message names the remedy.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1 and 3.3 (clusters Q, overlapping clusters).

    Examples
    --------
    >>> from hierlearn.partition import LabelPartition
    >>> partition = LabelPartition.from_dict({"animals": ["cat", "dog"], "vehicles": ["car"]})
    >>> partition
    LabelPartition(n_classes=3, n_clusters=2, sizes=[1..2])
    >>> partition.classes.tolist(), partition.labels.tolist()
    (['car', 'cat', 'dog'], [1, 0, 0])
    >>> [partition.classes[codes].tolist() for codes in partition]
    [['cat', 'dog'], ['car']]
    >>> partition.cluster_scores([[0.1, 0.6, 0.3]]).round(3).tolist()
    [[0.9, 0.1]]
    """

    classes: NDArray[Any]
    labels: NDArray[np.int64]
    membership: sparse.csr_array = None
    tree: ClassTree | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        classes = check_classes(self.classes)
        labels = check_labels(self.labels, classes.size)
        membership = check_membership(self.membership, labels)
        n_clusters = membership.shape[1]
        if self.tree is not None and self.tree.n_classes != classes.size:
            raise PartitionError(
                f"tree must have one leaf for each of the {classes.size} classes. "
                f"Got {self.tree.n_classes} leaves instead."
            )
        if self.names is not None:
            object.__setattr__(self, "names", check_names(self.names, n_clusters))
        for values in (classes, labels, membership.data, membership.indices, membership.indptr):
            values.setflags(write=False)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "membership", membership)

    # -- sizes ------------------------------------------------------------------------------

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return int(self.classes.size)

    @property
    def n_clusters(self) -> int:
        """Number of clusters, C."""
        return int(self.membership.shape[1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of classes in each cluster, with overlap, shape (n_clusters,)."""
        return np.bincount(self.membership.indices, minlength=self.n_clusters)

    @property
    def primary_sizes(self) -> NDArray[np.int64]:
        """Number of classes whose primary cluster it is, shape (n_clusters,)."""
        return np.bincount(self.labels, minlength=self.n_clusters)

    @property
    def is_overlapping(self) -> bool:
        """Whether any class belongs to more than one cluster."""
        return bool(self.membership.nnz > self.n_classes)

    @property
    def cluster_names(self) -> tuple[str, ...]:
        """Name of each cluster: ``names``, or ``cluster_0``, ``cluster_1``, ..."""
        if self.names is not None:
            return self.names
        return tuple(f"cluster_{cluster}" for cluster in range(self.n_clusters))

    # -- members ----------------------------------------------------------------------------

    def members(self, cluster: int) -> NDArray[np.int64]:
        """Return the codes of the classes in a cluster, with overlap, in ascending order.

        Parameters
        ----------
        cluster : int
            From 0 to ``n_clusters - 1``.

        Returns
        -------
        codes : ndarray of int64, shape (sizes[cluster],)
            Positions in ``classes``.
        """
        start, stop = self._columns.indptr[self._checked(cluster) :][:2]
        return self._columns.indices[start:stop].astype(np.int64)

    def primary_members(self, cluster: int) -> NDArray[np.int64]:
        """Return the codes of the classes whose primary cluster it is, in ascending order.

        Parameters
        ----------
        cluster : int
            From 0 to ``n_clusters - 1``.

        Returns
        -------
        codes : ndarray of int64, shape (primary_sizes[cluster],)
            Positions in ``classes``.
        """
        return np.flatnonzero(self.labels == self._checked(cluster))

    def cluster_scores(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Sum class scores over the primary clusters.

        Parameters
        ----------
        scores : array-like or sparse matrix of shape (n_samples, n_classes)
            Columns in the order of ``classes``.

        Returns
        -------
        cluster_scores : ndarray of shape (n_samples, n_clusters)
            Rows keep their sums: posteriors of classes become posteriors of clusters.
        """
        checked = sparse.csr_array(scores) if sparse.issparse(scores) else np.asarray(scores)
        if checked.ndim != 2 or checked.shape[1] != self.n_classes:
            raise PartitionError(
                f"scores must have one column for each of the {self.n_classes} classes. "
                f"Got shape {checked.shape} instead."
            )
        sums = checked @ indicator(self.labels).astype(np.float64)
        return sums.toarray() if sparse.issparse(sums) else sums

    def check_classes(self, classes: ArrayLike) -> None:
        """Raise unless the partition is for exactly these classes, in this order.

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            For example ``np.unique(y)``.

        Raises
        ------
        PartitionError
            Naming the classes that are missing from the partition, or that only it has.
        """
        expected, own = np.asarray(classes).tolist(), self.classes.tolist()
        own_set, expected_set = set(own), set(expected)
        missing = [label for label in expected if label not in own_set]
        extra = [label for label in own if label not in expected_set]
        if missing or extra:
            raise PartitionError(
                "partition must be for the same classes as y: fit the partitioner on them, or "
                f"give every class of y a cluster. Got missing classes {shorten(missing)} "
                f"and extra classes {shorten(extra)} instead."
            )
        if expected != own:
            raise PartitionError(
                "partition must list its classes in the order of y's: reorder it with "
                f"partition.aligned_to(classes). Got {shorten(own)} "
                f"for {shorten(expected)} instead."
            )

    def aligned_to(self, classes: ArrayLike) -> LabelPartition:
        """Return the same partition with its classes in another order.

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            The same classes.

        Returns
        -------
        partition : LabelPartition
            Clusters keep their numbers.

        Raises
        ------
        PartitionError
            If these are other classes.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> LabelPartition(["b", "a"], [0, 1]).aligned_to(["a", "b"]).labels.tolist()
        [1, 0]
        """
        wanted = check_classes(classes)
        if set(wanted.tolist()) != set(self.classes.tolist()):
            self.check_classes(wanted)
        order = class_positions(wanted, self.classes)
        return replace(
            self,
            classes=wanted,
            labels=self.labels[order],
            membership=self.membership[order],
            tree=None if self.tree is None else self.tree.reorder_leaves(order),
        )

    # -- Python's own -----------------------------------------------------------------------

    @cached_property
    def _columns(self) -> sparse.csc_array:
        return self.membership.tocsc()

    def _checked(self, cluster: int) -> int:
        if not 0 <= cluster < self.n_clusters:
            raise IndexError(
                f"cluster must lie between 0 and {self.n_clusters - 1}. Got {cluster} instead."
            )
        return int(cluster)

    def __len__(self) -> int:
        return self.n_clusters

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self.members(cluster) for cluster in range(self.n_clusters))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelPartition):
            return NotImplemented
        return (
            self.classes.tolist() == other.classes.tolist()
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.membership.indptr, other.membership.indptr)
            and np.array_equal(self.membership.indices, other.membership.indices)
            and self.tree == other.tree
        )

    # Arrays have no hash, and a partition is not a key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        sizes = self.sizes
        overlap = f", overlap={self.membership.nnz / self.n_classes:.2f}"
        return (
            f"LabelPartition(n_classes={self.n_classes}, n_clusters={self.n_clusters}, "
            f"sizes=[{sizes.min()}..{sizes.max()}]{overlap if self.is_overlapping else ''})"
        )

    def __str__(self) -> str:
        """List the classes of the first clusters by name."""
        lines = [
            f"{name}: {_listed(self.classes[self.members(cluster)].tolist())}"
            for cluster, name in enumerate(self.cluster_names[:_LISTED_CLUSTERS])
        ]
        if self.n_clusters > _LISTED_CLUSTERS:
            lines.append(f"... and {self.n_clusters - _LISTED_CLUSTERS} more, of {self.n_clusters}")
        return "\n".join([repr(self), *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor: unpickled arrays would be writeable otherwise.
        parts = (self.classes, self.labels, self.membership, self.tree, self.names)
        return LabelPartition, parts


def _listed(labels: list[Any]) -> str:
    """Write labels in one line, the rest counted."""
    shown = ", ".join(str(label) for label in labels[:_LISTED_CLASSES])
    rest = len(labels) - _LISTED_CLASSES
    return f"{shown}, and {rest} more" if rest > 0 else shown
