"""The report's rows of classes and of clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hierlearn.display._style import PALETTE, cluster_colors
from hierlearn.reporting.counting import Counts, PairPictures
from hierlearn.reporting.data import ClassRow, ClusterRow
from hierlearn.reporting.pictures import Pictures

__all__ = ["class_rows", "cluster_rows", "mistakes"]

_N_PAIRS = 8
# Of each class so many pictures, fewer where all would be too many; of each way of a pair so many.
_MAX_EXAMPLES, _ALL_EXAMPLES = 3, 600
_N_MISTAKES = 4


def class_rows(
    counts: Counts,
    order: NDArray[np.intp],
    clusters: NDArray[np.intp],
    names: Sequence[str],
    pictures: Pictures,
) -> tuple[ClassRow, ...]:
    """Describe every class.

    Parameters
    ----------
    counts : Counts
        The confusion.
    order : ndarray of shape (K,), dtype=intp
        Codes of the classes, first to last.
    clusters : ndarray of shape (n_clusters,), dtype=intp
        Numbers of the clusters, first to last.
    names : sequence of str
        Names of the classes by code.
    pictures : Pictures
        Of the samples.

    Returns
    -------
    tuple of ClassRow
        First to last.
    """
    place, rank = np.argsort(order), np.argsort(clusters)
    examples = _examples(counts, pictures)
    membership, labels = counts.partition.membership, counts.partition.labels
    return tuple(
        ClassRow(
            name=names[code],
            n_samples=int(counts.totals[code]),
            right=float(counts.right[code]),
            taken_for=counts.taken_for(code, place),
            guest_of=tuple(
                int(rank[cluster])
                for cluster in membership[[code]].indices.tolist()
                if cluster != labels[code]
            ),
            pictures=pictures.of(examples[code]) if examples else (),
        )
        for code in order.tolist()
    )


def _examples(counts: Counts, pictures: Pictures) -> list[list[int]]:
    """Choose samples to show of every class, those that are rightly predicted first."""
    if not pictures.available or counts.true is None:
        return []
    n_classes = counts.partition.n_classes
    n_each = min(_MAX_EXAMPLES, max(1, _ALL_EXAMPLES // n_classes))
    chosen: list[list[int]] = [[] for _ in range(n_classes)]
    for row in np.argsort(counts.predicted != counts.true, kind="stable").tolist():
        rows = chosen[counts.true[row]]
        if len(rows) < n_each:
            rows.append(row)
    return chosen


def mistakes(counts: Counts, pictures: Pictures) -> PairPictures:
    """Return a function that shows samples of one class that are taken for another.

    Parameters
    ----------
    counts : Counts
        The confusion.
    pictures : Pictures
        Of the samples.

    Returns
    -------
    callable
        From two codes to data URIs.
    """

    def shown(one: int, other: int) -> tuple[str, ...]:
        if not pictures.available or counts.true is None or counts.predicted is None:
            return ()
        rows = np.flatnonzero((counts.true == one) & (counts.predicted == other))
        return pictures.of(rows[:_N_MISTAKES].tolist())

    return shown


def cluster_rows(
    counts: Counts,
    order: NDArray[np.intp],
    clusters: NDArray[np.intp],
    names: Sequence[str],
    pictures: PairPictures,
) -> tuple[ClusterRow, ...]:
    """Describe every cluster.

    Parameters
    ----------
    counts : Counts
        The confusion.
    order : ndarray of shape (K,), dtype=intp
        Codes of the classes, first to last.
    clusters : ndarray of shape (n_clusters,), dtype=intp
        Numbers of the clusters, first to last.
    names : sequence of str
        Names of the clusters by number.
    pictures : callable
        From two codes to pictures of samples of one that are taken for the other.

    Returns
    -------
    tuple of ClusterRow
        First to last.
    """
    partition, figures, place = counts.partition, counts.figures, np.argsort(order)
    colors = cluster_colors(partition.labels, order)
    stops = np.cumsum(partition.primary_sizes[clusters]).tolist()
    found = []
    for start, stop, cluster in zip([0, *stops], stops, clusters.tolist(), strict=False):
        members = partition.members(cluster)
        guests = place[members[partition.labels[members] != cluster]]
        found.append(
            ClusterRow(
                name=names[cluster],
                start=start,
                stop=stop,
                guests=tuple(np.sort(guests).tolist()),
                n_samples=int(counts.totals[order[start:stop]].sum()),
                right=float(figures.right[cluster]),
                within=float(figures.within[cluster]),
                between=float(figures.between[cluster]),
                pairs=counts.pairs(_N_PAIRS, place, pictures, cluster),
                color=PALETTE.index(colors[cluster]),
            )
        )
    return tuple(found)
