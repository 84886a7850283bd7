"""The tree by which classes were grouped, with the clusters in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import confusion_matrix
from sklearn.utils.multiclass import unique_labels

from hierlearn._names import group_name, readable_name
from hierlearn.display import _branches
from hierlearn.display._labels import check_names
from hierlearn.display._order import partition_linkage, tree_order
from hierlearn.display._sources import confusion_from_labels, partition_of, tree_of
from hierlearn.display._style import (
    INK,
    axes_of,
    axes_points,
    cluster_colors,
    drawable,
    require_matplotlib,
)
from hierlearn.display._tree import TreeLayout, cut_between, lay_out
from hierlearn.partition import ClassTree, ConfusionLinkagePartitioner

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import LabelPartition

_MAX_LEAVES = 120
_MIN_ROW_POINTS = 6.0
_SCALES = ("auto", "linear", "log")


class ClassDendrogramDisplay:
    """Dendrogram of the classes, coloured by cluster.

    Classes that a classifier confuses often are joined near their names, at the right; the
    further left two branches meet, the less the classes on them are confused. Each cluster
    has a colour and its number; where one height separates the clusters, a dashed line marks
    the cut. With many classes each cluster is drawn as one row: a triangle, labelled with its
    number and its first classes.

    Parameters
    ----------
    tree : ndarray of shape (K - 1, 4) or ClassTree
        Linkage matrix as in :func:`scipy.cluster.hierarchy.linkage`, or a tree of any shape.
    class_names : array-like of shape (K,), default=None
        Names of the classes. None for their codes, 0 to K - 1.
    cluster_labels : array-like of shape (K,) of int, default=None
        Cluster of each class, from 0. None to colour nothing.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names for the clusters that are drawn as one row. None for their first classes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the dendrogram.
    figure_ : matplotlib Figure
        Figure containing the dendrogram.
    leaves_ : list of ndarray of int
        Class codes in each row, top to bottom; several in a row that is collapsed.
    branches_ : matplotlib LineCollection
        The branches.
    triangles_ : matplotlib PolyCollection or None
        One triangle per collapsed row.
    cluster_bars_ : list of matplotlib Rectangle
        Bars beside the names, one per run of rows of one cluster.
    cluster_texts_ : list of matplotlib Text
        Numbers of the clusters, where classes have rows of their own.
    cut_height_ : float or None
        Height of the cut, in the units of the tree, where a single one gives the clusters.
    cut_line_ : matplotlib Line2D or None
        The line drawn there.

    See Also
    --------
    ConfusionOrderDisplay : The confusion matrix in the order of the partition.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.display import ClassDendrogramDisplay
    >>> confusion = np.array([[8, 2, 0, 0], [3, 7, 0, 0], [0, 0, 9, 1], [0, 1, 2, 7]])
    >>> display = ClassDendrogramDisplay.from_confusion(confusion, class_names=list("0O1l"))
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['0', 'O', '1', 'l']
    >>> display.figure_.savefig("dendrogram.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        tree: ArrayLike | ClassTree,
        *,
        class_names: ArrayLike | None = None,
        cluster_labels: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
    ) -> None:
        self.tree = tree
        self.class_names = class_names
        self.cluster_labels = cluster_labels
        self.cluster_names = cluster_names

    def plot(
        self,
        *,
        ax: Axes | None = None,
        max_leaves: int | None = None,
        height_scale: str = "auto",
        palette: Sequence[str] | None = None,
        collapse_below: float | None = None,
    ) -> ClassDendrogramDisplay:
        """Draw the dendrogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None for a new figure, as large as the number of rows asks for.
        max_leaves : int, default=None
            With more classes than this, each cluster becomes one row. None for 120, or for
            as many as can be read on the ``ax`` given.
        height_scale : {"auto", "linear", "log"}, default="auto"
            "log" reads a height as one minus a rate of confusion and draws the rate on a
            logarithmic axis; "auto" does so for heights in [0, 1] that crowd towards 1.
        palette : sequence of colours, default=None
            Colours for the clusters, repeated as needed. None for a palette that is safe for
            the colour-blind.
        collapse_below : float, default=None
            Height, in the units of the tree, up to which what is joined becomes one row, however
            many classes there are; ``cut_height_`` of an earlier plot leaves the clusters.

        Returns
        -------
        display : ClassDendrogramDisplay
            The display itself, with the attributes that end in an underscore.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        ValueError
            If names or labels do not fit the tree, or ``height_scale`` is unknown.
        """
        require_matplotlib("ClassDendrogramDisplay.plot")
        if height_scale not in _SCALES:
            raise ValueError(
                f"height_scale must be one of {_SCALES}. Got {height_scale!r} instead."
            )
        tree, order, labels = self._check_tree()
        layout = lay_out(tree, order, labels, self._row_limit(ax, max_leaves), collapse_below)
        names = self._row_names(layout, ax, len(order))
        colors = None if labels is None else cluster_colors(labels, order, palette)

        n_rows = len(layout.ends)
        row_inches = 0.26 if n_rows <= 30 else 0.16
        self.figure_, self.ax_ = axes_of(ax, 8.0, max(2.6, 1.0 + row_inches * n_rows))
        positions = _branches.draw_height_axis(
            self.ax_, layout, scale=height_scale, has_heights=tree.heights is not None
        )
        self._draw(layout, positions, names, colors)
        title = f"{len(order)} classes"
        if labels is not None:
            title += f" in {len(np.unique(labels))} clusters (colour and number)"
        self.ax_.set_title(title, loc="left", fontsize=11, color=INK)
        return self

    def _check_tree(self) -> tuple[ClassTree, NDArray[np.intp], NDArray[np.int64] | None]:
        order = tree_order(self.tree)
        tree = self.tree if isinstance(self.tree, ClassTree) else ClassTree.from_linkage(self.tree)
        if self.cluster_labels is None:
            return tree, order, None
        labels = np.asarray(self.cluster_labels)
        if labels.shape != order.shape or labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError(
                f"cluster_labels must be {len(order)} integers from 0, one per leaf of the tree. "
                f"Got {labels.dtype} of shape {labels.shape} instead."
            )
        return tree, order, labels

    def _row_limit(self, ax: Axes | None, max_leaves: int | None) -> int:
        if max_leaves is not None:
            if max_leaves < 2:
                raise ValueError(f"max_leaves must be at least 2. Got {max_leaves} instead.")
            return max_leaves
        if ax is None:
            return _MAX_LEAVES
        return int(np.clip(axes_points(ax)[1] / _MIN_ROW_POINTS, 2, _MAX_LEAVES))

    def _row_names(self, layout: TreeLayout, ax: Axes | None, n_classes: int) -> list[str]:
        names = drawable(check_names(self.class_names, n_classes, what="class_names"))
        n_clusters = int(layout.clusters.max()) + 1
        heads = drawable(check_names(self.cluster_names, n_clusters, what="cluster_names"))
        if len(layout.ends) == n_classes:
            return [readable_name(names[end]) for end in layout.ends]
        max_length = 48 if ax is None else int(np.clip(axes_points(ax)[0] / 11, 12, 48))
        clusters = layout.clusters[layout.ends].tolist()
        return [
            group_name(
                heads[cluster] if cluster >= 0 else None,
                [names[code] for code in members],
                max_length,
            )
            for cluster, members in zip(clusters, layout.members, strict=True)
        ]

    def _draw(
        self,
        layout: TreeLayout,
        positions: NDArray[np.float64],
        names: list[str],
        colors: list[str] | None,
    ) -> None:
        ax, row_points = self.ax_, axes_points(self.ax_)[1] / len(names)
        self.leaves_ = layout.members
        self.branches_ = _branches.draw_branches(ax, layout, positions, colors)
        self.triangles_ = _branches.draw_triangles(ax, layout, positions, colors)
        _branches.draw_names(ax, names, float(np.clip(0.78 * row_points, 4.0, 9.0)))

        self.cluster_bars_, self.cluster_texts_ = [], []
        if colors is not None:
            self.cluster_bars_ = _branches.draw_cluster_bars(ax, layout, colors)
        if colors is not None and self.triangles_ is None:
            size = float(np.clip(0.65 * row_points, 4.0, 8.0))
            self.cluster_texts_ = _branches.draw_cluster_numbers(ax, layout, positions, size)
        self.cut_height_, self.cut_line_ = None, None
        between = cut_between(layout)
        if between is not None:
            self.cut_height_ = float(layout.heights[between].mean())
            self.cut_line_ = _branches.draw_cut(ax, float(positions[between].mean()))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        max_leaves: int | None = None,
        height_scale: str = "auto",
        palette: Sequence[str] | None = None,
        collapse_below: float | None = None,
    ) -> ClassDendrogramDisplay:
        """Draw the dendrogram of a fitted classifier or partitioner.

        The tree is the linkage that the clusters were cut from. Where they were not cut from
        one, it is the average linkage of the classifier's confusion that joins the classes of
        each cluster first; where there is no confusion either, the tree of the partition.

        Parameters
        ----------
        estimator : estimator instance
            Fitted :class:`~hierlearn.HierarchicalDecompositionClassifier`,
            :class:`~hierlearn.ConfusionLinkagePartitioner` or another estimator with a
            ``partition_`` and one of the above; a Pipeline or a search that ends in one.
        class_names : array-like of shape (K,), default=None
            Names of the classes, in the order of ``classes_``. None for ``classes_``.
        cluster_names : array-like of shape (n_clusters,), default=None
            Names of the clusters. None for those of the partition, or for their numbers.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        max_leaves : int, default=None
            As in :meth:`plot`.
        height_scale : {"auto", "linear", "log"}, default="auto"
            As in :meth:`plot`.
        palette : sequence of colours, default=None
            As in :meth:`plot`.
        collapse_below : float, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ClassDendrogramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no tree and no confusion to make one from.

        Examples
        --------
        >>> import numpy as np
        >>> from hierlearn import ConfusionLinkagePartitioner
        >>> from hierlearn.display import ClassDendrogramDisplay
        >>> confusion = np.array([[8, 0, 2], [0, 9, 1], [3, 0, 7]])
        >>> partitioner = ConfusionLinkagePartitioner(n_clusters=2).fit(confusion)
        >>> display = ClassDendrogramDisplay.from_estimator(partitioner)
        >>> [leaf.tolist() for leaf in display.leaves_]
        [[1], [0], [2]]
        """
        require_matplotlib("ClassDendrogramDisplay.from_estimator")
        partition = partition_of(estimator)
        tree = tree_of(estimator, partition)
        display = cls._of_partition(tree, partition, class_names, cluster_names)
        return display.plot(
            ax=ax,
            max_leaves=max_leaves,
            height_scale=height_scale,
            palette=palette,
            collapse_below=collapse_below,
        )

    @classmethod
    def from_confusion(
        cls,
        confusion: Any,
        *,
        partition: LabelPartition | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        max_leaves: int | None = None,
        height_scale: str = "auto",
        palette: Sequence[str] | None = None,
        collapse_below: float | None = None,
    ) -> ClassDendrogramDisplay:
        """Draw the dendrogram of a confusion matrix.

        Parameters
        ----------
        confusion : {array-like, sparse} of shape (K, K)
            Confusion matrix, row = true class; need not be normalised.
        partition : LabelPartition, default=None
            Clusters to show; the classes of each are joined before clusters are. None for
            those of a :class:`~hierlearn.ConfusionLinkagePartitioner` as it comes.
        class_names : array-like of shape (K,), default=None
            Names of the classes. None for the partition's classes, or their codes.
        cluster_names : array-like of shape (n_clusters,), default=None
            Names of the clusters. None for those of the partition, or for their numbers.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        max_leaves : int, default=None
            As in :meth:`plot`.
        height_scale : {"auto", "linear", "log"}, default="auto"
            As in :meth:`plot`.
        palette : sequence of colours, default=None
            As in :meth:`plot`.
        collapse_below : float, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ClassDendrogramDisplay
            The display, drawn.
        """
        require_matplotlib("ClassDendrogramDisplay.from_confusion")
        if partition is None:
            partitioner = ConfusionLinkagePartitioner().fit(confusion)
            partition, tree = partitioner.partition_, partitioner.linkage_
        else:
            tree = partition_linkage(partition.labels, confusion)
        display = cls._of_partition(tree, partition, class_names, cluster_names)
        return display.plot(
            ax=ax,
            max_leaves=max_leaves,
            height_scale=height_scale,
            palette=palette,
            collapse_below=collapse_below,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        partition: LabelPartition | None = None,
        sample_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        max_leaves: int | None = None,
        height_scale: str = "auto",
        palette: Sequence[str] | None = None,
        collapse_below: float | None = None,
    ) -> ClassDendrogramDisplay:
        """Draw the dendrogram of the confusion of true and predicted labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_pred : array-like of shape (n_samples,)
            Predicted labels.
        partition : LabelPartition, default=None
            As in :meth:`from_confusion`, over all labels that occur.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (K,), default=None
            Names of the classes, in the order of the partition's classes, or of the sorted
            labels. None for the labels themselves.
        cluster_names : array-like of shape (n_clusters,), default=None
            Names of the clusters. None for those of the partition, or for their numbers.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        max_leaves : int, default=None
            As in :meth:`plot`.
        height_scale : {"auto", "linear", "log"}, default="auto"
            As in :meth:`plot`.
        palette : sequence of colours, default=None
            As in :meth:`plot`.
        collapse_below : float, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ClassDendrogramDisplay
            The display, drawn.

        Raises
        ------
        PartitionError
            If a label is not among the partition's classes.
        """
        require_matplotlib("ClassDendrogramDisplay.from_predictions")
        if partition is None:
            labels = unique_labels(y_true, y_pred)
            confusion = confusion_matrix(y_true, y_pred, sample_weight=sample_weight)
        else:
            labels = partition.classes
            confusion = confusion_from_labels(partition, y_true, y_pred, sample_weight)
        return cls.from_confusion(
            confusion,
            partition=partition,
            class_names=labels if class_names is None else class_names,
            cluster_names=cluster_names,
            ax=ax,
            max_leaves=max_leaves,
            height_scale=height_scale,
            palette=palette,
            collapse_below=collapse_below,
        )

    @classmethod
    def _of_partition(
        cls,
        tree: ArrayLike | ClassTree,
        partition: LabelPartition,
        class_names: ArrayLike | None,
        cluster_names: ArrayLike | None,
    ) -> ClassDendrogramDisplay:
        return cls(
            tree,
            class_names=partition.classes if class_names is None else class_names,
            cluster_labels=partition.labels,
            cluster_names=partition.names if cluster_names is None else cluster_names,
        )
