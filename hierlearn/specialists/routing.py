"""How often each head is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from ..networks.augmenting import visit_frequencies
from ..partition import LabelPartition
from .plan import members_of


@dataclass(frozen=True)
class Routing:
    """What conditional evaluation comes to, on average over samples.

    Parameters
    ----------
    frequencies : tuple of ndarray of shape (n_clusters,)
        Share of the samples for which each head is evaluated, for every round.
    sizes : tuple of ndarray of shape (n_clusters,)
        Labels of each cluster.
    """

    frequencies: tuple[NDArray[np.float64], ...]
    sizes: tuple[NDArray[np.int64], ...]

    @property
    def n_labels_read(self) -> float:
        """Labels of the clusters evaluated for a sample; one in several counts for each."""
        rounds = zip(self.frequencies, self.sizes, strict=True)
        return float(sum(np.dot(shares, sizes) for shares, sizes in rounds))


def expected_routing(
    partitions: Sequence[LabelPartition],
    evaluate: str | int | float,
    posteriors: NDArray[np.float64] | None,
    weight: NDArray[np.float64] | None = None,
) -> Routing | None:
    """Route samples by the base's posteriors and count.

    Parameters
    ----------
    partitions : sequence of LabelPartition
        One for every round.
    evaluate : {"all"}, int or float
        As the parameter of :class:`SpecialistHeadAugmenter`.
    posteriors : ndarray of shape (n_samples, n_classes) or None
        The base's; may be None where all heads are evaluated.
    weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    Routing or None
        None where posteriors are needed and there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn import LabelPartition
    >>> from hierlearn.specialists.routing import expected_routing
    >>> partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    >>> posteriors = np.array([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]])
    >>> routing = expected_routing([partition], 1, posteriors)
    >>> routing.frequencies, routing.n_labels_read
    ((array([0.5, 0.5]),), 1.5)
    """
    sizes = tuple(partition.sizes for partition in partitions)
    if evaluate == "all" or not partitions:
        return Routing(tuple(np.ones(len(clusters)) for clusters in sizes), sizes)
    if posteriors is None:
        return None
    frequencies = tuple(
        visit_frequencies(posteriors, members_of(partition), evaluate, weight)
        for partition in partitions
    )
    return Routing(frequencies, sizes)


def check_evaluate(evaluate: str | int | float, partitions: Sequence[LabelPartition]) -> None:
    """Check that there are as many clusters as are to be evaluated.

    Raises
    ------
    ValueError
        If there are fewer in a round, or ``evaluate`` is a truth value.
    """
    if isinstance(evaluate, bool | np.bool_):
        raise ValueError(
            f"evaluate must be 'all', an int or a float. Got {evaluate!r} instead; 1 evaluates one "
            "head a sample."
        )
    least = min((partition.n_clusters for partition in partitions), default=None)
    if isinstance(evaluate, Integral) and least is not None and int(evaluate) > least:
        raise ValueError(
            f"evaluate must be at most the number of clusters, {least}. Got {evaluate} instead; "
            "lower it, or set 'all'."
        )


def check_some_visit(
    evaluate: str | int | float, frequencies: Sequence[NDArray[np.float64]] | None
) -> None:
    """Check that the heads of every round are evaluated for some sample.

    Raises
    ------
    ValueError
        If a threshold is so high that none ever is.
    """
    if any(not shares.any() for shares in frequencies or ()):
        raise ValueError(
            "evaluate must be a threshold that the posterior mass of some cluster reaches for some "
            f"sample. Got {evaluate}, which none does, instead; lower it, or give an int to "
            "evaluate so many heads."
        )
