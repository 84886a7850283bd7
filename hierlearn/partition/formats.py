"""What the taxonomy formats have in common: a tree of named groups, and how a partition fits in.

A partition is written by way of an :class:`Outline`, and read by way of one. The formats themselves
are in ``formats_graph.py``, ``formats_newick.py`` and ``formats_paths.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hierlearn._validation import check_choice
from hierlearn.exceptions import PartitionError
from hierlearn.partition._checks import check_classes
from hierlearn.partition._groups import class_array, shorten
from hierlearn.partition.class_tree import ClassTree, node_depths

if TYPE_CHECKING:
    from hierlearn.partition.interchange import Interchange

__all__ = [
    "Cluster",
    "Outline",
    "canonical_order",
    "check_no_overlap",
    "cluster_nodes",
    "outline_of",
    "outline_of_tree",
    "parts_of",
    "tree_of",
    "unused_key",
]

OVERLAPS = ("raise", "primary")


@dataclass
class Cluster:
    """That a node is a cluster: its number and its name, where they are known."""

    number: int | None = None
    name: str | None = None


@dataclass
class Outline:
    """A rooted tree with class labels at its leaves: what every format is read into.

    Parameters
    ----------
    parents : list of int
        Parent of every node, -1 for the root. Nodes are in any order.
    labels : dict from int to object
        Class label of every leaf.
    names : dict from int to str
        Names of inner nodes, where they have one.
    heights : list of float or None
        Height of every node.
    clusters : dict from int to Cluster
        The nodes that are clusters. Empty where the format does not say.
    shared : list of (int, int)
        Further memberships: node of the cluster, leaf.
    keeps_numbers : bool
        Whether inner nodes are in the order that they shall be numbered in.
    keeps_tree : bool
        Whether the tree is a part of its own, even where it says no more than the clusters.
    """

    parents: list[int]
    labels: dict[int, Any]
    names: dict[int, str] = field(default_factory=dict)
    heights: list[float] | None = None
    clusters: dict[int, Cluster] = field(default_factory=dict)
    shared: list[tuple[int, int]] = field(default_factory=list)
    keeps_numbers: bool = False
    keeps_tree: bool = False

    @property
    def root(self) -> int:
        """The node without a parent."""
        return self.parents.index(-1)

    def children(self) -> list[list[int]]:
        """List the children of every node, those with the first leaves first."""
        below: list[list[int]] = [[] for _ in self.parents]
        first = self.first_leaves({leaf: leaf for leaf in self.labels})
        for node in sorted(range(len(self.parents)), key=lambda node: first[node]):
            if self.parents[node] >= 0:
                below[self.parents[node]].append(node)
        return below

    def depths(self) -> NDArray[np.int64]:
        """Return the number of edges from the root to every node."""
        return node_depths(np.array(self.parents, dtype=np.int64))

    def first_leaves(self, codes: dict[int, int]) -> list[int]:
        """Return the smallest code of a leaf below every node."""
        first = [codes.get(node, len(codes)) for node in range(len(self.parents))]
        for node in np.argsort(-self.depths(), kind="stable")[:-1].tolist():  # [-1] is the root
            first[self.parents[node]] = min(first[self.parents[node]], first[node])
        return first

    def text_labels(self) -> dict[int, str]:
        """Write the label of every leaf as text.

        Raises
        ------
        PartitionError
            If two labels have the same text.
        """
        texts = {leaf: str(label) for leaf, label in self.labels.items()}
        seen: dict[str, Any] = {}
        for leaf, text in texts.items():
            if text in seen:
                raise PartitionError(
                    "classes must differ as text to be written as text: rename one. Got "
                    f"{seen[text]!r} and {self.labels[leaf]!r} instead."
                )
            seen[text] = self.labels[leaf]
        return texts


def unused_key(key: str, taken: Any) -> str:
    """Lengthen a key until it is not taken."""
    while key in taken:
        key += "_"
    return key


# -- writing: from a partition to an outline --------------------------------------------------


def outline_of_tree(tree: ClassTree, classes: ArrayLike | None) -> Outline:
    """Outline a tree without clusters; its leaves are the classes, by default 0, 1, ..."""
    checked = check_classes(np.arange(tree.n_classes) if classes is None else classes)
    if checked.size != tree.n_classes:
        raise PartitionError(
            f"classes must name each of the {tree.n_classes} leaves. Got {checked.size} instead."
        )
    names = enumerate(tree.names or (), start=tree.n_classes)
    return Outline(
        parents=tree.parents.tolist(),
        labels=dict(enumerate(checked.tolist())),
        names={node: name for node, name in names if name},
        heights=None if tree.heights is None else tree.heights.tolist(),
        keeps_numbers=True,
        keeps_tree=True,
    )


def outline_of(partition: Interchange) -> Outline:
    """Outline a partition: its tree, or its clusters below a root where it has none.

    Raises
    ------
    PartitionError
        If a cluster is no branch of the tree.
    """
    cluster_names = partition.cluster_names
    tree = partition.tree
    if tree is None:
        tree = ClassTree.from_paths([(cluster_names[code],) for code in partition.labels.tolist()])
    outline = outline_of_tree(tree, partition.classes)
    outline.keeps_tree = partition.tree is not None
    nodes = cluster_nodes(tree, partition.labels, cluster_names)
    outline.clusters = {
        node: Cluster(number, name)
        for number, (node, name) in enumerate(zip(nodes, cluster_names, strict=True))
    }
    codes, clusters = partition.membership.nonzero()
    others = clusters != partition.labels[codes]
    pairs = zip(codes[others].tolist(), clusters[others].tolist(), strict=True)
    outline.shared = [(nodes[cluster], code) for code, cluster in pairs]
    return outline


def cluster_nodes(
    tree: ClassTree, labels: NDArray[np.int64], cluster_names: Sequence[str]
) -> list[int]:
    """Find the node below which there are the classes of each cluster and no others."""
    parents = tree.parents.tolist()
    several, unknown = -2, -1
    owner = labels.tolist() + [unknown] * (tree.n_nodes - tree.n_classes)
    order = np.argsort(-tree.depths(), kind="stable").tolist()
    for node in order[:-1]:  # the last is the root
        above = parents[node]
        owner[above] = owner[node] if owner[above] in (unknown, owner[node]) else several
    tops: dict[int, list[int]] = {}
    for node in order:
        if owner[node] >= 0 and (parents[node] < 0 or owner[parents[node]] == several):
            tops.setdefault(owner[node], []).append(node)
    scattered = [cluster_names[cluster] for cluster, nodes in sorted(tops.items()) if nodes[1:]]
    if scattered:
        raise PartitionError(
            "tree must have a branch for every cluster: leave it out with "
            "dataclasses.replace(partition, tree=None). Got clusters in several branches, "
            f"{shorten(scattered)}, instead."
        )
    return [_named_node(tree, tops[cluster][0], name) for cluster, name in enumerate(cluster_names)]


def _named_node(tree: ClassTree, top: int, name: str) -> int:
    """Choose among nodes with the same classes: the one of that name, else the highest group."""
    chain = [top]
    children = np.flatnonzero(tree.parents == top)
    while children.size == 1:
        chain.append(int(children[0]))
        children = np.flatnonzero(tree.parents == chain[-1])
    names = dict(enumerate(tree.names or (), start=tree.n_classes))
    for node in chain:
        if names.get(node) == name:
            return node
    return chain[1] if tree.parents[top] < 0 and len(chain) > 1 else top


def check_no_overlap(outline: Outline, overlap: str, what: str) -> None:
    """Raise where classes are in several clusters, unless the primary ones are asked for."""
    if check_choice(overlap, OVERLAPS, "overlap") == "raise" and outline.shared:
        raise PartitionError(
            f"partition must not overlap to be written as {what}: take overlap='primary', or "
            f"to_networkx or to_dict, which hold it. Got {len(outline.shared)} further "
            "memberships instead."
        )


# -- reading: from an outline to the parts of a partition -------------------------------------


def tree_of(outline: Outline, classes: ArrayLike | None) -> ClassTree:
    """Make the tree, its leaves in the order of the classes (sorted if None)."""
    if outline.shared:
        leaf = outline.shared[0][1]
        raise PartitionError(
            "classes must each have one parent in a tree: read a LabelPartition, which may "
            f"overlap. Got several above {outline.labels[leaf]!r} instead."
        )
    _, codes = _locate_leaves(outline, classes)
    return _numbered(outline, codes)[0]


def parts_of(outline: Outline, classes: ArrayLike | None, level: int = 1) -> dict[str, Any]:
    """Make the parts of a LabelPartition.

    Parameters
    ----------
    outline : Outline
    classes : array-like of shape (n_classes,) or None
        Order of the classes; None sorts them.
    level : int
        Depth at which the clusters are, where the outline does not say.
    """
    ordered, codes = _locate_leaves(outline, classes)
    tree, number_of = _numbered(outline, codes)
    if not outline.clusters:
        outline.clusters = _clusters_at(outline, tree, number_of, level)
    nodes = _ordered_clusters(outline)
    located = _nearest_clusters(outline, {node: index for index, node in enumerate(nodes)})
    labels = np.empty(ordered.size, dtype=np.int64)
    for leaf, code in codes.items():
        labels[code] = _cluster_above(outline, located, leaf)
    shared = [(codes[leaf], located[node]) for node, leaf in outline.shared]
    for (code, cluster), (_, leaf) in zip(shared, outline.shared, strict=True):
        if cluster in (-1, labels[code]):
            raise PartitionError(
                "classes must have their parents in different clusters: remove the others. "
                f"Got {outline.labels[leaf]!r} with two in one, or one in none, instead."
            )
    rows, columns = np.array([*enumerate(labels), *shared], dtype=np.int64).T
    shape = (ordered.size, len(nodes))
    says_more = outline.keeps_tree or not _says_no_more(tree, len(nodes))
    return {
        "classes": ordered,
        "labels": labels,
        "membership": sparse.csr_array((np.ones(rows.size, dtype=bool), (rows, columns)), shape),
        "tree": tree if says_more else None,
        "names": _names([outline.clusters[node] for node in nodes]),
    }


def _locate_leaves(
    outline: Outline, classes: ArrayLike | None
) -> tuple[NDArray[Any], dict[int, int]]:
    """Return the classes, and the position of every leaf's label among them."""
    ordered = class_array(outline.labels.values()) if classes is None else check_classes(classes)
    position = {label: code for code, label in enumerate(ordered.tolist())}
    texts: dict[str, list[int]] = {}
    for label, code in position.items():
        texts.setdefault(str(label), []).append(code)

    def code_of(label: Any) -> int | None:
        plain = label.item() if isinstance(label, np.generic) else label
        if plain in position:
            return position[plain]
        same = texts.get(plain, []) if isinstance(plain, str) else []
        return same[0] if len(same) == 1 else None

    codes = {leaf: code_of(label) for leaf, label in outline.labels.items()}
    unknown = [outline.labels[leaf] for leaf, code in codes.items() if code is None]
    absent = np.setdiff1d(np.arange(ordered.size), [c for c in codes.values() if c is not None])
    if unknown or absent.size or len(codes) != ordered.size:
        raise PartitionError(
            "classes must be those of the taxonomy, each at one leaf. Got "
            f"{shorten(ordered[absent].tolist())} without a leaf and leaves "
            f"{shorten(unknown)} of no class instead."
        )
    return ordered, {leaf: code for leaf, code in codes.items() if code is not None}


def _numbered(outline: Outline, codes: dict[int, int]) -> tuple[ClassTree, dict[int, int]]:
    """Give the leaves the numbers of their classes, and the others those behind.

    Merges of a dendrogram are numbered by their heights, as in a linkage; groups without heights
    by their first classes, as :meth:`ClassTree.from_paths` does. The root is the last.
    """
    inner = [node for node in range(len(outline.parents)) if node not in codes]
    if not outline.keeps_numbers:
        inner = canonical_order(outline, codes)
    leaves = sorted(codes, key=codes.__getitem__)
    nodes = [*leaves, *inner]
    number_of = {node: number for number, node in enumerate(nodes)}
    number_of[-1] = -1
    parents = [number_of[outline.parents[node]] for node in nodes]
    heights = None if outline.heights is None else np.array(outline.heights)[nodes]
    names = tuple(outline.names.get(node, "") for node in inner)
    return ClassTree(np.array(parents), heights, names), number_of


def canonical_order(outline: Outline, codes: dict[int, int]) -> list[int]:
    """Return the inner nodes in the order that readers number them in by themselves."""
    depths, first, heights = outline.depths(), outline.first_leaves(codes), outline.heights

    def key(node: int) -> tuple[float, ...]:
        if heights is not None:
            return (heights[node], -depths[node], first[node])
        return (float(depths[node] == 0), first[node], depths[node])

    return sorted((node for node in range(len(depths)) if node not in codes), key=key)


def _clusters_at(
    outline: Outline, tree: ClassTree, number_of: dict[int, int], level: int
) -> dict[int, Cluster]:
    """Take as clusters the groups at one depth, and the classes above it."""
    if not isinstance(level, Integral) or isinstance(level, bool) or level < 1:
        raise PartitionError(
            f"level must be an integer of at least 1, the depth of the clusters. Got {level!r} "
            "instead."
        )
    depths = tree.depths()
    found = {}
    for node in range(len(outline.parents)):
        depth = depths[number_of[node]]
        if depth == level or (depth < level and node in outline.labels):
            name = str(outline.labels[node]) if node in outline.labels else outline.names.get(node)
            found[node] = Cluster(None, name)
    return found


def _ordered_clusters(outline: Outline) -> list[int]:
    """List the nodes of the clusters by number, or as they were read where one has none."""
    numbers = [cluster.number for cluster in outline.clusters.values()]
    if None not in numbers:
        if sorted(numbers) != list(range(len(numbers))):  # type: ignore[type-var]
            raise PartitionError(
                "clusters must be numbered from 0 on, each number once. Got "
                f"{shorten(numbers)} instead."
            )
        return sorted(outline.clusters, key=lambda node: outline.clusters[node].number or 0)
    return sorted(outline.clusters)


def _nearest_clusters(outline: Outline, index_of: dict[int, int]) -> list[int]:
    """Return the cluster that every node lies in, -1 for none."""
    located = [-1] * len(outline.parents)
    for node in np.argsort(outline.depths(), kind="stable").tolist():
        above = located[outline.parents[node]] if outline.parents[node] >= 0 else -1
        located[node] = index_of.get(node, above)
    return located


def _cluster_above(outline: Outline, located: list[int], node: int) -> int:
    if located[node] >= 0:
        return located[node]
    what = repr(outline.labels.get(node, outline.names.get(node, f"node {node}")))
    raise PartitionError(
        f"clusters must take in every class: mark a node above each. Got none above {what} instead."
    )


def _says_no_more(tree: ClassTree, n_clusters: int) -> bool:
    """Whether a tree has nothing but a root, the clusters and the classes."""
    depths = tree.depths()
    return (
        tree.heights is None
        and tree.n_nodes == tree.n_classes + n_clusters + 1
        and bool((depths[: tree.n_classes] == 2).all())
    )


def _names(clusters: Sequence[Cluster]) -> tuple[str, ...] | None:
    """Name the clusters; where a name is missing or taken, by number or a longer name."""
    if not any(cluster.name for cluster in clusters):
        return None
    names: list[str] = []
    for number, cluster in enumerate(clusters):
        names.append(unused_key(cluster.name or f"cluster_{number}", names))
    return tuple(names)
