"""The order in which classes are drawn, and the trees that give it. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.sparse import issparse
from scipy.spatial.distance import squareform
from sklearn.utils import check_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import ClassTree, LabelPartition

# Distances of a confusion lie in [0, 1], so this much more keeps every pair of classes of two
# clusters further apart than any pair of one cluster.
_CLUSTER_OFFSET = 2.0


def leaf_order(
    partition: LabelPartition,
    linkage: ArrayLike | ClassTree | None = None,
    confusion: Any = None,
) -> NDArray[np.intp]:
    """Order classes so that clusters are contiguous and similar classes are neighbours.

    The classes of a cluster keep the order they have in the dendrogram. Clusters are ordered
    by the mean place of their classes in it, which is the dendrogram's own order when the
    clusters are branches of it.

    Parameters
    ----------
    partition : LabelPartition
        Partition of K classes; only the primary clusters matter.
    linkage : ndarray of shape (K - 1, 4) or ClassTree, default=None
        Dendrogram of the classes.
    confusion : {array-like, sparse} of shape (K, K), default=None
        Confusion matrix, row = true class, that gives the dendrogram when there is no
        ``linkage``. Without both, the tree of the partition is used where it has one, and the
        given order of the classes otherwise.

    Returns
    -------
    order : ndarray of shape (K,), dtype=intp
        A permutation of ``arange(K)``: class codes, first to last.

    Raises
    ------
    ValueError
        If the linkage, or the confusion, is for another number of classes.

    Examples
    --------
    >>> from hierlearn.display import leaf_order
    >>> from hierlearn.partition import LabelPartition
    >>> partition = LabelPartition.from_groups([["a", "d"], ["b", "c"]], classes=list("abcd"))
    >>> leaf_order(partition)
    array([0, 3, 1, 2])
    """
    labels = np.asarray(partition.labels)
    places = np.empty(len(labels), dtype=float)
    places[_dendrogram_order(partition, linkage, confusion)] = np.arange(len(labels))
    clusters = np.bincount(labels, weights=places) / np.bincount(labels)
    # Ties in the mean place would interleave two clusters: the cluster's number breaks them.
    return np.lexsort((places, labels, clusters[labels]))


def _dendrogram_order(partition: LabelPartition, linkage: Any, confusion: Any) -> NDArray[np.intp]:
    n_classes = len(partition.labels)
    if linkage is None and confusion is not None:
        linkage = partition_linkage(partition.labels, confusion)
    if linkage is None:
        linkage = partition.tree
    if linkage is None:
        return np.arange(n_classes)
    order = tree_order(linkage)
    if len(order) != n_classes:
        raise ValueError(
            f"linkage must have one leaf per class of the partition ({n_classes}). "
            f"Got {len(order)} leaves instead."
        )
    return order


def tree_order(tree: ArrayLike | ClassTree) -> NDArray[np.intp]:
    """Leaves of a linkage matrix or a class tree, in the order in which they are drawn.

    Parameters
    ----------
    tree : ndarray of shape (K - 1, 4) or ClassTree
        Dendrogram of K classes.

    Returns
    -------
    order : ndarray of shape (K,), dtype=intp
        Leaves from first to last; every branch is contiguous.
    """
    parents = getattr(tree, "parents", None)
    if parents is None:
        merges = np.asarray(tree, dtype=float)
        return leaves_list(merges).astype(np.intp) if len(merges) else np.zeros(1, dtype=np.intp)
    has_children = np.zeros(len(parents), dtype=bool)
    has_children[parents[parents >= 0]] = True
    nodes = np.array(preorder(parents), dtype=np.intp)
    return nodes[~has_children[nodes]]


def preorder(parents: NDArray[np.int64]) -> list[int]:
    """Nodes of a tree, every parent before its children.

    Parameters
    ----------
    parents : ndarray of shape (n_nodes,), dtype=int64
        Parent of each node, -1 for the root.

    Returns
    -------
    nodes : list of int
        All nodes; siblings by number. Iterative, so a chain of any depth is walked.
    """
    children = children_of(parents)
    stack = [int(np.flatnonzero(parents < 0)[0])]
    nodes = []
    while stack:
        nodes.append(stack.pop())
        stack.extend(reversed(children[nodes[-1]]))
    return nodes


def children_of(parents: NDArray[np.int64]) -> list[list[int]]:
    """Children of every node, by number.

    Parameters
    ----------
    parents : ndarray of shape (n_nodes,), dtype=int64
        Parent of each node, -1 for the root.

    Returns
    -------
    children : list of list of int
        One list per node, empty for a leaf.
    """
    children: list[list[int]] = [[] for _ in parents]
    for node, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(node)
    return children


def partition_linkage(labels: ArrayLike, confusion: Any) -> NDArray[np.float64]:
    """Average linkage that joins the classes of each cluster before it joins clusters.

    A dendrogram for a partition that was not cut from one (spectral, a taxonomy, random):
    every cluster is a branch. Pairs of classes of different clusters get a constant added to
    their distance; averaging is linear, so the constant is taken off the merges afterwards.
    Merges of clusters are raised to the height of what they join, where they would lie below.

    Parameters
    ----------
    labels : array-like of shape (K,)
        Cluster of each class.
    confusion : {array-like, sparse} of shape (K, K)
        Confusion matrix, row = true class; need not be normalised.

    Returns
    -------
    linkage : ndarray of shape (K - 1, 4), dtype=float64
        Linkage matrix as in :func:`scipy.cluster.hierarchy.linkage`.

    Raises
    ------
    ValueError
        If ``confusion`` is not a non-negative (K, K) matrix.
    """
    labels = np.asarray(labels)
    distance = _distance(check_confusion(confusion, len(labels)))
    distance += _CLUSTER_OFFSET * (labels[:, None] != labels)
    np.fill_diagonal(distance, 0.0)
    linkage = scipy_linkage(squareform(distance, checks=False), method="average")
    heights = linkage[:, 2]
    heights[heights >= _CLUSTER_OFFSET] -= _CLUSTER_OFFSET
    for merge, (left, right) in enumerate(linkage[:, :2].astype(int) - len(labels)):
        below = [heights[child] for child in (left, right) if child >= 0]
        heights[merge] = max([heights[merge], *below])
    return linkage


def _distance(confusion: Any) -> NDArray[np.float64]:
    """Distance of classes: one minus the mean of the two rates at which they are confused."""
    rates = row_rates(confusion)
    distance = 1.0 - (rates + rates.T) / 2.0
    return np.clip(distance, 0.0, 1.0)


def row_rates(confusion: Any) -> NDArray[np.float64]:
    """Dense confusion with every row divided by its sum; an empty row stays zero.

    Parameters
    ----------
    confusion : {ndarray, csr_array} of shape (K, K)
        Confusion matrix, row = true class.

    Returns
    -------
    rates : ndarray of shape (K, K), dtype=float64
        Rows sum to one, or to zero.
    """
    dense = as_dense(confusion)
    sums = dense.sum(axis=1, keepdims=True, dtype=float)
    return np.divide(dense, sums, out=np.zeros(dense.shape), where=sums > 0)


def as_dense(confusion: Any) -> NDArray[np.float64]:
    """Return a confusion matrix as an array.

    Parameters
    ----------
    confusion : {ndarray, sparse} of shape (K, K)
        The matrix.

    Returns
    -------
    dense : ndarray of shape (K, K), dtype=float64
        The same entries.
    """
    dense = confusion.toarray() if issparse(confusion) else confusion
    return np.asarray(dense, dtype=np.float64)


def share_inside(confusion: Any, partition: LabelPartition, cluster: int | None = None) -> float:
    """Share of the off-diagonal confusion that stays inside the clusters.

    That part is within reach of the classifiers of the clusters: a sample of a class that was
    taken for another one of a cluster which holds both.

    Parameters
    ----------
    confusion : {ndarray, csr} of shape (K, K)
        Confusion matrix, row = true class; its rows are normalised first.
    partition : LabelPartition
        Partition of the K classes; a class counts in every cluster that it belongs to.
    cluster : int or None, default=None
        The cluster whose own classes count; None for all.

    Returns
    -------
    share : float
        From 0 to 1, NaN where nothing is confused.
    """
    rates = row_rates(confusion)
    np.fill_diagonal(rates, 0.0)
    inside = partition.membership.toarray()[:, partition.labels]
    if cluster is not None:
        rates[partition.labels != cluster] = 0.0
    total = rates.sum()
    return float(rates[inside].sum() / total) if total > 0 else float("nan")


def check_confusion(confusion: Any, n_classes: int) -> Any:
    """Validate a confusion matrix against a number of classes.

    Parameters
    ----------
    confusion : {array-like, sparse} of shape (K, K)
        The matrix to check.
    n_classes : int
        The K it must have.

    Returns
    -------
    confusion : ndarray or csr of shape (K, K), dtype=float64
        The matrix, finite and non-negative.

    Raises
    ------
    ValueError
        If the shape is another one, or an entry is negative, NaN or infinite.
    """
    confusion = check_array(
        confusion,
        accept_sparse="csr",
        dtype=np.float64,
        ensure_non_negative=True,
        input_name="confusion",
    )
    if confusion.shape != (n_classes, n_classes):
        raise ValueError(
            f"confusion must have one row and one column per class ({n_classes}). "
            f"Got shape {confusion.shape} instead."
        )
    return confusion
