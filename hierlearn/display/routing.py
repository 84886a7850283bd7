"""Where samples go: which clusters are asked about the samples of a class, or of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hierlearn._names import group_name, readable_name
from hierlearn.display import _bars
from hierlearn.display._labels import check_names, cluster_number
from hierlearn.display._sources import check_labels_known, holder_of, partition_of
from hierlearn.display._style import (
    INK,
    axes_of,
    axes_points,
    drawable,
    plain_text,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import LabelPartition

_MAX_ROWS, _MAX_COLUMNS = 50, 60
_MIN_ROW_POINTS, _MIN_COLUMN_POINTS = 7.0, 8.0
_MAX_VALUES = 16
_OUTLINE = "#D55E00"


class RoutingDisplay:
    """How much of the samples of every cluster, or of chosen classes, goes to which cluster.

    A row is a true cluster (or a class), a column a cluster that is asked. The clusters that hold
    the true class are outlined: what is dark outside them is led astray. With many rows those that
    are led astray most are shown, with many columns the ones asked most, and the rest as one.

    Parameters
    ----------
    flow : array-like of shape (n_classes, n_clusters)
        What the samples of each class give to each cluster, on average: shares of them that visit
        it, or its mean weight in their posterior. Rows of NaN are classes without samples.
    partition : LabelPartition
        Clusters of the classes.
    class_weight : array-like of shape (n_classes,), default=None
        Samples of each class, by which rows of clusters are averaged. None counts all alike.
    class_names : array-like of shape (n_classes,), default=None
        Names of the classes. None for ``partition.classes``.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names of the clusters. None for those of the partition, or for their numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the matrix.
    figure_ : matplotlib Figure
        Figure containing it.
    rows_ : ndarray of int
        Clusters, or classes, of the rows.
    columns_ : ndarray of int
        Clusters of the columns, without the one of the rest.
    shares_ : ndarray of shape (n_rows, n_columns)
        What is drawn.
    home_ : ndarray of shape (n_rows,)
        What goes to the clusters that hold the true class.
    im_ : matplotlib AxesImage
        The image.

    See Also
    --------
    HierarchicalDecompositionClassifier.decision_path : Which clusters every row visits.

    Examples
    --------
    >>> from hierlearn.display import RoutingDisplay
    >>> from hierlearn.partition import LabelPartition
    >>> partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    >>> visits = [[1, 0], [1, 0], [0, 1], [0, 1]]
    >>> display = RoutingDisplay.from_predictions(["a", "b", "b", "c"], visits, partition)
    >>> display.shares_.round(2)
    array([[0.67, 0.33],
           [0.  , 1.  ]])
    """

    def __init__(
        self,
        flow: ArrayLike,
        partition: LabelPartition,
        *,
        class_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
    ) -> None:
        self.flow = flow
        self.partition = partition
        self.class_weight = class_weight
        self.class_names = class_names
        self.cluster_names = cluster_names

    def plot(
        self,
        *,
        ax: Axes | None = None,
        cluster: int | str | None = None,
        classes: Sequence[Any] | None = None,
        max_rows: int | None = None,
        cmap: Any = "Blues",
    ) -> RoutingDisplay:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None for a new figure.
        cluster : int or str, default=None
            Number or name of a cluster: rows are its classes.
        classes : sequence of labels, default=None
            Rows are these classes. None, with no ``cluster`` either, for a row a cluster.
        max_rows : int, default=None
            Rows at most, those led astray most. None for 50, or for as many as can be read on the
            ``ax`` given.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours of the cells.

        Returns
        -------
        display : RoutingDisplay
            The display itself, with the attributes that end in an underscore.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        ValueError
            If the flow does not fit the partition, both ``cluster`` and ``classes`` are given, or
            there is no sample of what is asked for.
        """
        require_matplotlib("RoutingDisplay.plot")
        flow, weight = self._check()
        limit = _bars.row_limit(ax, max_rows, _MAX_ROWS, _MIN_ROW_POINTS, "max_rows")
        rows, by_class = self._asked(cluster, classes)
        shares, holds = self._by_class(flow, rows) if by_class else self._by_cluster(flow, weight)
        seen = np.isfinite(shares).all(axis=1)
        if not seen.any():
            raise ValueError("There must be samples of the classes asked for. Got none instead.")
        rows, shares, holds = rows[seen], shares[seen], holds[seen]
        home = np.where(holds, shares, 0.0).sum(axis=1)
        kept = np.sort(np.argsort(home, kind="stable")[:limit])
        self.rows_, self.home_, self._n_rows = rows[kept], home[kept], len(rows)
        self._draw(ax, shares[kept], holds[kept], by_class, cmap)
        return self

    def _check(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        expected = (self.partition.n_classes, self.partition.n_clusters)
        flow = np.asarray(self.flow, dtype=np.float64)
        if flow.shape != expected:
            raise ValueError(
                f"flow must have a row a class and a column a cluster, {expected}. Got shape "
                f"{flow.shape} instead."
            )
        if self.class_weight is None:
            return flow, np.ones(expected[0])
        weight = np.asarray(self.class_weight, dtype=np.float64)
        if weight.shape != expected[:1]:
            raise ValueError(
                f"class_weight must have {expected[0]} entries. Got shape {weight.shape} instead."
            )
        return flow, weight

    def _asked(self, cluster: Any, classes: Any) -> tuple[NDArray[np.intp], bool]:
        """Return the rows asked for, and whether they are classes."""
        partition = self.partition
        if cluster is not None and classes is not None:
            raise ValueError("cluster and classes must not be given both. Got both instead.")
        if cluster is not None:
            return partition.primary_members(cluster_number(cluster, self._heads())), True
        if classes is not None:
            check_labels_known(partition, classes=classes)
            places = {label: code for code, label in enumerate(partition.classes.tolist())}
            labels = np.asarray(classes).tolist()
            return np.array([places[label] for label in labels], dtype=np.intp), True
        return np.arange(partition.n_clusters), False

    def _by_class(self, flow: Any, rows: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return flow[rows], self.partition.membership[rows].toarray()

    def _by_cluster(self, flow: Any, weight: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        labels, n_clusters = self.partition.labels, self.partition.n_clusters
        weight = np.where(np.isfinite(flow).all(axis=1), weight, 0.0)
        sums = np.zeros((n_clusters, n_clusters))
        np.add.at(sums, labels, np.nan_to_num(flow) * weight[:, None])
        totals = np.bincount(labels, weights=weight, minlength=n_clusters)[:, None]
        undefined = np.full_like(sums, np.nan)
        shares = np.divide(sums, totals, out=undefined, where=totals > 0)
        return shares, np.eye(n_clusters, dtype=bool)

    def _draw(self, ax: Any, shares: Any, holds: Any, by_class: bool, cmap: Any) -> None:
        from matplotlib.colors import PowerNorm

        n_columns = self.partition.n_clusters
        limit = _MAX_COLUMNS
        if ax is not None:
            limit = int(np.clip(axes_points(ax)[0] / _MIN_COLUMN_POINTS, 2, _MAX_COLUMNS))
        self.columns_ = np.arange(n_columns)
        if n_columns > limit:  # one column is that of the rest
            asked = shares.sum(axis=0) + holds.any(axis=0) * len(shares)
            self.columns_ = np.sort(np.argsort(-asked, kind="stable")[: limit - 1])
        rest = np.delete(shares, self.columns_, axis=1).sum(axis=1, keepdims=True)
        others = n_columns - len(self.columns_)
        self.shares_ = np.hstack([shares[:, self.columns_], *([rest] if others else [])])
        names, columns = self._names(by_class, others, ax)
        size = (2.8 + 0.24 * len(columns), 1.5 + 0.23 * len(names))
        self.figure_, self.ax_ = axes_of(ax, max(size[0], 5.0), max(size[1], 2.4))
        scale = PowerNorm(0.5, 0.0, 1.0)  # what is led astray is rare, and must show
        self.im_ = self.ax_.imshow(self.shares_, cmap=cmap, norm=scale, aspect="auto")
        self._outline(holds[:, self.columns_])
        self._write_values()
        self._finish(names, columns, by_class)

    def _heads(self) -> list[str]:
        heads = self.partition.names if self.cluster_names is None else self.cluster_names
        return check_names(heads, self.partition.n_clusters, what="cluster_names")

    def _names(self, by_class: bool, others: int, ax: Any) -> tuple[list[str], list[str]]:
        """Return the names of the rows and of the columns."""
        partition = self.partition
        given = partition.classes if self.class_names is None else self.class_names
        names = drawable(check_names(given, partition.n_classes, what="class_names"))
        heads = drawable(self._heads())
        columns = [readable_name(heads[cluster], 14) for cluster in self.columns_]
        columns += [f"{others} others"] if others else []
        if by_class:
            return [readable_name(names[code]) for code in self.rows_], columns
        room = 34 if ax is None else int(np.clip(axes_points(ax)[0] / 12, 12, 34))
        members = [partition.primary_members(int(cluster)) for cluster in self.rows_]
        rows = [
            group_name(heads[cluster], [names[code] for code in codes], room)
            for cluster, codes in zip(self.rows_, members, strict=True)
        ]
        return rows, columns

    def _outline(self, holds: NDArray[np.bool_]) -> None:
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Rectangle

        cells = [
            Rectangle((column - 0.5, row - 0.5), 1, 1)
            for row, column in np.argwhere(holds).tolist()
        ]
        outlines = PatchCollection(cells, facecolors="none", edgecolors=_OUTLINE, linewidths=1.0)
        self.ax_.add_collection(outlines, autolim=False)

    def _write_values(self) -> None:
        if max(self.shares_.shape) > _MAX_VALUES:
            return
        for (row, column), share in np.ndenumerate(self.shares_):
            text = f"{100 * share:.0f}"
            if text != "0":
                color = "white" if share > 0.3 else INK
                self.ax_.text(column, row, text, ha="center", va="center", fontsize=8, color=color)

    def _finish(self, names: list[str], columns: list[str], by_class: bool) -> None:
        from matplotlib.ticker import PercentFormatter

        ax = self.ax_
        height, width = axes_points(ax)[1] / len(names), axes_points(ax)[0] / len(columns)
        rows = {"fontsize": float(np.clip(0.75 * height, 4.0, 9.0)), **plain_text()}
        ax.set_yticks(np.arange(len(names)), names, color=INK, **rows)
        upright = max(map(len, columns)) * 5.5 < width
        across = {"fontsize": float(np.clip(0.75 * width, 4.0, 9.0)), **plain_text()}
        turned = 0.0 if upright else 90.0
        ax.set_xticks(np.arange(len(columns)), columns, rotation=turned, color=INK, **across)
        ax.tick_params(length=0)
        ax.set_xlabel("Cluster asked", fontsize=10, color=INK)
        ax.set_ylabel("True class" if by_class else "True cluster", fontsize=10, color=INK)
        title = (
            f"{100 * self.home_.mean():.0f}% goes to clusters that\nhold the true class (outlined)"
        )
        if len(self.rows_) < self._n_rows:
            title += f"; the {len(self.rows_)} of {self._n_rows} rows led astray most"
        ax.set_title(title, loc="left", fontsize=10, color=INK)
        bar = ax.figure.colorbar(self.im_, ax=ax, shrink=0.5, pad=0.02)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        bar.ax.tick_params(labelsize=8, labelcolor=INK)
        bar.outline.set_visible(False)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        kind: str = "auto",
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        cluster: int | str | None = None,
        classes: Sequence[Any] | None = None,
        max_rows: int | None = None,
        cmap: Any = "Blues",
    ) -> RoutingDisplay:
        """Draw where a fitted hierarchy, or a network with heads, sends samples.

        Parameters
        ----------
        estimator : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
            Fitted. Of several rounds of heads, the first counts.
        X : array-like of shape (n_samples, n_features)
            Samples, best such as it has not seen.
        y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
            Their true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        kind : {"auto", "visits", "weight"}, default="auto"
            ``"visits"`` is the share of samples for which a cluster is evaluated, ``"weight"`` the
            cluster's mean weight in the posterior of a hierarchy. ``"auto"`` is the weight where
            there is one.
        class_names : array-like of shape (n_classes,), default=None
            As in the class.
        cluster_names : array-like of shape (n_clusters,), default=None
            As in the class.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        cluster : int or str, default=None
            As in :meth:`plot`.
        classes : sequence of labels, default=None
            As in :meth:`plot`.
        max_rows : int, default=None
            As in :meth:`plot`.
        cmap : str or matplotlib Colormap, default="Blues"
            As in :meth:`plot`.

        Returns
        -------
        display : RoutingDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or asks for weights that there are not.
        """
        require_matplotlib("RoutingDisplay.from_estimator")
        partition = partition_of(estimator)
        visits = _visits(estimator, X, partition.n_clusters, kind)
        display = cls._of(partition, y, visits, sample_weight, class_names, cluster_names)
        return display.plot(ax=ax, cluster=cluster, classes=classes, max_rows=max_rows, cmap=cmap)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        visits: Any,
        partition: LabelPartition,
        *,
        sample_weight: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        cluster_names: ArrayLike | None = None,
        ax: Axes | None = None,
        cluster: int | str | None = None,
        classes: Sequence[Any] | None = None,
        max_rows: int | None = None,
        cmap: Any = "Blues",
    ) -> RoutingDisplay:
        """Draw where samples went.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
            True labels.
        visits : {array-like, sparse} of shape (n_samples, n_clusters)
            Visits, as ``decision_path`` gives them, or weights of clusters.
        partition : LabelPartition
            Clusters of the classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        class_names : array-like of shape (n_classes,), default=None
            As in the class.
        cluster_names : array-like of shape (n_clusters,), default=None
            As in the class.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        cluster : int or str, default=None
            As in :meth:`plot`.
        classes : sequence of labels, default=None
            As in :meth:`plot`.
        max_rows : int, default=None
            As in :meth:`plot`.
        cmap : str or matplotlib Colormap, default="Blues"
            As in :meth:`plot`.

        Returns
        -------
        display : RoutingDisplay
            The display, drawn.

        Raises
        ------
        PartitionError
            If a label is not among the partition's classes.
        """
        require_matplotlib("RoutingDisplay.from_predictions")
        display = cls._of(partition, y_true, visits, sample_weight, class_names, cluster_names)
        return display.plot(ax=ax, cluster=cluster, classes=classes, max_rows=max_rows, cmap=cmap)

    @classmethod
    def _of(
        cls,
        partition: LabelPartition,
        y: Any,
        visits: Any,
        sample_weight: Any,
        class_names: Any,
        cluster_names: Any,
    ) -> RoutingDisplay:
        visits = sparse.csr_array(visits, dtype=np.float64)
        truth = _indicator(partition, y)
        if len({truth.shape[0], visits.shape[0]}) > 1 or visits.shape[1] != partition.n_clusters:
            raise ValueError(
                "visits must have a row a sample and a column a cluster, "
                f"{(truth.shape[0], partition.n_clusters)}. Got shape {visits.shape} instead."
            )
        if sample_weight is not None:
            truth = sparse.diags_array(np.asarray(sample_weight, dtype=np.float64)) @ truth
        counts = np.asarray(truth.sum(axis=0)).ravel()
        sums, undefined = (
            (truth.T @ visits).toarray(),
            np.full((len(counts), visits.shape[1]), np.nan),
        )
        flow = np.divide(sums, counts[:, None], out=undefined, where=counts[:, None] > 0)
        names = {"class_names": class_names, "cluster_names": cluster_names}
        return cls(flow, partition, class_weight=counts, **names)


def _visits(estimator: Any, X: Any, n_clusters: int, kind: str) -> Any:
    """Return visits, or weights, of every row and cluster."""
    if kind not in ("auto", "visits", "weight"):
        raise ValueError(f"kind must be 'auto', 'visits' or 'weight'. Got {kind!r} instead.")
    estimator, X = holder_of(estimator, X)
    weighs = hasattr(estimator, "fine_estimators_")
    if not hasattr(estimator, "decision_path") or (kind == "weight" and not weighs):
        raise ValueError(
            "estimator must send samples to clusters, and for kind='weight' be a hierarchy. Got "
            f"{type(estimator).__name__} and kind={kind!r} instead."
        )
    visits = estimator.decision_path(X)[:, :n_clusters]
    if kind == "visits" or not weighs:
        return visits
    weights = visits.toarray() * np.maximum(estimator.transform(X), np.finfo(float).tiny)
    return weights / weights.sum(axis=1, keepdims=True)


def _indicator(partition: LabelPartition, y: Any) -> sparse.csr_array:
    """Return which sample has which label, one or several."""
    if sparse.issparse(y) or np.ndim(y) == 2:
        return sparse.csr_array(y, dtype=np.float64)
    check_labels_known(partition, y=y)
    places = {label: code for code, label in enumerate(partition.classes.tolist())}
    codes = [places[label] for label in np.asarray(y).tolist()]
    shape = (len(codes), partition.n_classes)
    return sparse.csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape)
