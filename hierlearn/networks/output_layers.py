"""Output layers for many classes: what they learn from and what they answer costs little.

A layer takes hidden features and knows three things: the log-probabilities of all classes
(``forward``), the loss of given classes without those of all others (``loss``), and the most
probable classes, exactly, computed where they can lie (``top_k``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

# Visits to clusters whose scores are held at once.
_MAX_VISITS = 2**14


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
        values, codes = highest(self(hidden), k)
        return values, codes, len(hidden) * self.n_classes

    def most_probable(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the code of each row's most probable class, shape (n,)."""
        return self.top_k(hidden, 1)[1][:, 0]

    def dense_is_faster(self, n_rows: int) -> bool:
        """Tell whether the probabilities of all classes are found sooner than ``top_k``."""
        return False

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        return self.in_features * self.expected_classes

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one sample's log-probabilities."""
        return (self.n_classes,)


Visit = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, int]]


def routed_top_k(
    gate: torch.Tensor,
    k: int,
    visit: Visit,
    first: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Find the most probable classes without looking into clusters that cannot hold one.

    A class is at most as probable as its cluster. So each row visits its clusters from the most
    probable down, those only that are more probable than its k-th best class so far: the first, the
    second, then two at a time, four, ..., so that there are few rounds of many visits.

    Parameters
    ----------
    gate : Tensor of shape (n, n_clusters)
        Log-probabilities of the clusters.
    k : int
        Number of classes wanted.
    visit : callable
        From row numbers and their clusters, both of shape (n_visits,), to log-probabilities within
        the cluster and class codes of each visit's best classes, both of shape (n_visits, at most
        k), minus infinity where a cluster has fewer, and the number of scores computed.
    first : tuple of Tensor or None, default=None
        Log-probabilities and codes of classes outside all clusters, shape (n, at most k),
        descending.

    Returns
    -------
    log_probabilities, codes : Tensor of shape (n, k)
    n_evaluated : int
        Scores of classes that were computed.
    """
    best = gate.new_full((len(gate), k), -torch.inf)
    codes = torch.zeros((len(gate), k), dtype=torch.int64, device=gate.device)
    if first is not None:
        best[:, : first[0].shape[1]], codes[:, : first[0].shape[1]] = first
    order = gate.sort(dim=1, descending=True)
    n_evaluated = start = 0
    while start < gate.shape[1]:
        part = slice(start, max(start + 1, 2 * start))
        bounds, clusters = order.values[:, part], order.indices[:, part]
        rows, columns = (bounds > best[:, -1:]).nonzero().unbind(1)
        if not len(rows):
            break
        for own in torch.arange(len(rows), device=rows.device).split(_MAX_VISITS):
            row, column = rows[own], columns[own]
            within, found, n_scores = visit(row, clusters[row, column])
            n_evaluated += n_scores
            _keep_best(best, codes, row, within + bounds[row, column, None], found)
        start = part.stop
    return best, codes, n_evaluated


def _keep_best(
    best: torch.Tensor,
    codes: torch.Tensor,
    rows: torch.Tensor,
    values: torch.Tensor,
    found: torch.Tensor,
) -> None:
    """Put what was found into rows, which ascend, of the best so far."""
    k = best.shape[1]
    touched, own = rows.unique_consecutive(return_inverse=True)
    values = torch.cat([best[touched].flatten(), values.flatten()])
    found = torch.cat([codes[touched].flatten(), found.flatten()])
    places = torch.arange(len(touched), device=rows.device).repeat_interleave(k)
    places = torch.cat([places, own.repeat_interleave((len(values) - len(places)) // len(own))])
    order = values.argsort(descending=True, stable=True)
    order = order[places[order].argsort(stable=True)]
    counts = places.bincount()
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    kept = order[torch.arange(len(order), device=rows.device) - starts < k].view(-1, k)
    best[touched], codes[touched] = values[kept], found[kept]


def highest(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k highest scores of every row, descending, and their columns."""
    # A maximum is found in a fraction of the time that the first one of a ranking takes.
    best = scores.max(dim=1, keepdim=True) if k == 1 else scores.topk(k, dim=1)
    return best.values, best.indices


def uniform_rows(n_rows: int, width: int, in_features: int | None = None) -> nn.Parameter:
    """Draw weights and biases as :class:`torch.nn.Linear` does."""
    bound = (width - 1 if in_features is None else in_features) ** -0.5
    return nn.Parameter(torch.empty(n_rows, width).uniform_(-bound, bound))
