"""How a partition splits up the confusion it is held against. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..partition import LabelPartition


@dataclass(frozen=True, eq=False)
class ClusterFigures:
    """Where the samples of every cluster's classes end up, each class counting the same.

    Parameters
    ----------
    flow : ndarray of shape (n_clusters, n_clusters), dtype=float64
        Share of the samples of the row's classes that are taken for a class of the column's;
        a cluster's classes are its primary ones.
    right : ndarray of shape (n_clusters,), dtype=float64
        Share taken for their own class.
    within : ndarray of shape (n_clusters,), dtype=float64
        Share taken for another class of a cluster that holds the true one, overlap included: what
        the classifiers of clusters can set right.
    between : ndarray of shape (n_clusters,), dtype=float64
        Share taken for a class of another cluster.
    confused : ndarray of shape (n_classes,), dtype=float64
        Share of a class's samples, plus that of what is taken for it, confused within clusters.
    """

    flow: NDArray[np.float64]
    right: NDArray[np.float64]
    within: NDArray[np.float64]
    between: NDArray[np.float64]
    confused: NDArray[np.float64]


def cluster_figures(partition: LabelPartition, confusion: Any) -> ClusterFigures:
    """Split a confusion into what is right, within clusters and between them.

    Parameters
    ----------
    partition : LabelPartition
        Clusters of the classes.
    confusion : {ndarray, sparse} of shape (n_classes, n_classes)
        Row = true class; rows are normalised. Those of classes never seen stay zero.

    Returns
    -------
    ClusterFigures

    Examples
    --------
    >>> from hierlearn.partition import LabelPartition
    >>> from hierlearn.summary import cluster_figures
    >>> partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    >>> figures = cluster_figures(partition, [[6, 3, 1], [2, 8, 0], [0, 0, 10]])
    >>> figures.within.round(2), figures.between.round(2)
    (array([0.25, 0.  ]), array([0.05, 0.  ]))
    """
    rates = _row_rates(confusion)
    n_classes, n_clusters = partition.n_classes, partition.n_clusters
    ones, classes = np.ones(n_classes), np.arange(n_classes)
    primary = sparse.csr_array((ones, (classes, partition.labels)), (n_classes, n_clusters))
    towards = (rates @ primary).toarray()
    right = rates.diagonal()
    own = partition.membership.multiply(towards).sum(axis=1) - right
    seen = (towards.sum(axis=1) > 0).astype(np.float64)
    n_seen = np.maximum(primary.T @ seen, 1.0)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return (primary.T @ values) / n_seen

    within = np.maximum(own, 0.0)
    return ClusterFigures(
        flow=(primary.T @ towards) / n_seen[:, None],
        right=mean(right),
        within=mean(within),
        between=mean(np.maximum(seen - right - within, 0.0)),
        confused=within + _taken_for(rates, partition.labels),
    )


def _row_rates(confusion: Any) -> sparse.csr_array:
    matrix = sparse.csr_array(confusion, dtype=np.float64)
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ matrix)


def _taken_for(rates: sparse.csr_array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much of the other classes of its cluster is taken for each class."""
    pairs = rates.tocoo()
    rows, columns = pairs.coords
    inside = (labels[rows] == labels[columns]) & (rows != columns)
    taken: NDArray[np.float64] = np.zeros(len(labels))
    np.add.at(taken, columns[inside], pairs.data[inside])
    return taken
