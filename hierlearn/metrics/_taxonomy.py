"""A taxonomy as the hierarchical metrics look at it: who is above whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hierlearn.partition import ClassTree, LabelPartition, partition_from_groups
from hierlearn.partition.formats import cluster_nodes

_SHOWN = 5  # labels named in an error message


class Ancestry:
    """The classes of a taxonomy, their tree, and the nodes above each.

    Parameters
    ----------
    taxonomy : object
        What :func:`hierlearn.partition.partition_from_groups` takes.
    """

    def __init__(self, taxonomy: Any) -> None:
        if taxonomy is None:
            raise ValueError(
                "taxonomy must be a partition, tree, mapping, graph, table of paths or Newick "
                "text. Got None instead; pass the partition_ of a fitted partitioner."
            )
        self.partition: LabelPartition = partition_from_groups(taxonomy)
        self.classes: list[Any] = self.partition.classes.tolist()
        self.tree: ClassTree = self.partition.tree or ClassTree.from_paths(
            [(cluster,) for cluster in self.partition.labels.tolist()]
        )
        self._position = {label: code for code, label in enumerate(self.classes)}

    def codes(self, labels: ArrayLike, name: str) -> NDArray[np.int64]:
        """Look up the positions of labels among the classes."""
        found, inverse = np.unique(np.asarray(labels), return_inverse=True)
        unknown = [label for label in found.tolist() if label not in self._position]
        if unknown:
            raise ValueError(
                f"{name} must hold classes of the taxonomy, such as {_few(self.classes)}. Got "
                f"{_few(unknown)} instead; add them to the taxonomy, or write them as it does."
            )
        codes = np.array([self._position[label] for label in found.tolist()], dtype=np.int64)
        return codes[inverse.ravel()]

    def ancestors(self) -> sparse.csr_array:
        """Mark every class's own node and those above it but the root, (n_classes, n_nodes)."""
        n_classes, parents = self.partition.n_classes, self.tree.parents
        own = np.arange(n_classes)
        rows, nodes = [own], [own]
        for codes, at in [(own, parents[:n_classes]), self._further_clusters()]:
            while (inside := at >= 0).any():
                codes, at = codes[inside], at[inside]
                below_root = parents[at] >= 0
                rows.append(codes[below_root])
                nodes.append(at[below_root])
                at = parents[at]
        entries = (np.concatenate(rows), np.concatenate(nodes))
        ones = np.ones(entries[0].size, dtype=bool)
        marks = sparse.csr_array((ones, entries), shape=(n_classes, self.tree.n_nodes))
        marks.sum_duplicates()  # bool: a sum is an or
        return marks

    def _further_clusters(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return classes and the nodes of the clusters they are in beside their primary one."""
        if not self.partition.is_overlapping:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        nodes = cluster_nodes(self.tree, self.partition.labels, self.partition.cluster_names)
        codes, clusters = self.partition.membership.nonzero()
        others = clusters != self.partition.labels[codes]
        return codes[others].astype(np.int64), np.array(nodes)[clusters[others]]

    def lowest_common_ancestors(
        self, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the lowest node above (or at) both classes, for pairs of codes."""
        pairs, inverse = np.unique(np.stack([first, second]), axis=1, return_inverse=True)
        left, right = pairs
        depths, parents = self.tree.depths(), self.tree.parents
        while (apart := left != right).any():
            # The deeper of the two goes up; of equals both do.
            lift_left = apart & (depths[left] >= depths[right])
            lift_right = apart & (depths[right] >= depths[left])
            left = np.where(lift_left, parents[left], left)
            right = np.where(lift_right, parents[right], right)
        return left[inverse.ravel()]

    def levels_below(self) -> NDArray[np.int64]:
        """Return the number of edges from every node to the deepest class below it."""
        depths, parents = self.tree.depths(), self.tree.parents
        levels = np.zeros(self.tree.n_nodes, dtype=np.int64)
        for depth in range(int(depths.max()), 0, -1):
            nodes = np.flatnonzero(depths == depth)
            np.maximum.at(levels, parents[nodes], levels[nodes] + 1)
        return levels


def _few(labels: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, labels[:_SHOWN]))
    return f"[{shown}, ...]" if len(labels) > _SHOWN else f"[{shown}]"
