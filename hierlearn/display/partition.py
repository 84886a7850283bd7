"""A partition at a glance: how large its clusters are, how they overlap, what they keep inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierlearn._names import group_name
from hierlearn.display import _bars
from hierlearn.display._labels import check_names
from hierlearn.display._order import check_confusion
from hierlearn.display._sources import (
    check_pair,
    confusion_from_labels,
    holder_of,
    partition_of,
)
from hierlearn.display._style import (
    INK,
    axes_of,
    axes_points,
    cluster_colors,
    drawable,
    require_matplotlib,
)
from hierlearn.summary import cluster_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import LabelPartition
    from hierlearn.summary import ClusterFigures

_MAX_CLUSTERS = 50
_MIN_ROW_POINTS = 9.0


class PartitionDisplay:
    """Sizes of clusters, their overlap, and the confusion within and between them.

    A row is a cluster. Left: its classes, and paler those that overlap adds. Right: the share of
    its own classes' samples that is taken for another class of a cluster that holds the true one
    (in colour: within reach of the classifiers of clusters), and for a class elsewhere (grey: lost
    with the cluster). Clusters with most confusion within come first; without a confusion, the
    largest do.

    Parameters
    ----------
    partition : LabelPartition
        Clusters of K classes.
    confusion : {array-like, sparse} of shape (K, K), default=None
        Confusion matrix, row = true class; rows are normalised. None draws sizes only.
    class_names : array-like of shape (K,), default=None
        Names of the classes. None for ``partition.classes``.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names of the clusters. None for those of the partition, or for their numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that hold the two panels.
    figure_ : matplotlib Figure
        Figure containing them.
    axes_ : list of matplotlib Axes
        The panels: sizes and, with a confusion, shares.
    order_ : ndarray of shape (n_rows,), dtype=intp
        Numbers of the clusters drawn, top to bottom.
    figures_ : ClusterFigures or None
        Shares for every cluster: ``right``, ``within``, ``between``, ``flow``.
    bars_ : dict of str to matplotlib BarContainer
        By what they show: ``"classes"``, ``"overlap"``, ``"within"``, ``"between"``.

    See Also
    --------
    ConfusionOrderDisplay : The confusion itself, cluster by cluster.

    Examples
    --------
    >>> from hierlearn.display import PartitionDisplay
    >>> from hierlearn.partition import LabelPartition
    >>> partition = LabelPartition(["0", "1", "O", "l"], [0, 1, 0, 1])
    >>> confusion = [[8, 0, 2, 0], [0, 9, 0, 1], [3, 0, 7, 0], [0, 1, 1, 8]]
    >>> display = PartitionDisplay(partition, confusion).plot()
    >>> display.figures_.within.round(3), display.figures_.between.round(3)
    (array([0.25, 0.1 ]), array([0.  , 0.05]))
    """

    def __init__(
        self,
        partition: LabelPartition,
        confusion: Any = None,
        *,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
    ) -> None:
        self.partition = partition
        self.confusion = confusion
        self.class_names = class_names
        self.cluster_names = cluster_names

    def plot(self, *, ax: Axes | None = None, max_clusters: int | None = None) -> PartitionDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in, divided into two panels. None for a new figure, as high as the number
            of clusters asks for.
        max_clusters : int, default=None
            Clusters drawn at most, the first in the order above. None for 50, or for as many as
            can be read on the ``ax`` given.

        Returns
        -------
        display : PartitionDisplay
            The display itself, with the attributes that end in an underscore.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        ValueError
            If confusion or names do not fit the partition.
        """
        require_matplotlib("PartitionDisplay.plot")
        partition = self.partition
        self.figures_ = None
        if self.confusion is not None:
            confusion = check_confusion(self.confusion, partition.n_classes)
            self.figures_ = cluster_figures(partition, confusion)
        limit = _bars.row_limit(ax, max_clusters, _MAX_CLUSTERS, _MIN_ROW_POINTS, "max_clusters")
        self.order_ = _ranked(partition, self.figures_)[:limit]
        names = self._row_names(ax)
        height = 1.1 + 0.24 * len(names)
        self.figure_, self.ax_ = axes_of(ax, 9.0, max(height, 2.2))
        self.axes_ = _bars.panels(self.ax_, 1 if self.figures_ is None else 2)
        self._draw(names)
        self.ax_.set_title(self._title(), loc="left", fontsize=10, color=INK)
        return self

    def _row_names(self, ax: Axes | None) -> list[str]:
        partition = self.partition
        given = partition.classes if self.class_names is None else self.class_names
        names = drawable(check_names(given, partition.n_classes, what="class_names"))
        heads = partition.names if self.cluster_names is None else self.cluster_names
        heads = drawable(check_names(heads, partition.n_clusters, what="cluster_names"))
        room = 44 if ax is None else int(np.clip(axes_points(ax)[0] / 14, 12, 44))
        return [
            group_name(heads[cluster], [names[code] for code in self._telling(cluster)], room)
            for cluster in self.order_.tolist()
        ]

    def _telling(self, cluster: int) -> NDArray[np.int64]:
        """Return a cluster's own classes, the most confused ones first."""
        codes = self.partition.primary_members(cluster)
        if self.figures_ is None:
            return codes
        return codes[np.argsort(-self.figures_.confused[codes], kind="stable")]

    def _draw(self, names: list[str]) -> None:
        partition, order = self.partition, self.order_
        palette = cluster_colors(np.arange(partition.n_clusters), order)
        colors = [palette[cluster] for cluster in order.tolist()]
        own = partition.primary_sizes[order]
        more = partition.sizes[order] - own
        left = self.axes_[0]
        self.bars_ = _bars.draw_stacked(left, {"classes": own, "overlap": more}, colors)
        _bars.name_rows(left, names)
        _bars.write_ends(left, own + more, [_size(*pair) for pair in zip(own, more, strict=True)])
        left.locator_params(axis="x", integer=True)
        left.set_xlabel("Classes" + (", paler: by overlap" if more.any() else ""), fontsize=9)
        if self.figures_ is None:
            return
        right = self.axes_[1]
        shares = {"within": self.figures_.within[order], "between": self.figures_.between[order]}
        grey = {"between": _bars.ELSEWHERE}
        self.bars_ |= _bars.draw_stacked(right, shares, colors, fixed=grey)
        _bars.name_rows(right, [""] * len(names))
        _bars.percent_axis(right, "Confused: within clusters (colour),\nwith others (grey)")

    def _title(self) -> str:
        partition = self.partition
        title = f"{partition.n_classes} classes in {partition.n_clusters} clusters"
        left = partition.n_clusters - len(self.order_)
        if left:
            chosen = "largest" if self.figures_ is None else "most confused within"
            title += f"; the {len(self.order_)} {chosen}"
        if partition.is_overlapping:
            times = partition.membership.nnz / partition.n_classes
            title += f"\na class is in {times:.2f} clusters on average"
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
        max_clusters: int | None = None,
    ) -> PartitionDisplay:
        """Draw the partition of a fitted classifier or partitioner.

        Parameters
        ----------
        estimator : estimator instance
            Fitted, with a ``partition_``; a Pipeline or a search that ends in one.
        X : array-like of shape (n_samples, n_features), default=None
            Samples to predict. None for the held-out confusion that the estimator keeps; without
            that, sizes only.
        y : array-like of shape (n_samples,), default=None
            True labels of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (K,), default=None
            As in the class. None for ``classes_`` and the partition's names.
        cluster_names : array-like of shape (n_clusters,), default=None
            As in the class. None for ``classes_`` and the partition's names.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        max_clusters : int, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : PartitionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If only one of X and y is given.
        """
        require_matplotlib("PartitionDisplay.from_estimator")
        partition = partition_of(estimator)
        confusion = getattr(holder_of(estimator)[0], "confusion_", None)
        if check_pair(X, y):
            confusion = confusion_from_labels(partition, y, estimator.predict(X), sample_weight)
        display = cls(partition, confusion, class_names=class_names, cluster_names=cluster_names)
        return display.plot(ax=ax, max_clusters=max_clusters)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        partition: LabelPartition,
        *,
        sample_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        max_clusters: int | None = None,
    ) -> PartitionDisplay:
        """Draw a partition beside the confusion of true and predicted labels.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            True and predicted labels.
        partition : LabelPartition
            Clusters of the classes; every label is one of its classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (K,), default=None
            As in the class.
        cluster_names : array-like of shape (n_clusters,), default=None
            As in the class.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        max_clusters : int, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : PartitionDisplay
            The display, drawn.

        Raises
        ------
        PartitionError
            If a label is not among the partition's classes.
        """
        require_matplotlib("PartitionDisplay.from_predictions")
        confusion = confusion_from_labels(partition, y_true, y_pred, sample_weight)
        display = cls(partition, confusion, class_names=class_names, cluster_names=cluster_names)
        return display.plot(ax=ax, max_clusters=max_clusters)


def _ranked(partition: LabelPartition, figures: ClusterFigures | None) -> NDArray[np.intp]:
    weight = partition.sizes if figures is None else figures.within
    return np.argsort(-weight, kind="stable")


def _size(own: int, more: int) -> str:
    return f"{own} +{more}" if more else str(own)
