"""Average linkage of sparse similarities: exact, in memory linear in the non-zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hierlearn.confusion import normalise_rows
from hierlearn.partition._chains import Forest, link_by_heaps, link_by_rows

__all__ = ["link_similarities", "similarities_of_confusion"]

# Up to this many clusters a square array of similarities is small whatever the number of edges.
_SQUARE_MAX = 1024

# The square array may have this many entries for each edge: memory stays linear in the edges.
_SQUARE_PER_EDGE = 4

# A round looks at all edges. Where fewer than this share of the clusters merge in one, as around
# a class that all others are confused with, merging one pair after the other is faster.
_LEAST_MERGED = 0.01


def similarities_of_confusion(confusion: Any) -> sparse.csr_array:
    """Return one minus the confusion distances of a sparse confusion matrix, above its diagonal.

    Parameters
    ----------
    confusion : sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class.

    Returns
    -------
    similarities : csr_array of shape (n_classes, n_classes), dtype float64
        Strictly upper triangular: the mean of the two rates at which classes are confused.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1 (D).

    Examples
    --------
    >>> from scipy import sparse
    >>> from hierlearn.partition.sparse_linkage import similarities_of_confusion
    >>> similarities_of_confusion(sparse.csr_array([[3.0, 1.0], [2.0, 2.0]])).toarray()
    array([[0.   , 0.375],
           [0.   , 0.   ]])
    """
    rates: Any = normalise_rows(confusion)
    columns = rates.indices.astype(np.int32, copy=False)
    return _above_diagonal(_row_numbers(rates), columns, rates.data / 2, rates.shape[0])


def link_similarities(similarities: sparse.csr_array) -> NDArray[np.float64]:
    """Link classes by the mean of their similarities, with absent pairs as zeros (UPGMA).

    What scipy's ``linkage(1 - similarities, "average")`` returns, without its square of
    distances. All pairs of clusters that are each other's nearest merge in one round: an average
    is never above the larger of its parts, so no merge comes between such a pair, and in any
    order the same merges follow.

    Parameters
    ----------
    similarities : csr_array of shape (n_classes, n_classes)
        Strictly upper triangular, values from 0 to 1.

    Returns
    -------
    linkage : ndarray of shape (n_classes - 1, 4)
        In scipy's format. Parts without similarity are joined last, at height 1. Of pairs equally
        far apart any may come first, always the same for the same input.

    References
    ----------
    Murtagh & Contreras (2012), Algorithms for hierarchical clustering: an overview, on
    reciprocal nearest neighbours and reducibility.

    Examples
    --------
    >>> from scipy import sparse
    >>> from hierlearn.partition.sparse_linkage import link_similarities
    >>> pair = sparse.csr_array([[0.0, 0.75, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> link_similarities(pair).tolist()
    [[0.0, 1.0, 0.25, 2.0], [2.0, 3.0, 1.0, 3.0]]
    """
    forest = Forest(similarities.shape[0])
    nodes, edges = _without_loners(np.arange(forest.n_leaves), similarities)
    while nodes.size:
        if nodes.size**2 <= max(_SQUARE_PER_EDGE * edges.nnz, _SQUARE_MAX**2):
            link_by_rows(forest, nodes, edges)
            break
        first, second, shared = _reciprocal_pairs(edges, forest.sizes[nodes])
        if first.size < _LEAST_MERGED * nodes.size:
            link_by_heaps(forest, nodes, edges)
            break
        nodes, edges = _merge_pairs(forest, nodes, edges, first, second, shared)
        nodes, edges = _without_loners(nodes, edges)
    forest.join_parts()
    return forest.to_linkage()


def _reciprocal_pairs(
    edges: sparse.csr_array, sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find disjoint pairs of clusters that are each other's nearest, with their mean similarity."""
    rows = _row_numbers(edges)
    means = edges.data / sizes[rows]
    means /= sizes[edges.indices]
    best = np.zeros(sizes.size)
    filled = np.flatnonzero(np.diff(edges.indptr))
    best[filled] = np.maximum.reduceat(means, edges.indptr[filled])
    np.maximum.at(best, edges.indices, means)
    chosen = np.flatnonzero(means == best[rows])
    chosen = chosen[means[chosen] == best[edges.indices[chosen]]]
    first, second, means = rows[chosen], edges.indices[chosen], means[chosen]
    kept = _disjoint(first, second, sizes.size)
    return first[kept], second[kept], means[kept]


def _disjoint(
    first: NDArray[np.int64], second: NDArray[np.int64], n_clusters: int
) -> NDArray[np.int64]:
    """Choose pairs that have no cluster in common, until none could be added."""
    left = np.arange(first.size)
    chosen = []
    # Priorities that look random: with those by position, equal pairs in a row would take as many
    # rounds as there are pairs.
    priority = _scramble(first.astype(np.uint64) * np.uint64(n_clusters) + second.astype(np.uint64))
    free = np.ones(n_clusters, dtype=bool)
    while left.size:
        top = np.zeros(n_clusters, dtype=np.uint64)
        np.maximum.at(top, first[left], priority[left])
        np.maximum.at(top, second[left], priority[left])
        wins = (top[first[left]] == priority[left]) & (top[second[left]] == priority[left])
        chosen.append(left[wins])
        free[first[chosen[-1]]] = free[second[chosen[-1]]] = False
        left = left[free[first[left]] & free[second[left]]]
    return np.sort(np.concatenate(chosen)) if chosen else left


def _scramble(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of different numbers into different numbers (splitmix64's finaliser)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _merge_pairs(
    forest: Forest,
    nodes: NDArray[np.int64],
    edges: sparse.csr_array,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    shared: NDArray[np.float64],
) -> tuple[NDArray[np.int64], sparse.csr_array]:
    """Merge pairs of clusters, summing the similarities that fall together."""
    nodes = nodes.copy()
    nodes[second] = forest.merge(nodes[first], nodes[second], 1.0 - shared)
    stays = np.ones(nodes.size, dtype=bool)
    stays[first] = False
    number = np.cumsum(stays, dtype=np.int32) - np.int32(1)
    number[first] = number[second]
    moved = ~stays
    moved[second] = True
    rows = _row_numbers(edges)
    changed = moved[rows] | moved[edges.indices]
    n_left = int(np.count_nonzero(stays))
    rows, columns, sums = number[rows], number[edges.indices], edges.data
    if 2 * np.count_nonzero(changed) > changed.size:
        return nodes[stays], _above_diagonal(rows, columns, sums, n_left)
    # Few edges change: the others keep their order, and two sorted lists are merged faster.
    summed = _above_diagonal(rows[changed], columns[changed], sums[changed], n_left)
    same = _sorted_edges(rows[~changed], columns[~changed], sums[~changed], n_left)
    return nodes[stays], sparse.csr_array(same + summed)


def _without_loners(
    nodes: NDArray[np.int64], edges: sparse.csr_array
) -> tuple[NDArray[np.int64], sparse.csr_array]:
    """Leave out those clusters that have no similarity to any other left."""
    linked = np.diff(edges.indptr) > 0
    linked[edges.indices] = True
    if linked.all():
        return nodes, edges
    number = np.cumsum(linked, dtype=np.int32) - np.int32(1)
    starts = np.append(edges.indptr[:-1][linked], edges.indptr[-1])
    n_left = np.count_nonzero(linked)
    parts = (edges.data, number[edges.indices], starts)
    return nodes[linked], sparse.csr_array(parts, shape=(n_left, n_left))


def _row_numbers(matrix: sparse.csr_array) -> NDArray[np.int32]:
    """Return the row of each entry."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))


def _above_diagonal(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: NDArray[np.float64], n_rows: int
) -> sparse.csr_array:
    """Sum the entries of either side of the diagonal into one csr_array above it."""
    kept = (rows != columns) & (values > 0)
    lower, upper = np.minimum(rows, columns)[kept], np.maximum(rows, columns)[kept]
    # To csr_array over coo_array: rows are counted and only entries within a row are sorted, which
    # is several times faster than to sort all of them.
    return sparse.coo_array((values[kept], (lower, upper)), shape=(n_rows, n_rows)).tocsr()


def _sorted_edges(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: NDArray[np.float64], n_rows: int
) -> sparse.csr_array:
    """Wrap entries that are in order already."""
    starts = np.zeros(n_rows + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=starts[1:])
    return sparse.csr_array((values, columns, starts), shape=(n_rows, n_rows))
