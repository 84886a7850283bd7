"""How often each head is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..networks.augmenting import labels_seen, visit_frequencies
from ..partition import LabelPartition
from .plan import members_of


@dataclass(frozen=True)
class Routing:
    """What conditional evaluation comes to, on average over samples.

    Parameters
    ----------
    frequencies : tuple of ndarray of shape (n_clusters,)
        Share of the samples for which each head is evaluated, for every round.
    n_labels_seen : float
        Labels in the clusters evaluated for a sample, in any round.
    """

    frequencies: tuple[NDArray[np.float64], ...]
    n_labels_seen: float


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
    >>> expected_routing([partition], 1, posteriors)
    Routing(frequencies=(array([0.5, 0.5]),), n_labels_seen=1.5)
    """
    if evaluate == "all" or not partitions:
        n_classes = float(partitions[0].n_classes) if partitions else 0.0
        return Routing(tuple(np.ones(part.n_clusters) for part in partitions), n_classes)
    if posteriors is None:
        return None
    members = [members_of(partition) for partition in partitions]
    frequencies = tuple(
        visit_frequencies(posteriors, clusters, evaluate, weight) for clusters in members
    )
    return Routing(frequencies, labels_seen(posteriors, members, evaluate, weight))
