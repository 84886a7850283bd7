"""From predictions to the report's confusion: counts, their order, and the pairs that stand out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hierlearn.confusion import class_scores, detect_top_k
from hierlearn.confusion.matrices import default_k
from hierlearn.display._order import share_inside
from hierlearn.display._sources import check_labels_known
from hierlearn.partition import LabelPartition
from hierlearn.reporting.data import Confusions, Pair, Taken
from hierlearn.summary import ClusterFigures, cluster_figures

__all__ = ["Counts", "PairPictures", "count_classes", "count_labels", "encoded"]

# Some twelve bytes each in the file.
_MAX_ENTRIES = 120_000
_N_TAKEN = 3
_N_ACROSS = 12

# Pictures of samples of one class (by code) that are taken for another.
PairPictures = Callable[[int, int], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Counts:
    """How often samples of each class are taken for each.

    Parameters
    ----------
    partition : LabelPartition
        Clusters of the K classes.
    matrix : csr_array of shape (K, K), dtype=int64
        Row = true class; of several labels a sample, a label detected that is not the sample's
        counts for each one that is.
    totals : ndarray of shape (K,), dtype=int64
        Samples of each class.
    true, predicted : ndarray of shape (n_samples,) or None
        Codes of the classes; None with several labels a sample.
    detected : int, default=0
        How many labels of a sample count as detected.
    """

    partition: LabelPartition
    matrix: sparse.csr_array
    totals: NDArray[np.int64]
    true: NDArray[np.int64] | None = None
    predicted: NDArray[np.int64] | None = None
    detected: int = 0

    @cached_property
    def figures(self) -> ClusterFigures:
        """Where the samples of every cluster's classes end up."""
        return cluster_figures(self.partition, self.matrix)

    @cached_property
    def right(self) -> NDArray[np.float64]:
        """Share of each class's samples that is taken for it, NaN without samples."""
        unknown = np.full(len(self.totals), np.nan)
        return np.divide(self.matrix.diagonal(), self.totals, out=unknown, where=self.totals > 0)

    @cached_property
    def _errors(self) -> sparse.csr_array:
        errors = sparse.coo_array(self.matrix)
        rows, columns = errors.coords
        kept = rows != columns
        return sparse.csr_array(
            (errors.data[kept], (rows[kept], columns[kept])), shape=self.matrix.shape
        )

    def taken_for(self, code: int, place: NDArray[np.intp]) -> tuple[Taken, ...]:
        """Return what samples of a class are taken for, most often first.

        Parameters
        ----------
        code : int
            The class.
        place : ndarray of shape (K,), dtype=intp
            Place of each class in the report.
        """
        row = self._errors[[code]]
        order = np.lexsort((place[row.indices], -row.data))[:_N_TAKEN]
        return tuple(
            Taken(int(place[other]), int(count), float(count / self.totals[code]))
            for other, count in zip(row.indices[order], row.data[order], strict=True)
        )

    def pairs(
        self,
        n_pairs: int,
        place: NDArray[np.intp],
        pictures: PairPictures,
        cluster: int | None = None,
    ) -> tuple[Pair, ...]:
        """Return the classes that are confused most, both ways taken together.

        Parameters
        ----------
        n_pairs : int
            How many at most.
        place : ndarray of shape (K,), dtype=intp
            Place of each class in the report.
        pictures : callable
            ``pictures(code, other)`` gives those of samples of one class taken for another.
        cluster : int or None, default=None
            Pairs in this cluster, one of the two in it primarily. None is pairs whose classes share
            no cluster.

        Returns
        -------
        tuple of Pair
        """
        both = sparse.triu(self._errors + self._errors.T).tocoo()
        rows, columns = both.coords
        kept = np.flatnonzero(self._in_question(rows, columns, cluster))
        order = np.lexsort((place[columns[kept]], place[rows[kept]], -both.data[kept]))
        chosen = kept[order[:n_pairs]]
        return tuple(
            self._pair(int(rows[entry]), int(columns[entry]), place, pictures) for entry in chosen
        )

    def _in_question(self, rows: Any, columns: Any, cluster: int | None) -> NDArray[np.bool_]:
        labels, member = self.partition.labels, self._member
        if cluster is None:
            return ~(member[rows, labels[columns]] | member[columns, labels[rows]])
        both = member[rows, cluster] & member[columns, cluster]
        return both & ((labels[rows] == cluster) | (labels[columns] == cluster))

    @cached_property
    def _member(self) -> NDArray[np.bool_]:
        return self.partition.membership.toarray()

    def _pair(self, one: int, other: int, place: NDArray[np.intp], pictures: PairPictures) -> Pair:
        count, back = int(self._errors[one, other]), int(self._errors[other, one])
        if (back, -place[other]) > (count, -place[one]):
            one, other, count, back = other, one, back, count
        return Pair(
            one=int(place[one]),
            other=int(place[other]),
            count=count,
            count_back=back,
            share=count / max(int(self.totals[one]), 1),
            share_back=back / max(int(self.totals[other]), 1),
            pictures=pictures(one, other) if count else (),
            pictures_back=pictures(other, one) if back else (),
        )


def count_classes(partition: LabelPartition, y_true: Any, y_pred: Any) -> Counts:
    """Count what samples of each class are taken for.

    Parameters
    ----------
    partition : LabelPartition
        Clusters of the classes.
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted labels.

    Returns
    -------
    Counts

    Raises
    ------
    PartitionError
        If a label is not among the partition's classes.
    """
    check_labels_known(partition, y=y_true, predictions=y_pred)
    code_of = {label: code for code, label in enumerate(partition.classes.tolist())}
    true, predicted = (
        np.array([code_of[label] for label in np.asarray(labels).tolist()], dtype=np.int64)
        for labels in (y_true, y_pred)
    )
    n_classes = partition.n_classes
    ones = np.ones(len(true), dtype=np.int64)
    matrix = sparse.csr_array(
        sparse.coo_array((ones, (true, predicted)), shape=(n_classes, n_classes))
    )
    return Counts(partition, matrix, np.bincount(true, minlength=n_classes), true, predicted)


def count_labels(partition: LabelPartition, model: Any, X: Any, y: Any) -> Counts:
    """Count which labels are detected beside those that a sample has.

    Parameters
    ----------
    partition : LabelPartition
        Clusters of the labels.
    model : classifier
        Fitted on several labels a sample.
    X : array-like of shape (n_samples, ...)
        Samples.
    y : {array-like, sparse} of shape (n_samples, K)
        Indicator of their labels.

    Returns
    -------
    Counts
        Entry (i, j): samples with label i, on which j is detected, among the k highest scores, and
        is not theirs. The diagonal counts the samples with label i on which it is detected.
    """
    given = sparse.csr_array(y).astype(bool).astype(np.int64)
    if given.shape[1] != partition.n_classes:
        raise ValueError(
            f"y must have a column for each of the {partition.n_classes} labels. "
            f"Got {given.shape[1]} instead; give the indicator that the model was fitted on."
        )
    k = default_k(partition.n_classes)
    detected = sparse.csr_array(detect_top_k(class_scores(model, X), k)).astype(np.int64)
    found = given.multiply(detected)
    beside = given.T @ (detected - found)
    right = np.asarray(found.sum(axis=0), dtype=np.float64).ravel()
    matrix = sparse.csr_array(beside + sparse.diags_array(right))
    matrix.eliminate_zeros()
    totals = np.asarray(given.sum(axis=0)).ravel()
    return Counts(partition, matrix.astype(np.int64), totals, detected=k)


def encoded(
    counts: Counts,
    order: NDArray[np.intp],
    clusters: NDArray[np.intp],
    across: tuple[Pair, ...],
) -> Confusions:
    """Put a confusion into the report's order, sparse.

    Parameters
    ----------
    counts : Counts
        The confusion.
    order : ndarray of shape (K,), dtype=intp
        Codes of the classes, first to last.
    clusters : ndarray of shape (n_clusters,), dtype=intp
        Numbers of the clusters, first to last.
    across : tuple of Pair
        Pairs of different clusters.

    Returns
    -------
    Confusions
    """
    matrix = sparse.csr_array(counts.matrix[order][:, order])
    matrix.sort_indices()
    n_left_out = max(matrix.nnz - _MAX_ENTRIES, 0)
    if n_left_out:
        smallest = np.argsort(-matrix.data, kind="stable")[_MAX_ENTRIES:]
        matrix.data[smallest] = 0
        matrix.eliminate_zeros()
    flow = counts.figures.flow[np.ix_(clusters, clusters)]
    return Confusions(
        starts=tuple(matrix.indptr.tolist()),
        columns=tuple(matrix.indices.tolist()),
        counts=tuple(matrix.data.tolist()),
        n_left_out=n_left_out,
        share_inside=share_inside(counts.matrix, counts.partition),
        across=across,
        flow=tuple(map(tuple, flow.tolist())),
    )
