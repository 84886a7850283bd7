"""Where the branches of a dendrogram go: plain arrays, no drawing."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierlearn.display._order import children_of, preorder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import ClassTree

# A group confused at less than this rate is drawn as if at this rate on a logarithmic axis.
_LOWEST_RATE = 1e-5


@dataclass(frozen=True, eq=False)
class TreeLayout:
    """Rows and branches of a dendrogram.

    Parameters
    ----------
    children : list of list of int
        Children of every node.
    rows : ndarray of shape (n_nodes,), dtype=float64
        Row at which a node is drawn, NaN for the nodes inside a collapsed branch.
    heights : ndarray of shape (n_nodes,), dtype=float64
        Height of every node; 0 for a class.
    clusters : ndarray of shape (n_nodes,), dtype=int64
        The cluster of all classes below a node, -1 where they are of several.
    ends : list of int
        Nodes drawn as leaves, first row to last: classes and collapsed branches.
    members : list of ndarray
        Class codes under each of ``ends``, in drawing order.
    """

    children: list[list[int]]
    rows: NDArray[np.float64]
    heights: NDArray[np.float64]
    clusters: NDArray[np.int64]
    ends: list[int]
    members: list[NDArray[np.intp]]

    @property
    def branching(self) -> list[int]:
        """Nodes drawn with branches to their children."""
        ends = set(self.ends)
        drawn = np.flatnonzero(~np.isnan(self.rows)).tolist()
        return [node for node in drawn if node not in ends]


def lay_out(
    tree: ClassTree,
    order: NDArray[np.intp],
    labels: NDArray[np.int64] | None,
    max_leaves: int,
    collapse_below: float | None = None,
) -> TreeLayout:
    """Place a tree's nodes on rows, collapsing branches where there are too many leaves.

    Parameters
    ----------
    tree : ClassTree
        Tree of K classes.
    order : ndarray of shape (K,), dtype=intp
        Drawing order of the classes, in which every branch is contiguous.
    labels : ndarray of shape (K,), dtype=int64, or None
        Cluster of each class.
    max_leaves : int
        With more classes than this, branches of a single cluster become one leaf, and the
        lowest other branches too until the leaves are as few.
    collapse_below : float or None, default=None
        Height up to which a branch becomes one leaf, however many leaves there are.

    Returns
    -------
    layout : TreeLayout
        The layout.
    """
    parents = np.asarray(tree.parents)
    children = children_of(parents)
    bottom_up = preorder(parents)[::-1]
    heights = _node_heights(tree, children, bottom_up)
    clusters = _node_clusters(children, bottom_up, labels, len(order))
    if collapse_below is None and len(order) <= max_leaves:
        ends = list(range(len(order)))
    else:
        whole = clusters >= 0 if len(order) > max_leaves else np.zeros(len(children), dtype=bool)
        if collapse_below is not None:
            whole |= heights <= collapse_below
        ends = _visible_ends(children, bottom_up[-1], heights, whole, max_leaves)

    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    spans = [_leaves_below(children, end) for end in ends]
    by_place = sorted(range(len(ends)), key=lambda end: place[spans[end]].min())
    ends = [ends[end] for end in by_place]
    members = [spans[end][np.argsort(place[spans[end]])] for end in by_place]
    rows = _node_rows(children, bottom_up, ends)
    return TreeLayout(children, rows, heights, clusters, ends, members)


def _node_heights(
    tree: ClassTree, children: list[list[int]], bottom_up: list[int]
) -> NDArray[np.float64]:
    """Return the tree's own heights, or the number of levels below where it has none."""
    if tree.heights is not None:
        return np.asarray(tree.heights, dtype=float)
    heights = np.zeros(len(children))
    for node in bottom_up:
        if children[node]:
            heights[node] = 1 + max(heights[child] for child in children[node])
    return heights


def _node_clusters(
    children: list[list[int]],
    bottom_up: list[int],
    labels: NDArray[np.int64] | None,
    n_classes: int,
) -> NDArray[np.int64]:
    clusters = np.full(len(children), -1, dtype=np.int64)
    if labels is None:
        return clusters
    clusters[:n_classes] = labels
    for node in bottom_up:
        below = {int(clusters[child]) for child in children[node]}
        if len(below) == 1:
            clusters[node] = below.pop()
    return clusters


def _visible_ends(
    children: list[list[int]],
    root: int,
    heights: NDArray[np.float64],
    whole: NDArray[np.bool_],
    max_leaves: int,
) -> list[int]:
    """Split the highest branch first, as long as no more than ``max_leaves`` result."""
    ends: list[int] = []
    queue = [(-heights[root], root)]
    while queue:
        _, node = heapq.heappop(queue)
        n_after = len(ends) + len(queue) + len(children[node])
        if not children[node] or whole[node] or n_after > max_leaves:
            ends.append(node)
            continue
        for child in children[node]:
            heapq.heappush(queue, (-heights[child], child))
    return ends


def _leaves_below(children: list[list[int]], node: int) -> NDArray[np.intp]:
    leaves, stack = [], [node]
    while stack:
        node = stack.pop()
        stack.extend(children[node])
        if not children[node]:
            leaves.append(node)
    return np.array(leaves, dtype=np.intp)


def _node_rows(
    children: list[list[int]], bottom_up: list[int], ends: list[int]
) -> NDArray[np.float64]:
    rows = np.full(len(children), np.nan)
    rows[ends] = np.arange(len(ends))
    for node in bottom_up:
        below = rows[children[node]]
        if np.isnan(rows[node]) and below.size and not np.isnan(below).any():
            rows[node] = (below.min() + below.max()) / 2
    return rows


def clusters_are_branches(tree: ClassTree, labels: ArrayLike) -> bool:
    """Whether each cluster is one branch of a tree, whole.

    Parameters
    ----------
    tree : ClassTree
        Tree of K classes.
    labels : array-like of shape (K,) of int
        Cluster of each class.

    Returns
    -------
    branches : bool
        False as soon as one cluster is spread over several branches.
    """
    labels = np.asarray(labels)
    parents = np.asarray(tree.parents)
    clusters = _node_clusters(children_of(parents), preorder(parents)[::-1], labels, len(labels))
    above = np.r_[clusters, -1][parents]  # the root's parent, -1, reads the entry appended
    return int(((clusters >= 0) & (above < 0)).sum()) == len(np.unique(labels))


def cluster_tops(layout: TreeLayout) -> dict[int, list[int]]:
    """Highest drawn nodes that hold classes of one cluster only.

    Parameters
    ----------
    layout : TreeLayout
        A layout.

    Returns
    -------
    tops : dict of int to list of int
        Cluster number to its nodes: one when the cluster is a branch, several otherwise.
    """
    tops: dict[int, list[int]] = {}
    drawn = np.flatnonzero(~np.isnan(layout.rows)).tolist()
    covered = {
        child for node in drawn if layout.clusters[node] >= 0 for child in layout.children[node]
    }
    for node in drawn:
        if layout.clusters[node] >= 0 and node not in covered:
            tops.setdefault(int(layout.clusters[node]), []).append(node)
    return tops


def cut_between(layout: TreeLayout) -> list[int] | None:
    """Nodes between which one cut through the tree gives the clusters.

    Parameters
    ----------
    layout : TreeLayout
        A layout.

    Returns
    -------
    nodes : list of two ints, or None
        The highest cluster and the lowest merge of clusters. None when the clusters were cut
        at several heights (as by a limit on their size), are not branches, or are not many.
    """
    by_cluster = list(cluster_tops(layout).values())
    merges = [node for node in layout.branching if layout.clusters[node] < 0]
    mixed_rows = (layout.clusters[layout.ends] < 0).any()
    if not merges or mixed_rows or max(map(len, by_cluster)) > 1:
        return None
    highest = max((node for (node,) in by_cluster), key=lambda node: layout.heights[node])
    lowest = min(merges, key=lambda node: layout.heights[node])
    return [highest, lowest] if layout.heights[highest] < layout.heights[lowest] else None


def shows_rates(heights: ArrayLike) -> bool:
    """Whether merge heights read best as rates of confusion, ``1 - height``, on a log axis.

    Parameters
    ----------
    heights : array-like of shape (n_merges,)
        Heights of the merges.

    Returns
    -------
    log : bool
        True when they are distances in [0, 1] that crowd towards 1, as those of a confusion
        matrix over many classes do.
    """
    heights = np.asarray(heights, dtype=float)
    if not heights.size:
        return False
    return bool(heights.min() >= 0 and heights.max() <= 1 and np.median(heights) > 0.5)


def rate_positions(heights: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Positions of distances in [0, 1] on a logarithmic axis of ``1 - distance``.

    Parameters
    ----------
    heights : array-like of shape (n,)
        Distances; a class has distance 0.

    Returns
    -------
    positions : ndarray of shape (n,), dtype=float64
        ``-log10(1 - height)``: 0 for a class, growing with the height.
    floor : float
        Lowest rate of the axis, at which groups are drawn that are never confused.
    """
    rates = 1.0 - np.asarray(heights, dtype=float)
    seen = rates[rates > _LOWEST_RATE]
    floor = max(seen.min(), _LOWEST_RATE) if seen.size else _LOWEST_RATE
    if (rates < floor).any():
        floor /= 2  # the groups that are never confused stand apart from those that are
    return -np.log10(np.clip(rates, floor, 1.0)), float(floor)
