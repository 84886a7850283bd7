"""Output layers for many classes: what they learn from and what they answer costs little.

A layer takes hidden features and knows three things: the log-probabilities of all classes
(``forward``), the loss of given classes without those of all others (``loss``), and the most
probable classes, exactly, computed where they can lie (``top_k``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class OutputLayer(nn.Module):
    """From hidden features to probabilities of classes.

    Parameters
    ----------
    in_features : int
        Width of the hidden features.
    n_classes : int
        Number of classes.
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.n_classes = n_classes
        # Classes evaluated for a sample's most probable one; an estimator measures it.
        self.expected_classes = float(n_classes)
        # Scores of a row held at once by a prediction of its best classes.
        self.n_scores_at_once = n_classes

    def loss(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood of each row's class.

        Parameters
        ----------
        hidden : Tensor of shape (n, in_features)
        target : Tensor of int64, shape (n,)
            Class codes.

        Returns
        -------
        Tensor of shape (n,)
        """
        raise NotImplementedError

    def top_k(self, hidden: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return the most probable classes of each row.

        Parameters
        ----------
        hidden : Tensor of shape (n, in_features)
        k : int
            Number of classes, at most ``n_classes``.

        Returns
        -------
        log_probabilities : Tensor of shape (n, k)
            In descending order.
        codes : Tensor of int64, shape (n, k)
            Their classes.
        n_evaluated : int
            Scores of classes computed on the way, over all rows.
        """
        best = self(hidden).topk(k, dim=1)
        return best.values, best.indices, len(hidden) * self.n_classes

    def dense_is_faster(self, n_rows: int) -> bool:
        """Tell whether the probabilities of all classes are found sooner than ``top_k``."""
        return False

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        return self.in_features * self.expected_classes

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one sample's log-probabilities."""
        return (self.n_classes,)


def routed_top_k(
    hidden: torch.Tensor,
    k: int,
    gate: torch.Tensor,
    expand: Callable[[int, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    first: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Find the most probable classes without looking into clusters that cannot hold one.

    A class is at most as probable as its cluster. So each row visits its clusters from the most
    probable down, until the next is no more probable than its k-th best class so far.

    Parameters
    ----------
    hidden : Tensor of shape (n, in_features)
    k : int
        Number of classes wanted.
    gate : Tensor of shape (n, n_clusters)
        Log-probabilities of the clusters.
    expand : callable
        From a cluster and rows of ``hidden`` to log-probabilities within the cluster, (n_rows,
        size), and class codes, (size,).
    first : tuple of Tensor or None, default=None
        Log-probabilities and codes of classes outside all clusters, shape (n, at most k),
        descending.

    Returns
    -------
    log_probabilities, codes : Tensor of shape (n, k)
    n_evaluated : int
        Scores of classes that were computed.
    """
    best = hidden.new_full((len(hidden), k), -torch.inf)
    codes = torch.zeros((len(hidden), k), dtype=torch.int64, device=hidden.device)
    if first is not None:
        best[:, : first[0].shape[1]], codes[:, : first[0].shape[1]] = first
    order = gate.sort(dim=1, descending=True)
    n_evaluated = 0
    for bound, clusters in zip(order.values.unbind(1), order.indices.unbind(1), strict=True):
        active = (bound > best[:, -1]).nonzero()[:, 0]
        if not len(active):
            break
        for cluster, rows in _by_cluster(clusters[active], active):
            within, members = expand(cluster, hidden[rows])
            n_evaluated += within.numel()
            values, places = within.topk(min(k, within.shape[1]), dim=1)
            values = values + bound[rows, None]
            merged = torch.cat([best[rows], values], dim=1).topk(k, dim=1)
            known = torch.cat([codes[rows], members[places]], dim=1)
            best[rows], codes[rows] = merged.values, known.gather(1, merged.indices)
    return best, codes, n_evaluated


def _by_cluster(clusters: torch.Tensor, rows: torch.Tensor) -> Any:
    """Yield each cluster with its rows."""
    order = clusters.argsort(stable=True)
    found, counts = clusters[order].unique_consecutive(return_counts=True)
    return zip(found.tolist(), rows[order].split(counts.tolist()), strict=True)


def uniform_rows(n_rows: int, width: int, in_features: int | None = None) -> nn.Parameter:
    """Draw weights and biases as :class:`torch.nn.Linear` does."""
    bound = (width - 1 if in_features is None else in_features) ** -0.5
    return nn.Parameter(torch.empty(n_rows, width).uniform_(-bound, bound))
