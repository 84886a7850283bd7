"""Chains of nearest neighbours over sums of similarities, and the tree that they build."""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Forest", "link_by_heaps", "link_by_rows"]


class Forest:
    """Trees over the classes while they grow together.

    Leaves are nodes 0 to ``n_leaves - 1``; every merge makes the next node.

    Parameters
    ----------
    n_leaves : int
        Number of classes.

    Attributes
    ----------
    sizes : ndarray of int64, shape (2 * n_leaves - 1,)
        Number of leaves below each node.
    heights : ndarray of float64, shape (2 * n_leaves - 1,)
        Distance at which each node was merged, never below those of its children.
    """

    def __init__(self, n_leaves: int) -> None:
        n_nodes = 2 * n_leaves - 1
        self.n_leaves = n_leaves
        self.sizes = np.ones(n_nodes, dtype=np.int64)
        self.heights = np.zeros(n_nodes)
        self._children = np.zeros((n_leaves - 1, 2), dtype=np.int64)
        self._last_leaf = np.arange(n_nodes)
        self._next = n_leaves

    def merge(
        self, first: NDArray[np.int64], second: NDArray[np.int64], distances: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Merge nodes pairwise; return the new nodes."""
        new = np.arange(self._next, self._next + first.size)
        self._next += first.size
        self._children[new - self.n_leaves] = np.column_stack([first, second])
        self.sizes[new] = self.sizes[first] + self.sizes[second]
        # Sums of floats may put a merge a rounding error below one that it builds on.
        below = np.maximum(self.heights[first], self.heights[second])
        self.heights[new] = np.clip(distances, below, 1.0)
        self._last_leaf[new] = np.maximum(self._last_leaf[first], self._last_leaf[second])
        return new

    def merge_in_turn(self, merges: list[tuple[int, int, float]], nodes: NDArray[np.int64]) -> None:
        """Merge pairs of slots one after the other; slot i stands for ``nodes[i]`` at first.

        A merge ``(gone, kept, distance)`` leaves the new node in the slot ``kept``.
        """
        node, heights = nodes.tolist(), self.heights[nodes].tolist()
        sizes, last = self.sizes[nodes].tolist(), self._last_leaf[nodes].tolist()
        rows = []
        for new, (gone, kept, distance) in enumerate(merges, start=self._next):
            sizes[kept] += sizes[gone]
            last[kept] = max(last[kept], last[gone])
            heights[kept] = min(1.0, max(distance, heights[kept], heights[gone]))
            rows.append((node[gone], node[kept], sizes[kept], last[kept], heights[kept]))
            node[kept] = new
        if not rows:
            return
        made = slice(self._next, self._next + len(rows))
        first, second, self.sizes[made], self._last_leaf[made], self.heights[made] = zip(
            *rows, strict=True
        )
        self._children[self._next - self.n_leaves :][: len(rows)] = np.column_stack([first, second])
        self._next += len(rows)

    def join_parts(self) -> None:
        """Join all trees at height 1, one after the other by their last leaves, as scipy does."""
        inner = self._children[: self._next - self.n_leaves]
        roots = np.ones(self._next, dtype=bool)
        roots[inner] = False
        parts = np.flatnonzero(roots)
        parts = parts[np.argsort(self._last_leaf[parts])]
        if parts.size == 1:
            return
        new = np.arange(self._next, self._next + parts.size - 1)
        self._children[new - self.n_leaves, 0] = np.append(parts[:1], new[:-1])
        self._children[new - self.n_leaves, 1] = parts[1:]
        self.sizes[new] = np.cumsum(self.sizes[parts])[1:]
        self.heights[new] = 1.0
        self._next += new.size

    def to_linkage(self) -> NDArray[np.float64]:
        """Return the finished tree in scipy's format, merges in the order of their heights."""
        n_leaves = self.n_leaves
        order = np.argsort(self.heights[n_leaves:], kind="stable")
        number = np.arange(2 * n_leaves - 1)
        number[n_leaves + order] = np.arange(n_leaves, 2 * n_leaves - 1)
        linkage = np.empty((n_leaves - 1, 4))
        linkage[:, :2] = np.sort(number[self._children[order]], axis=1)
        linkage[:, 2] = self.heights[n_leaves + order]
        linkage[:, 3] = self.sizes[n_leaves + order]
        return linkage


def link_by_rows(forest: Forest, nodes: NDArray[np.int64], edges: sparse.csr_array) -> None:
    """Link clusters with a square array of their mean similarities.

    Takes the chain of nearest neighbours: from a cluster to its nearest, and on from there, until
    two are each other's nearest and merge. Of equally near ones the last in the chain is
    preferred, then the first.

    Parameters
    ----------
    forest : Forest
        Gets the merges, apart from those of clusters without any similarity.
    nodes : ndarray of int64, shape (n_clusters,)
        The clusters' nodes.
    edges : csr_array of shape (n_clusters, n_clusters)
        Sums of similarities, strictly upper triangular.
    """
    means = _mean_square(edges, forest.sizes[nodes])
    sizes = forest.sizes[nodes].tolist()
    merges: list[tuple[int, int, float]] = []
    gone_already = set()
    chain: list[int] = []
    for start in range(nodes.size):
        # A merged cluster keeps its later slot: it is met again as a start.
        chain = [] if start in gone_already else [start]
        while chain:
            here = chain[-1]
            near = int(means[here].argmax())
            if len(chain) > 1 and means[here, chain[-2]] >= means[here, near]:
                near = chain[-2]
                gone, kept = min(here, near), max(here, near)
                merges.append((gone, kept, 1.0 - float(means[here, near])))
                _merge_rows(means, sizes, gone, kept)
                gone_already.add(gone)
                del chain[-2:]
            elif means[here, near] > 0:
                chain.append(near)
            else:
                break  # like no other that is left
    forest.merge_in_turn(merges, nodes)


def _mean_square(edges: sparse.csr_array, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spread sums of similarities into a square of means, with -1 on the diagonal."""
    means = edges.toarray()
    means += means.T
    means /= sizes
    means /= sizes[:, None]
    np.fill_diagonal(means, -1.0)
    return means


def _merge_rows(means: NDArray[np.float64], sizes: list[int], gone: int, kept: int) -> None:
    """Average two rows and columns into those of ``kept``."""
    row = sizes[gone] * means[gone] + sizes[kept] * means[kept]
    sizes[kept] += sizes[gone]
    row /= sizes[kept]
    row[gone] = row[kept] = -1.0
    means[kept] = row
    means[:, kept] = row
    means[:, gone] = -1.0


def link_by_heaps(forest: Forest, nodes: NDArray[np.int64], edges: sparse.csr_array) -> None:
    """Link clusters with a dict of neighbours and a heap of the nearest for each.

    Takes as many steps as there are edges, times logarithms, whatever the shape of the graph:
    the smaller dict is merged into the larger, and the keys in a heap are brought up to date
    only where they come up.

    Parameters
    ----------
    forest : Forest
        Gets the merges, apart from those of clusters without any similarity.
    nodes : ndarray of int64, shape (n_clusters,)
        The clusters' nodes.
    edges : csr_array of shape (n_clusters, n_clusters)
        Sums of similarities, strictly upper triangular.
    """
    graph = _Neighbours(edges, forest.sizes[nodes].tolist())
    merges: list[tuple[int, int, float]] = []
    for start in range(nodes.size):
        chain = [start]
        while graph.sums[start]:
            chain = chain or [start]
            here = chain[-1]
            near, share = graph.nearest(here)
            if len(chain) > 1 and graph.share(here, chain[-2]) >= share:
                gone, kept = graph.by_degree(here, chain[-2])
                distance = 1.0 - graph.share(gone, kept) / graph.sizes[gone]
                merges.append((gone, kept, distance))
                graph.merge(gone, kept)
                del chain[-2:]
            else:
                chain.append(near)
    forest.merge_in_turn(merges, nodes)


class _Neighbours:
    """Sums of similarities of each cluster with its neighbours, and which is nearest."""

    def __init__(self, edges: sparse.csr_array, sizes: list[int]) -> None:
        both = sparse.csr_array(edges + edges.T)
        starts, columns, values = both.indptr.tolist(), both.indices.tolist(), both.data.tolist()
        rows = [slice(*bounds) for bounds in pairwise(starts)]
        self.sizes = sizes
        self.sums = [dict(zip(columns[row], values[row], strict=True)) for row in rows]
        # A neighbour's mean similarity, times the cluster's own size, which all of its have in
        # common. A key in the heap is never below the true one: that falls where a neighbour
        # grows, and where it rises a new key is pushed.
        self._heaps = [
            [(-value / sizes[other], other) for other, value in own.items()] for own in self.sums
        ]
        for heap in self._heaps:
            heapify(heap)

    def share(self, here: int, other: int) -> float:
        """Return the mean similarity times the size of ``here``."""
        return self.sums[here][other] / self.sizes[other]

    def nearest(self, here: int) -> tuple[int, float]:
        """Return the nearest neighbour and its share; -1 where there is none."""
        heap, sums, sizes = self._heaps[here], self.sums[here], self.sizes
        while heap:
            key, other = heap[0]
            if other not in sums:
                heappop(heap)
                continue
            share = sums[other] / sizes[other]
            if share >= -key:
                return other, share
            heapreplace(heap, (-share, other))
        return -1, 0.0

    def by_degree(self, one: int, other: int) -> tuple[int, int]:
        """Order two clusters by their numbers of neighbours."""
        return (one, other) if len(self.sums[one]) <= len(self.sums[other]) else (other, one)

    def merge(self, gone: int, kept: int) -> None:
        """Add the sums of ``gone`` to those of ``kept``."""
        own, heap, sizes = self.sums[kept], self._heaps[kept], self.sizes
        del own[gone]
        sizes[kept] += sizes[gone]
        for other, value in self.sums[gone].items():
            if other == kept:
                continue
            theirs = self.sums[other]
            del theirs[gone]
            value += own.get(other, 0.0)
            own[other] = theirs[kept] = value
            heappush(heap, (-value / sizes[other], other))
            heappush(self._heaps[other], (-value / sizes[kept], kept))
        self.sums[gone], self._heaps[gone] = {}, []
