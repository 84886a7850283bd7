"""An output layer that names the relevant clusters of labels, and the labels within each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F

from ._data import BatchDataset

# Rows whose relevant clusters are kept, so that any routing can be priced.
N_PROBED = 256
# Where log(1 + exp(x)) is x to the last digit of double precision.
_LINEAR_ABOVE = 40.0


class LabelTree(nn.Module):
    """The probability of a label as that of its cluster times that of the label in the cluster.

    A cluster is relevant to a sample that has any of its labels. All heads read the same hidden
    features; where only some clusters are visited, only their heads are evaluated.

    Parameters
    ----------
    in_features : int
        Width of the hidden features.
    labels : array-like of int, shape (n_labels,)
        Cluster of each label, from 0, each cluster used.
    shares : array-like of shape (n_labels,)
        How probable each label is where its cluster is relevant, with nothing else known; from 0 to
        1, both excluded. What a label of a cluster that is not visited gets.
    routing : {"soft"}, int or float, default="soft"
        Which clusters a sample visits, see :func:`visited`.
    negatives : float, default=0.0
        What samples counted in training for clusters that are not relevant to them, from 0 to 1. A
        head then learns how probable a label is among what it saw, and is multiplied by how
        probable it is to see a sample: that the cluster is relevant, and ``negatives`` times that
        it is not. So probabilities are right whatever ``negatives`` is.
    exclusive : bool, default=False
        Whether a sample has one label; then log-probabilities are returned instead of logits, for
        a softmax of them to divide by their sum.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.label_tree import LabelTree
    >>> tree = LabelTree(8, [0, 0, 1], [0.5, 0.5, 0.5], routing=1)
    >>> tree(torch.zeros(2, 8)).shape
    torch.Size([2, 3])
    """

    labels: torch.Tensor
    order: torch.Tensor
    places: torch.Tensor
    log_shares: torch.Tensor

    def __init__(
        self,
        in_features: int,
        labels: Any,
        shares: Any,
        routing: str | float = "soft",
        *,
        negatives: float = 0.0,
        exclusive: bool = False,
    ) -> None:
        super().__init__()
        labels = np.asarray(labels, dtype=np.int64)
        self.in_features, self.routing, self.exclusive = in_features, routing, exclusive
        self.negatives = negatives
        self.sizes = np.bincount(labels).tolist()
        self.gate = nn.Linear(in_features, len(self.sizes))
        # Labels of a cluster lie side by side, so that its head is a slice of one matrix.
        self.heads = nn.Linear(in_features, len(labels))
        order = torch.as_tensor(np.argsort(labels, kind="stable"))
        self.register_buffer("labels", torch.tensor(labels))
        self.register_buffer("order", order)
        self.register_buffer("places", torch.argsort(order), persistent=False)
        log_shares = torch.as_tensor(np.log(shares), dtype=self.gate.weight.dtype)
        self.register_buffer("log_shares", log_shares)
        # No tensor, for a price is asked for where tensors have no data.
        self.probed = np.zeros((0, len(self.sizes)), dtype=np.float32)

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return what training compares with the truth.

        Parameters
        ----------
        hidden : Tensor of shape (n, in_features)

        Returns
        -------
        Tensor of shape (n, n_clusters + n_labels)
            Logits of the clusters, then of the labels within them, those of a cluster side by side.
        """
        return torch.cat([self.gate(hidden), self.heads(hidden)], dim=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logit of every label, shape (n, n_labels)."""
        gate = self.gate(hidden)
        if self.routing == "soft":
            clusters = self.labels[self.order]
            seen = [part.index_select(1, clusters) for part in self._log_seen(gate)]
            found = self._product(seen, self.heads(hidden))
        else:
            found = self._routed(hidden, gate)
        return found.index_select(1, self.places)

    def _log_seen(self, gate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how probable it was for the heads to see such a sample, or not, as logarithms."""
        log_relevant, log_other = F.logsigmoid(gate), F.logsigmoid(-gate)
        if not self.negatives:
            return log_relevant, log_other
        seen = torch.log(self.negatives + (1 - self.negatives) * log_relevant.exp())
        return seen, log_other + (math.log1p(-self.negatives) if self.negatives < 1 else -math.inf)

    def _product(self, factor: Sequence[torch.Tensor], logits: torch.Tensor) -> torch.Tensor:
        """Multiply by the probabilities that logits stand for.

        Parameters
        ----------
        factor : pair of Tensor
            Logarithms of a factor f, and of 1 - f.
        logits : Tensor

        Returns
        -------
        Tensor
            The logit of the product, or its logarithm where a sample has one label.
        """
        log_factor, log_rest = factor
        if self.exclusive:
            return log_factor + F.logsigmoid(logits)
        # f p / (1 - f p) with p = 1 / (1 + exp(-x)) is f / (1 - f + exp(-x)).
        return log_factor - torch.logaddexp(log_rest, -logits)

    def _routed(self, hidden: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return what is known of labels, those of a cluster side by side."""
        visits, (log_seen, log_unseen) = visited(gate, self.routing), self._log_seen(gate)
        clusters, log_shares = self.labels[self.order], self.log_shares[self.order]
        relevant = [F.logsigmoid(side).index_select(1, clusters) for side in (gate, -gate)]
        found = self._product(relevant, log_shares - torch.log(-torch.expm1(log_shares)))
        start = 0
        for cluster, size in enumerate(self.sizes):
            rows = visits[:, cluster].nonzero()[:, 0]
            own = slice(start, start + size)
            if len(rows):
                within = F.linear(hidden[rows], self.heads.weight[own], self.heads.bias[own])
                seen = log_seen[rows, cluster, None], log_unseen[rows, cluster, None]
                found[rows, own] = self._product(seen, within)
            start += size
        return found

    # -- price ---------------------------------------------------------------------------------

    @torch.inference_mode()
    def probe(self, hidden: torch.Tensor) -> None:
        """Remember which clusters are relevant to some rows, to tell which ones samples visit."""
        self.probed = self.gate(hidden).float().cpu().numpy()

    def visit_shares(self) -> np.ndarray:
        """Return the share of samples that visits each cluster, shape (n_clusters,)."""
        if self.routing == "soft" or not len(self.probed):
            return np.ones(len(self.sizes))
        visits = visited(torch.tensor(self.probed), self.routing)
        return visits.double().mean(dim=0).numpy()

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of a sample as expected under the routing."""
        evaluated = float(self.visit_shares() @ np.asarray(self.sizes, dtype=float))
        return self.in_features * (len(self.sizes) + evaluated)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one sample's logits."""
        return (len(self.labels),)


class TreeScores(nn.Module):
    """A network up to the scores of its label tree: what is trained."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of clusters and of labels within them."""
        return self.network.output.scores(below_output(self.network, x))


class LabelTreeLoss(nn.Module):
    """Cross-entropy of the clusters, and of the labels within them.

    Labels of a cluster that is not relevant to a sample count ``tree.negatives`` times; so with 0
    its head learns from the samples alone to which the cluster is relevant.

    Parameters
    ----------
    tree : LabelTree
    cluster_weight : float, default=1.0
        Factor of the first.
    pos_weight : Tensor of shape (n_labels,) or None, default=None
        Factors on the loss of each label's positives.
    reduction : {"none"}, default="none"
    """

    def __init__(
        self,
        tree: LabelTree,
        cluster_weight: float = 1.0,
        pos_weight: torch.Tensor | None = None,
        reduction: str = "none",
    ) -> None:
        super().__init__()
        self.order, self.negatives = tree.order, tree.negatives
        self.cluster_weight = cluster_weight
        self.clusters, self.n_clusters = tree.labels[tree.order], len(tree.sizes)
        self.pos_weight = None if pos_weight is None else pos_weight[tree.order.cpu()]

    def forward(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of every row; the target is an indicator, or codes of classes."""
        gate, within = scores.split([self.n_clusters, len(self.order)], dim=1)
        if target.ndim == 1:
            target = F.one_hot(target, len(self.order))
        truth = target.index_select(1, self.order).to(scores.dtype)
        relevant = relevant_clusters(truth, self.clusters, self.n_clusters)
        counts = self.negatives + (1 - self.negatives) * relevant
        counted = counts.index_select(1, self.clusters)
        losses = self._cross_entropy(within, truth)
        of_gate = F.binary_cross_entropy_with_logits(gate, relevant, reduction="none").sum(dim=1)
        # Per label, as for a flat network, so that learning rates are alike.
        total = (losses * counted).sum(dim=1) + self.cluster_weight * of_gate
        return total / len(self.order)

    def _cross_entropy(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        if self.pos_weight is None:  # a fraction of the time of torch's own
            return F.softplus(logits, threshold=_LINEAR_ABOVE) - truth * logits
        return F.binary_cross_entropy_with_logits(
            logits, truth, reduction="none", pos_weight=self.pos_weight.to(logits)
        )


def relevant_clusters(truth: torch.Tensor, clusters: torch.Tensor, n_clusters: int) -> torch.Tensor:
    """Return 1 for each cluster that has a label of the row, shape (n, n_clusters)."""
    found = truth.new_zeros(len(truth), n_clusters)
    return found.index_add_(1, clusters, truth).clamp_(max=1)


def below_output(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the features that the tree reads."""
    for layer in network[:-1]:
        x = layer(x)
    return x


def visited(gate: torch.Tensor, routing: str | float) -> torch.Tensor:
    """Mark the clusters that each sample visits.

    Parameters
    ----------
    gate : Tensor of shape (n, n_clusters)
        Logits of the clusters.
    routing : int or float
        An int visits the so many most probable clusters, a float in (0, 1) those of at least that
        probability and in any case the most probable one, ``"soft"`` all.

    Returns
    -------
    Tensor of bool, shape (n, n_clusters)

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.label_tree import visited
    >>> visited(torch.tensor([[2.0, 1.0, -1.0]]), 2).tolist()
    [[True, True, False]]
    >>> visited(torch.tensor([[2.0, 1.0, -1.0]]), 0.8).tolist()
    [[True, False, False]]
    """
    if routing == "soft":
        return torch.ones_like(gate, dtype=torch.bool)
    found = torch.zeros_like(gate, dtype=torch.bool)
    if isinstance(routing, Integral):
        k = min(int(routing), gate.shape[1])
        return found.scatter_(1, gate.topk(k, dim=1).indices, True)
    found.scatter_(1, gate.argmax(dim=1, keepdim=True), True)
    return found | (torch.sigmoid(gate) >= float(routing))


def check_routing(routing: Any) -> None:
    """Raise unless it is "soft", a positive int or a float between 0 and 1."""
    value: Any = routing
    whole = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
    share = isinstance(value, Real) and not isinstance(value, Integral) and 0 < float(value) < 1
    if not (whole or share or (isinstance(routing, str) and routing == "soft")):
        raise ValueError(
            "routing must be 'soft', a number of clusters from 1, or a probability in (0, 1). Got "
            f"{routing!r} instead; 'soft' visits all."
        )


def label_shares(target: Any, weight: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how probable each label is where its cluster is relevant, never 0 or 1.

    Parameters
    ----------
    target : ndarray of int, shape (n_samples,), ndarray or sparse (n_samples, n_labels)
        Class codes, or an indicator.
    weight : ndarray of shape (n_samples,)
    labels : ndarray of int, shape (n_labels,)
        Cluster of each label.

    Returns
    -------
    ndarray of shape (n_labels,)
        With half a sample more of either kind, as Krichevsky and Trofimov count.
    """
    n_labels, n_clusters = len(labels), int(labels.max()) + 1
    if target.ndim == 1:
        of_labels = np.bincount(target, weights=weight, minlength=n_labels)
        of_clusters = np.bincount(labels[target], weights=weight, minlength=n_clusters)
    else:
        # Sparse: a dense indicator in bytes would be as large eight times over in sums.
        indicator = sparse.csr_array(target, dtype=np.float64)
        members = sparse.csr_array(
            (np.ones(n_labels), labels, np.arange(n_labels + 1)), shape=(n_labels, n_clusters)
        )
        of_labels = np.asarray(weight @ indicator).ravel()
        of_clusters = np.asarray(weight @ ((indicator @ members) > 0)).ravel()
    return (of_labels + 0.5) / (of_clusters[labels] + 1)


def probe_rows(data: BatchDataset) -> np.ndarray:
    """Return the numbers of the rows, evenly spaced, whose relevant clusters are remembered."""
    return np.unique(np.linspace(0, len(data) - 1, N_PROBED).astype(int))
