"""ClassTree: a frozen tree over the classes, from a linkage or a taxonomy."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierlearn.exceptions import PartitionError
from hierlearn.partition.interchange_tree import TreeInterchange

__all__ = ["ClassTree", "node_depths"]

_ROOT = -1


@dataclass(frozen=True, eq=False)
class ClassTree(TreeInterchange):
    """A rooted tree whose leaves are the classes.

    Parameters
    ----------
    parents : array-like of int, shape (n_nodes,)
        Parent of every node, -1 for the root. The leaves come first: nodes 0 to
        ``n_classes - 1`` are the classes in the order of ``LabelPartition.classes``.
    heights : array-like of float, shape (n_nodes,), or None, default=None
        Height of every node, for a dendrogram: the distance at which its children were merged,
        0 for the leaves. None where the tree has no distances, as a taxonomy has none.
    names : sequence of str or None, default=None
        Names of the inner nodes in their order, the empty string where a node has none. They need
        not differ. None where no node has one. Names are not compared by ``==``.

    Raises
    ------
    PartitionError
        If ``parents`` is not one tree with its leaves first, ``heights`` has another length or
        falls towards the root, or ``names`` has another length.

    Examples
    --------
    Two classes merged at height 0.5, the third joining them at 1:

    >>> from hierlearn.partition import ClassTree
    >>> tree = ClassTree([3, 3, 4, 4, -1], heights=[0, 0, 0, 0.5, 1])
    >>> tree
    ClassTree(n_classes=3, n_nodes=5)
    >>> tree.to_linkage().tolist()
    [[0.0, 1.0, 0.5, 2.0], [2.0, 3.0, 1.0, 3.0]]
    """

    parents: NDArray[np.int64]
    heights: NDArray[np.float64] | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        parents = np.array(self.parents)
        if parents.ndim != 1 or parents.size == 0 or parents.dtype.kind not in "iu":
            raise PartitionError(
                "parents must be a non-empty one-dimensional array of integers. "
                f"Got shape {parents.shape} and dtype {parents.dtype} instead."
            )
        parents = parents.astype(np.int64)
        _check_tree(parents)
        object.__setattr__(self, "parents", _read_only(parents))
        if self.heights is not None:
            heights = np.array(self.heights, dtype=np.float64)
            if heights.shape != parents.shape:
                raise PartitionError(
                    f"heights must have one entry for each of the {parents.size} nodes. "
                    f"Got shape {heights.shape} instead."
                )
            inner = parents != _ROOT
            if not (heights[parents[inner]] >= heights[inner]).all():
                raise PartitionError(
                    "heights must not fall towards the root: take a linkage without inversions, "
                    "such as 'average'. Got a node higher than its parent, or NaN, instead."
                )
            object.__setattr__(self, "heights", _read_only(heights))
        if self.names is not None:
            object.__setattr__(self, "names", self._checked_names())

    def _checked_names(self) -> tuple[str, ...] | None:
        names = tuple(str(name) for name in self.names or ())
        n_inner = self.n_nodes - self.n_classes
        if len(names) != n_inner:
            raise PartitionError(
                f"names must have one entry for each of the {n_inner} inner nodes. "
                f"Got {len(names)} instead; write '' for a node without a name."
            )
        return names if any(names) else None

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves and root included."""
        return int(self.parents.size)

    @property
    def n_classes(self) -> int:
        """Number of leaves."""
        return _count_leaves(self.parents)

    @classmethod
    def from_linkage(cls, linkage: ArrayLike) -> ClassTree:
        """Make a tree from a linkage matrix in scipy's format.

        Parameters
        ----------
        linkage : array-like of shape (n_classes - 1, 4)
            As :func:`scipy.cluster.hierarchy.linkage` returns it.

        Returns
        -------
        tree : ClassTree
            With ``2 * n_classes - 1`` nodes; node ``n_classes + i`` is the i-th merge.

        Examples
        --------
        >>> from hierlearn.partition import ClassTree
        >>> ClassTree.from_linkage([[0, 1, 0.5, 2], [2, 3, 1.0, 3]]).parents.tolist()
        [3, 3, 4, 4, -1]
        """
        merges = np.asarray(linkage, dtype=np.float64).reshape(-1, 4)
        n_classes = merges.shape[0] + 1
        parents = np.full(2 * n_classes - 1, _ROOT, dtype=np.int64)
        merged_into = np.arange(n_classes, 2 * n_classes - 1)
        parents[merges[:, 0].astype(np.int64)] = merged_into
        parents[merges[:, 1].astype(np.int64)] = merged_into
        return cls(parents, np.concatenate([np.zeros(n_classes), merges[:, 2]]))

    @classmethod
    def from_paths(cls, paths: Sequence[Sequence[Hashable]]) -> ClassTree:
        """Make a tree without heights from the groups that each class lies in.

        Parameters
        ----------
        paths : sequence of sequences of hashables
            For every class the names of its groups, outermost first. Groups are the same node
            where all names down to them are equal.

        Returns
        -------
        tree : ClassTree
            Nodes are named by their groups.

        Examples
        --------
        >>> from hierlearn.partition import ClassTree
        >>> ClassTree.from_paths([("pets", "cats"), ("pets", "dogs"), ("cars",)]).parents.tolist()
        [4, 5, 6, 7, 3, 3, 7, -1]
        >>> ClassTree.from_paths([("pets",), ("cars",)]).parents.tolist()
        [2, 3, 4, 4, -1]
        """
        n_classes = len(paths)
        prefixes = list(
            dict.fromkeys(
                tuple(path[:depth]) for path in paths for depth in range(1, len(path) + 1)
            )
        )
        node_of = {prefix: n_classes + position for position, prefix in enumerate(prefixes)}
        root = n_classes + len(prefixes)
        node_of[()] = root
        inner = [node_of[prefix[:-1]] for prefix in prefixes]
        leaves = [node_of[tuple(path)] for path in paths]
        names = (*(str(prefix[-1]) for prefix in prefixes), "")
        return cls(np.array([*leaves, *inner, _ROOT], dtype=np.int64), None, names)

    def to_linkage(self) -> NDArray[np.float64]:
        """Return the tree as a linkage matrix in scipy's format.

        Returns
        -------
        linkage : ndarray of shape (n_classes - 1, 4)
            Ready for :func:`scipy.cluster.hierarchy.dendrogram`. Merges are in the order of
            the nodes, or of their heights where a node stands before its children.

        Raises
        ------
        PartitionError
            If the tree is not binary or has no heights.
        """
        n_classes = self.n_classes
        children = np.bincount(self.parents[self.parents != _ROOT], minlength=self.n_nodes)
        if (children[n_classes:] != 2).any():
            raise PartitionError(
                "to_linkage needs a binary tree, each inner node with two children. "
                f"Got nodes with {children[n_classes:].min()} to {children[n_classes:].max()} "
                "children instead; take the tree of a ConfusionLinkagePartitioner."
            )
        if self.heights is None:
            raise PartitionError(
                "to_linkage needs heights. Got a tree without them instead; pass heights= to "
                "ClassTree."
            )
        inner = np.arange(n_classes, self.n_nodes)
        above = self.parents[n_classes:]
        if not (above[:-1] > inner[:-1]).all():  # some merge stands before one that it needs
            inner = inner[np.lexsort((-self.depths()[n_classes:], self.heights[n_classes:]))]
        rank = np.arange(self.n_nodes)
        rank[inner] = np.arange(n_classes, self.n_nodes)
        by_parent = np.argsort(self.parents, kind="stable")[1:].reshape(-1, 2)  # [0] is the root
        pairs = np.sort(rank[by_parent], axis=1)
        linkage = np.empty((n_classes - 1, 4))
        rows = rank[self.parents[by_parent[:, 0]]] - n_classes
        linkage[rows, :2] = pairs
        linkage[rows, 2] = self.heights[self.parents[by_parent[:, 0]]]
        linkage[:, 3] = self._leaf_counts()[inner]
        return linkage

    def depths(self) -> NDArray[np.int64]:
        """Return the number of edges from the root to every node, shape (n_nodes,).

        Returns
        -------
        depths : ndarray of int64, shape (n_nodes,)
            The root has 0.
        """
        return node_depths(self.parents)

    def _leaf_counts(self) -> NDArray[np.int64]:
        """Count the classes below every node, shape (n_nodes,)."""
        n_classes = self.n_classes
        counts = [1] * n_classes + [0] * (self.n_nodes - n_classes)
        parents = self.parents.tolist()
        for node in np.argsort(-self.depths(), kind="stable")[:-1].tolist():  # [-1] is the root
            counts[parents[node]] += counts[node]
        return np.array(counts, dtype=np.int64)

    def reorder_leaves(self, order: NDArray[np.int64]) -> ClassTree:
        """Return the same tree with its leaves in another order.

        Parameters
        ----------
        order : ndarray of int, shape (n_classes,)
            New leaf i is the present leaf ``order[i]``.

        Returns
        -------
        tree : ClassTree
            A new tree.
        """
        nodes = np.concatenate([order, np.arange(self.n_classes, self.n_nodes)])
        heights = None if self.heights is None else self.heights[nodes]
        if self.n_nodes == 1:
            return self
        # No leaf is a parent: no node changes its number.
        return ClassTree(self.parents[nodes], heights, self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassTree):
            return NotImplemented
        if (self.heights is None) != (other.heights is None):
            return False
        same_heights = self.heights is None or np.array_equal(self.heights, other.heights)  # type: ignore[arg-type]
        return same_heights and np.array_equal(self.parents, other.parents)

    # Equal trees may hold arrays of millions of nodes: hashing them is not worth its cost.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ClassTree(n_classes={self.n_classes}, n_nodes={self.n_nodes})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor: unpickled arrays would be writeable otherwise.
        return ClassTree, (self.parents, self.heights, self.names)


def node_depths(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of edges from the root to every node of a tree, nodes in any order."""
    steps = (parents != _ROOT).astype(np.int64)
    ancestors = np.where(steps, parents, np.arange(parents.size))
    # Each round doubles the steps upwards: a tree of a million classes may be as deep as wide.
    while (further := steps[ancestors]).any():
        steps += further
        ancestors = ancestors[ancestors]
    return steps


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    values.setflags(write=False)
    return values


def _count_leaves(parents: NDArray[np.int64]) -> int:
    return int(parents.size - np.count_nonzero(np.bincount(parents[parents != _ROOT])))


def _check_tree(parents: NDArray[np.int64]) -> None:
    """Raise unless ``parents`` is a single tree whose leaves are its first nodes."""
    n_nodes = parents.size
    n_roots = int((parents == _ROOT).sum())
    if n_roots != 1:
        raise PartitionError(
            f"parents must have exactly one root, marked by -1. Got {n_roots} instead."
        )
    if parents.min() < _ROOT or parents.max() >= n_nodes:
        raise PartitionError(
            f"parents must lie between -1 and {n_nodes - 1}, the last node. "
            f"Got values from {parents.min()} to {parents.max()} instead."
        )
    inner = np.flatnonzero(np.bincount(parents[parents != _ROOT]))
    if inner.size and inner[0] != n_nodes - inner.size:
        raise PartitionError(
            "parents must have the leaves as its first nodes: number the "
            f"{n_nodes - inner.size} leaves first. Got node {inner[0]} with children instead."
        )
    ancestors = parents
    for _ in range(n_nodes.bit_length()):  # each round doubles the number of steps upwards
        ancestors = np.where(ancestors == _ROOT, _ROOT, ancestors[ancestors])
    if (ancestors != _ROOT).any():
        node = int(np.flatnonzero(ancestors != _ROOT)[0])
        raise PartitionError(
            f"parents must lead from every node to the root. Got a cycle above node {node} instead."
        )
