"""Where the lines of the report's dendrogram go, each cluster a branch that can be folded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn.display._order import leaf_order, partition_linkage
from hierlearn.display._sources import tree_of
from hierlearn.display._tree import (
    TreeLayout,
    cluster_tops,
    clusters_are_branches,
    cut_between,
    lay_out,
    rate_positions,
    shows_rates,
)
from hierlearn.partition import ClassTree, LabelPartition
from hierlearn.reporting.data import Branch, Tree

__all__ = ["draw_tree", "tree_for"]

_TICK_RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)
_MIN_TICK_GAP = 0.16


def tree_for(
    estimator: Any, partition: LabelPartition, confusion: Any
) -> tuple[ClassTree, NDArray[np.intp]]:
    """Return a tree in which every cluster is a branch, and the order of its leaves.

    Parameters
    ----------
    estimator : classifier
        Fitted; its own tree is taken where the clusters are branches of it.
    partition : LabelPartition
        Clusters of the K classes.
    confusion : {ndarray, csr_array} of shape (K, K)
        Gives the tree where the estimator has none, and holds no confusion.

    Returns
    -------
    tree : ClassTree
        Tree of the classes.
    order : ndarray of shape (K,), dtype=intp
        Class codes, first to last; every branch is contiguous.
    """
    if partition.n_classes == 1:
        return ClassTree(np.array([-1])), np.zeros(1, dtype=np.intp)
    try:
        found = tree_of(estimator, partition)
    except ValueError:
        found = partition_linkage(partition.labels, confusion)
    tree = found if isinstance(found, ClassTree) else ClassTree.from_linkage(found)
    if tree.n_classes != partition.n_classes or not clusters_are_branches(tree, partition.labels):
        own = getattr(estimator, "confusion_", None)
        tree = ClassTree.from_linkage(
            partition_linkage(partition.labels, confusion if own is None else own)
        )
    return tree, leaf_order(partition, tree)


def draw_tree(
    tree: ClassTree, order: NDArray[np.intp], partition: LabelPartition
) -> tuple[NDArray[np.intp], Tree | None]:
    """Lay a dendrogram out.

    Parameters
    ----------
    tree : ClassTree
        Tree of the K classes, every cluster a branch.
    order : ndarray of shape (K,), dtype=intp
        Class codes, first to last.
    partition : LabelPartition
        Clusters of the classes.

    Returns
    -------
    clusters : ndarray of shape (n_clusters,), dtype=intp
        Numbers of the clusters, first to last.
    drawing : Tree or None
        Its lines; None where there is nothing to join.
    """
    clusters = np.array(list(dict.fromkeys(partition.labels[order].tolist())), dtype=np.intp)
    if len(order) < 2:
        return clusters, None
    layout = lay_out(tree, order, partition.labels, max_leaves=len(order))
    across, ticks, axis = _axis(layout)
    tops = {cluster: nodes[0] for cluster, nodes in cluster_tops(layout).items()}
    starts = np.r_[0, np.cumsum(np.bincount(partition.labels)[clusters])]
    branches = tuple(
        _branch(layout, across, tops[cluster], starts[rank])
        for rank, cluster in enumerate(clusters.tolist())
    )
    ranks = {tops[cluster]: rank for rank, cluster in enumerate(clusters.tolist())}
    between = cut_between(layout)
    cut = None if between is None else float(across[between].mean())
    return clusters, Tree(branches, _forks(layout, across, ranks), ticks, axis, cut)


def _axis(
    layout: TreeLayout,
) -> tuple[NDArray[np.float64], tuple[tuple[float, str], ...], str]:
    """Place every node across the drawing: 0 is the root, 1 the classes."""
    heights = layout.heights
    merges = heights[[bool(children) for children in layout.children]]
    if not shows_rates(merges):
        top = heights.max()
        across = 1.0 - heights / top if top > 0 else np.ones(len(heights))
        return across, (), "Classes that join further right are more alike"
    positions, floor = rate_positions(heights)
    width = max(positions.max(), 1e-9)
    across = 1.0 - positions / width
    ticks: list[tuple[float, str]] = []
    for rate in _TICK_RATES:
        place = 1.0 + np.log10(rate) / width
        clear = not ticks or ticks[-1][0] - place >= _MIN_TICK_GAP
        if rate >= floor and place >= 0.0 and clear:
            ticks.append((round(float(place), 4), f"{100 * rate:g}%"))
    return across, tuple(ticks), "Mean rate at which classes are confused where they join"


def _branch(layout: TreeLayout, across: NDArray[np.float64], top: int, start: int) -> Branch:
    """Return the lines below one cluster's node, rows counted from its first class."""
    lines: list[tuple[float, float, float, float]] = []
    stack = [top]
    while stack:
        node = stack.pop()
        children = layout.children[node]
        if not children:
            continue
        rows = layout.rows[children] - start
        lines.append(_rounded(across[node], rows.min(), across[node], rows.max()))
        for child, row in zip(children, rows, strict=True):
            lines.append(_rounded(across[node], row, across[child], row))
        stack.extend(reversed(children))
    x, row = float(across[top]), float(layout.rows[top] - start)
    return Branch(round(x, 4), round(row, 3), tuple(lines))


def _rounded(*values: float) -> tuple[float, float, float, float]:
    x1, row1, x2, row2 = (float(value) for value in values)
    return round(x1, 4), round(row1, 3), round(x2, 4), round(row2, 3)


def _forks(
    layout: TreeLayout, across: NDArray[np.float64], ranks: dict[int, int]
) -> tuple[tuple[float, tuple[int, ...]], ...]:
    """Return what joins clusters, children before their parents."""
    forks: list[tuple[float, tuple[int, ...]]] = []
    number = dict(ranks)
    above = [node for node in layout.branching if layout.clusters[node] < 0]
    pending = sorted(above, key=lambda node: layout.heights[node])
    while pending:
        ready = [node for node in pending if all(c in number for c in layout.children[node])]
        if not ready:
            break
        for node in ready:
            number[node] = len(ranks) + len(forks)
            forks.append(
                (
                    round(float(across[node]), 4),
                    tuple(number[child] for child in layout.children[node]),
                )
            )
        pending = [node for node in pending if node not in number]
    return tuple(forks)
