"""The confusion matrix in the order of a partition: clusters are blocks on the diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierlearn._names import readable_name
from hierlearn.display import _matrix
from hierlearn.display._labels import check_names, cluster_number
from hierlearn.display._order import as_dense, check_confusion, leaf_order, row_rates, share_inside
from hierlearn.display._sources import (
    check_pair,
    confusion_from_labels,
    confusion_of,
    linkage_of,
    partition_of,
)
from hierlearn.display._style import (
    INK,
    axes_of,
    axes_points,
    drawable,
    plain_text,
    require_matplotlib,
)
from hierlearn.display._ticks import Ticks, class_ticks, cluster_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import ClassTree, LabelPartition

_MAX_CLASS_NAMES = 100
_MAX_VALUES = 15
_MIN_CELL_POINTS = 5.5
_COLOR_SCALES = ("sqrt", "log", "linear")
_OUTLINE = "#D55E00"


class ConfusionOrderDisplay:
    """Confusion matrix with the classes of each cluster side by side.

    Rows are true classes, columns predicted ones. Each cluster is an outlined block on the
    diagonal; in it, and among the clusters, what is confused often stands close. The diagonal
    is pale grey and does not count for the colours, so that they show the errors. A good
    partition has its dark cells inside the blocks; the title says what share of the confusion
    is there.

    Up to 100 classes are named one by one, more by their clusters; with more than 800, a cell
    of the picture shows the strongest confusion of several neighbouring classes.

    Parameters
    ----------
    confusion : {array-like, sparse} of shape (K, K)
        Confusion matrix, row = true class, in the order of ``partition.classes``.
    partition : LabelPartition
        Clusters of the K classes. What overlap adds is outlined with dots: the row of a class,
        across the columns of a further cluster that holds it.
    linkage : ndarray of shape (K - 1, 4) or ClassTree, default=None
        Dendrogram that orders the classes. None for the average linkage of the confusion.
    class_names : array-like of shape (K,), default=None
        Names of the classes. None for ``partition.classes``.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names of the clusters. None for those of the partition, or for their numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the matrix.
    figure_ : matplotlib Figure
        Figure containing the matrix.
    order_ : ndarray of shape (K,), dtype=intp
        Class codes from first to last row; those of one cluster where zoomed in on it.
    cluster_ : int or None
        Number of the cluster zoomed in on.
    im_ : matplotlib AxesImage
        Image of the matrix, its diagonal masked.
    text_ : list of matplotlib Text
        Values written into the cells; empty with many classes.
    blocks_ : list of matplotlib Rectangle
        Outlines of the clusters, first to last.
    overlap_ : matplotlib PatchCollection or None
        Outlines of what overlap adds, None without overlap.
    colorbar_ : matplotlib Colorbar or None
        The colour bar.
    share_inside_ : float
        Share of the off-diagonal confusion, every true class counting the same, that lies
        inside the clusters (with overlap); NaN where nothing is confused. Zoomed in on a cluster,
        that of its own classes.

    See Also
    --------
    ClassDendrogramDisplay : The tree behind the order.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.display import ConfusionOrderDisplay
    >>> from hierlearn.partition import LabelPartition
    >>> confusion = np.array([[8, 0, 2, 0], [0, 9, 0, 1], [3, 0, 7, 0], [0, 1, 1, 8]])
    >>> partition = LabelPartition(["0", "1", "O", "l"], [0, 1, 0, 1])
    >>> display = ConfusionOrderDisplay(confusion, partition).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['0', 'O', '1', 'l']
    >>> round(display.share_inside_, 3)
    0.875
    """

    def __init__(
        self,
        confusion: Any,
        partition: LabelPartition,
        *,
        linkage: ArrayLike | ClassTree | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
    ) -> None:
        self.confusion = confusion
        self.partition = partition
        self.linkage = linkage
        self.class_names = class_names
        self.cluster_names = cluster_names

    def plot(
        self,
        *,
        ax: Axes | None = None,
        normalize: bool = True,
        color_scale: str = "sqrt",
        cmap: Any = "Blues",
        colorbar: bool = True,
        max_class_names: int | None = None,
        cluster: int | str | None = None,
    ) -> ConfusionOrderDisplay:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None for a new figure, as large as the number of classes asks for.
        normalize : bool, default=True
            Divide each row by its sum, so that classes with few samples show as well.
        color_scale : {"sqrt", "log", "linear"}, default="sqrt"
            Scale of the colours; "sqrt" and "log" bring out rare confusions.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours of the cells.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        max_class_names : int, default=None
            With more classes than this, the ticks name the clusters. None for 100, or for as
            many as can be read on the ``ax`` given.
        cluster : int or str, default=None
            Number or name of one cluster to zoom in on: only its classes are drawn, its own ones
            first, then those that overlap adds. Shares stay those of all predictions.

        Returns
        -------
        display : ConfusionOrderDisplay
            The display itself, with the attributes that end in an underscore.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        ValueError
            If confusion or names do not fit the partition, or ``color_scale`` or ``cluster`` is
            unknown.
        """
        require_matplotlib("ConfusionOrderDisplay.plot")
        if color_scale not in _COLOR_SCALES:
            raise ValueError(
                f"color_scale must be one of {_COLOR_SCALES}. Got {color_scale!r} instead."
            )
        confusion = check_confusion(self.confusion, self.partition.n_classes)
        self.order_ = leaf_order(self.partition, self.linkage, confusion)
        self.cluster_ = None
        if cluster is not None:
            self.cluster_ = cluster_number(cluster, self._heads())
            self.order_ = self._zoomed(self.cluster_)
        self.share_inside_ = share_inside(confusion, self.partition, self.cluster_)
        values = row_rates(confusion) if normalize else as_dense(confusion)
        values = values[np.ix_(self.order_, self.order_)]

        ticks = self._ticks(ax, max_class_names)
        self.figure_, self.ax_ = axes_of(ax, *ticks.figure_inches)
        self.im_ = _matrix.draw_cells(self.ax_, values, scale=color_scale, cmap=cmap)
        self.text_ = []
        if len(values) <= _MAX_VALUES:
            self.text_ = _matrix.draw_values(self.ax_, self.im_, values, percent=normalize)
        self._draw_clusters()
        ticks.draw(self.ax_)
        self._finish(ticks, normalize, colorbar)
        return self

    def _heads(self) -> list[str]:
        """Return the names of the clusters: those given, the partition's, or their numbers."""
        heads = self.partition.names if self.cluster_names is None else self.cluster_names
        return check_names(heads, self.partition.n_clusters, what="cluster_names")

    def _zoomed(self, cluster: int) -> NDArray[np.intp]:
        """Return the classes of one cluster: its own in drawing order, then its guests."""
        own = self.partition.labels[self.order_] == cluster
        guest = np.isin(self.order_, self.partition.members(cluster)) & ~own
        return np.concatenate([self.order_[own], self.order_[guest]])

    def _ticks(self, ax: Axes | None, max_class_names: int | None) -> Ticks:
        """Decide what the ticks name, classes or clusters, and in how large a font."""
        partition = self.partition
        given = partition.classes if self.class_names is None else self.class_names
        names = drawable(check_names(given, partition.n_classes, what="class_names"))
        heads = drawable(self._heads())
        # Labels and colour bar will take their part of the axes given.
        room = None if ax is None else 0.75 * min(axes_points(ax))
        limit = _MAX_CLASS_NAMES if room is None else int(room / _MIN_CELL_POINTS)
        if len(self.order_) <= (limit if max_class_names is None else max_class_names):
            return class_ticks([names[code] for code in self.order_], room)
        clusters, sizes = self._drawn_clusters()
        ordered = np.split(self.order_, np.cumsum(sizes)[:-1])
        return cluster_ticks(
            [heads[cluster] for cluster in clusters],
            [[names[code] for code in members] for members in ordered],
            room,
        )

    def _draw_clusters(self) -> None:
        clusters, sizes = self._drawn_clusters()
        if self.cluster_ is not None:  # the guests' own clusters are not drawn
            clusters, sizes = clusters[:1], sizes[:1]
        self.blocks_ = _matrix.draw_blocks(self.ax_, sizes, _OUTLINE)
        starts = dict(zip(clusters, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        labels, membership = self.partition.labels, self.partition.membership
        strips = [
            (row, starts[cluster], sizes[clusters.index(cluster)])
            for row, code in enumerate(self.order_.tolist())
            for cluster in membership[[code]].indices.tolist()
            if cluster != labels[code] and cluster in starts
        ]
        self.overlap_ = _matrix.draw_overlap(self.ax_, strips, _OUTLINE)

    def _drawn_clusters(self) -> tuple[list[int], list[int]]:
        """Numbers of the clusters in drawing order, and how many classes each has."""
        labels = self.partition.labels[self.order_]
        clusters = list(dict.fromkeys(labels.tolist()))
        return clusters, np.bincount(labels)[clusters].tolist()

    def _finish(self, ticks: Ticks, normalize: bool, colorbar: bool) -> None:
        ax = self.ax_
        ax.set_title(self._title(), loc="left", fontsize=10, color=INK, **plain_text())
        grouping = "" if ticks.centres is None else ", by cluster"
        ax.set_xlabel(f"Predicted class{grouping}", fontsize=10, color=INK)
        ax.set_ylabel(f"True class{grouping}", fontsize=10, color=INK)
        _matrix.frame(ax)
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = _matrix.draw_colorbar(ax, self.im_, percent=normalize)

    def _title(self) -> str:
        partition = self.partition
        title = f"{partition.n_classes} classes in {partition.n_clusters} clusters"
        if self.cluster_ is not None:
            (name,) = drawable([self._heads()[self.cluster_]])
            title = f"Cluster {readable_name(name)}: {len(self.order_)} of {title}"
        if np.isfinite(self.share_inside_):
            of, inside = ("the", "them") if self.cluster_ is None else ("their", "it")
            title += f"\n{100 * self.share_inside_:.0f}% of {of} confusion is inside {inside}"
            title += "" if self.overlap_ is None else " or the overlap (dotted)"
        return title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        normalize: bool = True,
        color_scale: str = "sqrt",
        cmap: Any = "Blues",
        colorbar: bool = True,
        max_class_names: int | None = None,
        cluster: int | str | None = None,
    ) -> ConfusionOrderDisplay:
        """Draw the confusion of a fitted hierarchical classifier.

        Parameters
        ----------
        estimator : estimator instance
            Fitted :class:`~hierlearn.HierarchicalDecompositionClassifier`, or another
            classifier with a ``partition_`` and, without X and y, a ``confusion_``; a Pipeline or
            a search that ends in one.
        X : array-like of shape (n_samples, n_features), default=None
            Samples to predict. None to draw the held-out confusion of the base classifier,
            which the partition was learnt from.
        y : array-like of shape (n_samples,), default=None
            True labels of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (K,), default=None
            Names of the classes, in the order of ``classes_``. None for ``classes_``.
        cluster_names : array-like of shape (n_clusters,), default=None
            Names of the clusters. None for those of the partition, or for their numbers.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        normalize : bool, default=True
            As in :meth:`plot`.
        color_scale : {"sqrt", "log", "linear"}, default="sqrt"
            As in :meth:`plot`.
        cmap : str or matplotlib Colormap, default="Blues"
            As in :meth:`plot`.
        colorbar : bool, default=True
            As in :meth:`plot`.
        max_class_names : int, default=None
            As in :meth:`plot`.
        cluster : int or str, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ConfusionOrderDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If only one of X and y is given, or neither and the estimator has no confusion.
        """
        require_matplotlib("ConfusionOrderDisplay.from_estimator")
        partition = partition_of(estimator)
        if check_pair(X, y):
            confusion = confusion_from_labels(partition, y, estimator.predict(X), sample_weight)
        else:
            confusion = confusion_of(estimator)
        display = cls(
            confusion,
            partition,
            linkage=linkage_of(estimator),
            class_names=class_names,
            cluster_names=cluster_names,
        )
        return display.plot(
            ax=ax,
            normalize=normalize,
            color_scale=color_scale,
            cmap=cmap,
            colorbar=colorbar,
            max_class_names=max_class_names,
            cluster=cluster,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        partition: LabelPartition,
        *,
        linkage: ArrayLike | ClassTree | None = None,
        sample_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        normalize: bool = True,
        color_scale: str = "sqrt",
        cmap: Any = "Blues",
        colorbar: bool = True,
        max_class_names: int | None = None,
        cluster: int | str | None = None,
    ) -> ConfusionOrderDisplay:
        """Draw the confusion of true and predicted labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_pred : array-like of shape (n_samples,)
            Predicted labels.
        partition : LabelPartition
            Clusters of the classes; every label is one of its classes.
        linkage : ndarray of shape (K - 1, 4) or ClassTree, default=None
            Dendrogram that orders the classes. None for the average linkage of the confusion.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (K,), default=None
            Names of the classes, in the order of ``partition.classes``.
        cluster_names : array-like of shape (n_clusters,), default=None
            Names of the clusters. None for those of the partition, or for their numbers.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        normalize : bool, default=True
            As in :meth:`plot`.
        color_scale : {"sqrt", "log", "linear"}, default="sqrt"
            As in :meth:`plot`.
        cmap : str or matplotlib Colormap, default="Blues"
            As in :meth:`plot`.
        colorbar : bool, default=True
            As in :meth:`plot`.
        max_class_names : int, default=None
            As in :meth:`plot`.
        cluster : int or str, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ConfusionOrderDisplay
            The display, drawn.

        Raises
        ------
        PartitionError
            If a label is not among the partition's classes.

        Examples
        --------
        >>> from hierlearn.display import ConfusionOrderDisplay
        >>> from hierlearn.partition import LabelPartition
        >>> partition = LabelPartition.from_dict({"vowel": ["a", "e"], "other": ["b", "c"]})
        >>> display = ConfusionOrderDisplay.from_predictions(
        ...     ["a", "a", "b", "c", "e"], ["a", "e", "b", "b", "e"], partition
        ... )
        >>> display.share_inside_
        1.0
        """
        require_matplotlib("ConfusionOrderDisplay.from_predictions")
        display = cls(
            confusion_from_labels(partition, y_true, y_pred, sample_weight),
            partition,
            linkage=linkage,
            class_names=class_names,
            cluster_names=cluster_names,
        )
        return display.plot(
            ax=ax,
            normalize=normalize,
            color_scale=color_scale,
            cmap=cmap,
            colorbar=colorbar,
            max_class_names=max_class_names,
            cluster=cluster,
        )
