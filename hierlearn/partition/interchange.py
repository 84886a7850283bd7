"""The forms that partitions come in and go out in: dicts, tables, graphs and Newick text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierlearn.partition._checks import check_classes
from hierlearn.partition._groups import (
    Group,
    groups_from_nested,
    groups_from_rows,
    locate_groups,
)
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.formats import check_no_overlap, outline_of, parts_of
from hierlearn.partition.formats_graph import graph_of, outline_of_graph
from hierlearn.partition.formats_newick import newick_of, outline_of_newick
from hierlearn.partition.formats_paths import nested_of, outline_of_table, table_of

__all__ = ["Interchange"]


class Interchange:
    """What a :class:`LabelPartition` is made from and written as, beside its own parts."""

    if TYPE_CHECKING:
        classes: NDArray[Any]
        labels: NDArray[np.int64]
        membership: Any
        tree: ClassTree | None
        names: tuple[str, ...] | None

        @property
        def n_clusters(self) -> int: ...  # noqa: D102

        @property
        def cluster_names(self) -> tuple[str, ...]: ...  # noqa: D102

        def __init__(self, *parts: Any, **named: Any) -> None: ...

        def members(self, cluster: int) -> NDArray[np.int64]: ...  # noqa: D102

        def aligned_to(self, classes: ArrayLike) -> Self: ...  # noqa: D102

        def primary_members(self, cluster: int) -> NDArray[np.int64]: ...  # noqa: D102

    # -- groups and tables ------------------------------------------------------------------

    @classmethod
    def from_groups(cls, groups: Iterable[Iterable[Any]], classes: ArrayLike | None = None) -> Self:
        """Make a partition from lists of classes.

        Parameters
        ----------
        groups : iterable of iterables of class labels
            One for each cluster. A class in several of them has the first as its primary.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep. None takes those of the groups, sorted.

        Returns
        -------
        partition : LabelPartition

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> LabelPartition.from_groups([["a", "c"], ["b", "a"]]).membership.toarray().astype(int)
        array([[1, 1],
               [0, 1],
               [1, 0]])
        """
        return cls._assembled([Group(None, list(group)) for group in groups], classes)

    @classmethod
    def from_dict(cls, nested: Mapping[str, Any], classes: ArrayLike | None = None) -> Self:
        """Make a partition from a dict of groups, or from what :meth:`to_dict` returned.

        Parameters
        ----------
        nested : mapping from str to list of classes, or to a further such mapping
            The first level gives the clusters and their names. Deeper levels give the tree; the
            classes beside the groups of a group stand under the empty name.
            A class named by several clusters has the first as its primary, unless a cluster is
            written ``{"primary": [...], "also": [...]}``: "also" lists the classes that belong to
            it beside their primary cluster.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep. None takes those of the groups, sorted.

        Returns
        -------
        partition : LabelPartition

        Raises
        ------
        PartitionError
            If a group is neither a list nor a mapping, or the groups are not ``classes``.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> animals = {"cats": ["lion", "tiger"], "dogs": ["wolf"]}
        >>> partition = LabelPartition.from_dict({"animals": animals, "vehicles": ["bus"]})
        >>> partition.cluster_names, partition.tree
        (('animals', 'vehicles'), ClassTree(n_classes=4, n_nodes=9))
        """
        order = None if classes is None else check_classes(classes).tolist()
        groups, tree, leaves = groups_from_nested(nested, order)
        if leaves is None or classes is None:
            return cls._assembled(groups, leaves if classes is None else classes, tree)
        return cls._assembled(groups, leaves, tree).aligned_to(classes)

    def to_dict(self, *, nested: bool = False) -> dict[str, Any]:
        """Return the partition as a dict ready for JSON.

        Parameters
        ----------
        nested : bool, default=False
            Whether the tree's groups below each cluster are written as mappings, for people to
            read. Classes beside the groups of a group stand under the empty name. Heights, and
            what lies above the clusters, are left out.

        Returns
        -------
        groups : dict
            ``{cluster name: [classes]}``. A cluster with classes that have another primary
            cluster is written ``{"primary": [classes], "also": [classes]}``. With a tree there is
            one more entry, ``"tree": {"leaves": [classes], "parents": [...], "heights": [...]}``
            (``"tree_"`` where a cluster is named so; with ``"names"`` where groups have names).
            :meth:`from_dict` reads it back; without a tree it needs ``classes`` where those are
            not in sorted order.

        Raises
        ------
        PartitionError
            If ``nested`` is asked for and a cluster is no branch of the tree.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> LabelPartition(["a", "b", "c"], [0, 0, 1]).to_dict()
        {'cluster_0': ['a', 'b'], 'cluster_1': ['c']}
        >>> pets = {"pets": {"cats": ["manx"], "": ["dog"]}, "cars": ["bus"]}
        >>> LabelPartition.from_dict(pets).to_dict(nested=True)
        {'pets': {'': ['dog'], 'cats': ['manx']}, 'cars': ['bus']}
        """
        if nested:
            return nested_of(outline_of(self))
        groups: dict[str, Any] = {}
        for cluster, name in enumerate(self.cluster_names):
            primary = self.classes[self.primary_members(cluster)].tolist()
            also = np.setdiff1d(self.members(cluster), self.primary_members(cluster))
            groups[name] = (
                {"primary": primary, "also": self.classes[also].tolist()} if also.size else primary
            )
        if self.tree is not None:
            heights = self.tree.heights
            key = "tree"
            while key in groups:  # a cluster may have that name
                key += "_"
            groups[key] = {
                "leaves": self.classes.tolist(),
                "parents": self.tree.parents.tolist(),
                "heights": None if heights is None else heights.tolist(),
            }
            if self.tree.names is not None:
                groups[key]["names"] = list(self.tree.names)
        return groups

    @classmethod
    def from_table(
        cls,
        rows: Iterable[Mapping[str, Any]],
        classes: ArrayLike | None = None,
        tree: ClassTree | None = None,
    ) -> Self:
        """Make a partition from a table, a row for each class in each cluster.

        Parameters
        ----------
        rows : iterable of mappings, or pandas DataFrame
            Columns "class", "cluster" and, optionally, "primary" (bool). Without "primary" the
            first row of a class is its primary cluster. Clusters are numbered in the order of
            their first rows.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep. None takes those of the table, sorted.
        tree : ClassTree or None, default=None
            A tree over the classes, which a table cannot hold.

        Returns
        -------
        partition : LabelPartition

        Raises
        ------
        PartitionError
            If a column is missing, or a class has no or several primary clusters.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> rows = [{"class": "a", "cluster": "x"}, {"class": "b", "cluster": "y"}]
        >>> LabelPartition.from_table(rows).to_dict()
        {'x': ['a'], 'y': ['b']}
        """
        return cls._assembled(groups_from_rows(rows), classes, tree)

    def to_table(self) -> list[dict[str, Any]]:
        """Return the partition as rows, cluster after cluster.

        Returns
        -------
        rows : list of dict
            Keys "class", "cluster" (its name, or its number where it has none) and "primary".

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> for row in LabelPartition(["a", "b"], [0, 0]).to_table():
        ...     print(row)
        {'class': 'a', 'cluster': 0, 'primary': True}
        {'class': 'b', 'cluster': 0, 'primary': True}
        """
        clusters: Sequence[Any] = self.names or range(self.n_clusters)
        return [
            {
                "class": label,
                "cluster": clusters[cluster],
                "primary": bool(self.labels[code] == cluster),
            }
            for cluster in range(self.n_clusters)
            for code, label in zip(
                self.members(cluster),
                self.classes[self.members(cluster)].tolist(),
                strict=True,
            )
        ]

    @classmethod
    def _assembled(
        cls, groups: Sequence[Group], classes: ArrayLike | None, tree: ClassTree | None = None
    ) -> Self:
        ordered = None if classes is None else check_classes(classes)
        labels, membership, ordered = locate_groups(groups, ordered)
        names = [group.name for group in groups if group.name is not None]
        return cls(ordered, labels, membership, tree, tuple(names) or None)

    # -- taxonomies of other programs -------------------------------------------------------

    @classmethod
    def from_paths(cls, paths: Any, classes: ArrayLike | None = None, *, level: int = 1) -> Self:
        """Make a partition from a table of paths, such as the y that HiClass is fitted on.

        Parameters
        ----------
        paths : array-like of shape (n_rows, n_levels), data frame, or list of lists
            A row is the groups that a class lies in, outermost first, then the class. Empty
            strings, None or NaN fill it up. Equal rows count once, so that there may be a row for
            each sample.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep; text in the table is compared with them as text.
            None takes those of the table, sorted.
        level : int, default=1
            Which level gives the clusters. A class that ends above it is a cluster by itself.

        Returns
        -------
        partition : LabelPartition
            With a tree where there are more levels than clusters and classes. Clusters are
            numbered in the order of their first rows.

        Raises
        ------
        PartitionError
            If a row is empty, has an empty cell before its class, leads to a class on another way
            than a row before, or ends in a group.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> paths = [["animals", "cats", "lion"], ["animals", "dog", ""], ["cars", "bus", ""]]
        >>> LabelPartition.from_paths(paths).to_dict(nested=True)
        {'animals': {'': ['dog'], 'cats': ['lion']}, 'cars': ['bus']}
        """
        return cls(**parts_of(outline_of_table(paths), classes, level))

    def to_paths(self, *, overlap: str = "raise") -> NDArray[Any]:
        """Return the path from the outermost group to each class, as HiClass reads it.

        With it, ``paths[codes]`` is a hierarchical y for samples with these class codes.

        Parameters
        ----------
        overlap : {"raise", "primary"}, default="raise"
            What to do where classes are in several clusters, which a path cannot say: raise, or
            take the primary ones.

        Returns
        -------
        paths : ndarray of shape (n_classes, n_levels)
            A row for each class: its cluster, the groups of the tree within, itself, and empty
            strings. Of text, or of objects where the classes are no text. Heights, and what lies
            above the clusters, are left out. Unnamed groups are called ``node_<number>``.

        Raises
        ------
        PartitionError
            If there is overlap, a cluster is no branch of the tree, or a name is empty.

        References
        ----------
        Miranda, Köhnecke & Renard, HiClass: a Python library for local hierarchical
        classification compatible with scikit-learn, JMLR 24 (2023).

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> partition = LabelPartition.from_dict({"pets": {"cats": ["manx"]}, "cars": ["bus"]})
        >>> partition.to_paths().tolist()
        [['cars', 'bus', ''], ['pets', 'cats', 'manx']]
        """
        outline = outline_of(self)
        check_no_overlap(outline, overlap, "a table of paths")
        return table_of(outline)

    @classmethod
    def from_newick(
        cls,
        newick: str,
        classes: ArrayLike | None = None,
        *,
        level: int = 1,
        underscores_are_blanks: bool = True,
    ) -> Self:
        """Make a partition from a tree in Newick text.

        Parameters
        ----------
        newick : str
            One tree that ends in a semicolon; every leaf has a name, a class.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep; they are found by their text. None takes the names
            of the leaves, sorted: text, whatever the classes were.
        level : int, default=1
            Depth of the clusters, where the text has no comments that say it. A class above it is
            a cluster by itself.
        underscores_are_blanks : bool, default=True
            Whether underscores outside quotes are blanks, as the standard has it.

        Returns
        -------
        partition : LabelPartition
            Branch lengths give the heights; the deepest leaves are at 0. Clusters are numbered in
            the order of the text, unless comments number them.

        Raises
        ------
        PartitionError
            Naming the fault and the character where it is: an open parenthesis, a leaf without a
            name, a class named twice, a branch without a length beside others that have one, ...

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> partition = LabelPartition.from_newick("((lion,'house cat')cats,(wolf)dogs);")
        >>> partition.to_dict()
        {'cats': ['house cat', 'lion'], 'dogs': ['wolf']}
        """
        outline = outline_of_newick(newick, underscores_are_blanks)
        return cls(**parts_of(outline, classes, level))

    def to_newick(self, *, overlap: str = "raise", annotate: bool = True) -> str:
        """Return the tree as Newick text; branch lengths are differences of heights.

        Parameters
        ----------
        overlap : {"raise", "primary"}, default="raise"
            What to do where classes are in several clusters, which Newick cannot say: raise, or
            take the primary ones.
        annotate : bool, default=True
            Whether comments tell which nodes are clusters and the exact heights,
            ``[&cluster=0,height=0.5]``, so that :meth:`from_newick` restores the partition.
            Programs that do not know them must skip comments; False writes none.

        Returns
        -------
        newick : str
            Names are quoted where they hold blanks, underscores, quotes, brackets, colons or
            commas. Unnamed nodes that are clusters have the name of the cluster.

        Raises
        ------
        PartitionError
            If there is overlap, a cluster is no branch of the tree, or two classes have one text.

        References
        ----------
        Olsen, Interpretation of the "Newick's 8:45" tree format standard (1990).

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> partition = LabelPartition.from_dict({"cats": ["lion", "house cat"], "dogs": ["wolf"]})
        >>> partition.to_newick()
        "(('house cat',lion)cats[&cluster=0],(wolf)dogs[&cluster=1]);"
        >>> partition.to_newick(annotate=False)
        "(('house cat',lion)cats,(wolf)dogs);"
        """
        outline = outline_of(self)
        check_no_overlap(outline, overlap, "Newick text")
        return newick_of(outline, annotate)

    @classmethod
    def from_networkx(cls, graph: Any, classes: ArrayLike | None = None, *, level: int = 1) -> Self:
        """Make a partition from a directed graph whose edges lead from groups to classes.

        Parameters
        ----------
        graph : networkx.DiGraph
            Nodes without children are the classes, under their attribute "label", else the node
            itself. A class may have several parents in different clusters: the first, or that
            with the edge attribute ``primary=True``, is its primary one. Several roots are put
            below one.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, in the order to keep. None takes those of the graph, sorted.
        level : int, default=1
            Depth of the clusters, where no node has the attribute "cluster". A class above it is
            a cluster by itself.

        Returns
        -------
        partition : LabelPartition
            With heights where the nodes have the attribute "height". Clusters are numbered in the
            order of the graph's nodes, unless the attributes number them.

        Raises
        ------
        PartitionError
            If there is a cycle, a group has several parents, or several nodes are one class. The
            message names the nodes.

        Examples
        --------
        >>> import networkx as nx
        >>> from hierlearn.partition import LabelPartition
        >>> graph = nx.DiGraph([("animals", "cat"), ("animals", "dog"), ("vehicles", "bus")])
        >>> LabelPartition.from_networkx(graph).to_dict()
        {'animals': ['cat', 'dog'], 'vehicles': ['bus']}
        """
        return cls(**parts_of(outline_of_graph(graph), classes, level))

    def to_networkx(self) -> Any:
        """Return the partition as a networkx graph, edges from the root to the classes.

        Needs networkx: ``pip install "hierlearn[graph]"``.

        Returns
        -------
        graph : networkx.DiGraph
            Classes are nodes by their labels, groups by their names, with underscores added where
            a name is taken. Nodes of clusters have the attributes "cluster", a number, and
            "cluster_name"; all nodes have "height" where the tree has heights. A cluster that is
            a single class of the tree gets a node with ``in_tree=False`` above it. With overlap
            there are further edges from clusters to classes, with ``primary=False``.

        Raises
        ------
        MissingExtraError
            If networkx is not installed.
        PartitionError
            If a cluster is no branch of the tree.

        Examples
        --------
        >>> from hierlearn.partition import LabelPartition
        >>> partition = LabelPartition.from_dict({"animals": ["cat", "dog"], "vehicles": ["bus"]})
        >>> sorted(partition.to_networkx().edges)[:2]
        [('animals', 'cat'), ('animals', 'dog')]
        """
        return graph_of(outline_of(self))
