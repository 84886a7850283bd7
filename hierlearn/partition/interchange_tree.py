"""The forms that class trees come in and go out in: dicts, paths, graphs and Newick text.

The formats import :class:`ClassTree`, which is why its methods import them when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from hierlearn.partition.class_tree import ClassTree
    from hierlearn.partition.formats import Outline

__all__ = ["TreeInterchange"]


class TreeInterchange:
    """What a :class:`ClassTree` is made from and written as, beside parents and linkages."""

    def _outline(self, classes: ArrayLike | None) -> Outline:
        from hierlearn.partition.formats import outline_of_tree

        return outline_of_tree(cast("ClassTree", self), classes)

    @classmethod
    def _from_outline(cls, outline: Outline, classes: ArrayLike | None) -> Self:
        from hierlearn.partition.formats import tree_of

        return cast("Self", tree_of(outline, classes))

    def to_paths(self) -> list[tuple[str, ...]]:
        """Return the names of the groups that each class lies in, outermost first.

        Returns
        -------
        paths : list of tuple of str
            For :meth:`from_paths`. Unnamed groups are called ``node_<number>``; heights are left
            out. :meth:`LabelPartition.to_paths` makes a table with the classes.

        Examples
        --------
        >>> from hierlearn.partition import ClassTree
        >>> ClassTree.from_paths([("pets", "cats"), ("cars",)]).to_paths()
        [('pets', 'cats'), ('cars',)]
        """
        from hierlearn.partition.formats_paths import group_paths

        return group_paths(self._outline(None))

    @classmethod
    def from_dict(cls, nested: Mapping[str, Any], classes: ArrayLike | None = None) -> Self:
        """Make a tree without heights from nested mappings of groups, down to lists of classes.

        Parameters
        ----------
        nested : mapping
            As for :meth:`LabelPartition.from_dict`, without overlap.
        classes : array-like of shape (n_classes,) or None, default=None
            The classes in the order of the leaves. None sorts them.

        Returns
        -------
        tree : ClassTree
        """
        from hierlearn.partition.formats_paths import outline_of_nested

        return cls._from_outline(outline_of_nested(nested), classes)

    def to_dict(self, classes: ArrayLike | None = None) -> dict[str, Any]:
        """Return the groups as nested mappings, down to lists of classes; heights are left out.

        Parameters
        ----------
        classes : array-like of shape (n_classes,) or None, default=None
            Labels of the leaves. None takes 0, 1, ...

        Returns
        -------
        nested : dict
            Classes beside the groups of a group stand under the empty name.

        Examples
        --------
        >>> from hierlearn.partition import ClassTree
        >>> tree = ClassTree.from_paths([("pets", "cats"), ("pets",), ("cars",)])
        >>> tree.to_dict(["manx", "dog", "bus"])
        {'pets': {'cats': ['manx'], '': ['dog']}, 'cars': ['bus']}
        """
        from hierlearn.partition.formats_paths import nested_of

        return nested_of(self._outline(classes))

    @classmethod
    def from_newick(cls, newick: str, classes: ArrayLike | None = None) -> Self:
        """Make a tree from Newick text; :meth:`LabelPartition.from_newick` tells what is read.

        Parameters
        ----------
        newick : str
            One tree whose leaves are named by the classes.
        classes : array-like of shape (n_classes,) or None, default=None
            The classes in the order of the leaves. None sorts the names.

        Returns
        -------
        tree : ClassTree
        """
        from hierlearn.partition.formats_newick import outline_of_newick

        return cls._from_outline(outline_of_newick(newick), classes)

    def to_newick(self, classes: ArrayLike | None = None, *, annotate: bool = True) -> str:
        """Return the tree as Newick text; branch lengths are differences of heights.

        Parameters
        ----------
        classes : array-like of shape (n_classes,) or None, default=None
            Labels of the leaves. None takes 0, 1, ...
        annotate : bool, default=True
            Whether comments hold the exact heights, see :meth:`LabelPartition.to_newick`.

        Returns
        -------
        newick : str
            One line, ending in a semicolon.

        Examples
        --------
        >>> from hierlearn.partition import ClassTree
        >>> tree = ClassTree([3, 3, 4, 4, -1], heights=[0, 0, 0, 0.5, 1])
        >>> tree.to_newick(["a", "b", "c"], annotate=False)
        '((a:0.5,b:0.5):0.5,c:1.0);'
        """
        from hierlearn.partition.formats_newick import newick_of

        return newick_of(self._outline(classes), annotate)

    @classmethod
    def from_networkx(cls, graph: Any, classes: ArrayLike | None = None) -> Self:
        """Make a tree from a networkx DiGraph; see :meth:`LabelPartition.from_networkx`.

        Parameters
        ----------
        graph : networkx.DiGraph
            A tree, edges from groups to classes.
        classes : array-like of shape (n_classes,) or None, default=None
            The classes in the order of the leaves. None sorts them.

        Returns
        -------
        tree : ClassTree
        """
        from hierlearn.partition.formats_graph import outline_of_graph

        return cls._from_outline(outline_of_graph(graph), classes)

    def to_networkx(self, classes: ArrayLike | None = None) -> Any:
        """Return the tree as a networkx DiGraph; see :meth:`LabelPartition.to_networkx`.

        Parameters
        ----------
        classes : array-like of shape (n_classes,) or None, default=None
            Labels of the leaves. None takes 0, 1, ...

        Returns
        -------
        graph : networkx.DiGraph
            Edges point away from the root.
        """
        from hierlearn.partition.formats_graph import graph_of

        return graph_of(self._outline(classes))
