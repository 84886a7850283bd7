"""A flat output layer whose loss looks at some classes only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .output_layers import OutputLayer, highest, uniform_rows


class SampledOutput(OutputLayer):
    """One weight vector a class; the loss looks at the true classes and at sampled others.

    The normalising sum is estimated from ``n_negatives`` classes drawn with replacement, shared by
    the rows of a batch, each weighed by the inverse of how often it was to be expected; the
    estimate has no bias. With as many negatives as classes, the loss is exact.

    Parameters
    ----------
    in_features, n_classes : int
        See :class:`OutputLayer`.
    n_negatives : int
        Classes drawn for a batch.
    ranks : array-like of int, shape (n_classes,), or None, default=None
        Rank of each class by frequency, 0 for the most frequent: classes are drawn log-uniformly
        by rank. None draws them uniformly.
    sparse : bool, default=False
        Whether the gradient holds the rows of the classes drawn only.

    References
    ----------
    Jean, Cho, Memisevic & Bengio, On using very large target vocabulary for neural machine
    translation, ACL 2015, sec. 3 (importance sampling of the normalising sum).
    """

    ranks: torch.Tensor
    by_rank: torch.Tensor

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        n_negatives: int,
        ranks: Any = None,
        *,
        sparse: bool = False,
    ) -> None:
        super().__init__(in_features, n_classes)
        self.n_negatives = n_negatives
        self.sparse = sparse
        self.log_uniform = ranks is not None
        ranks = np.arange(n_classes) if ranks is None else np.asarray(ranks)
        self.register_buffer("ranks", torch.as_tensor(ranks, dtype=torch.int64))
        self.register_buffer("by_rank", torch.as_tensor(np.argsort(ranks), dtype=torch.int64))
        self.weight = uniform_rows(n_classes, in_features + 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of all classes, shape (n, n_classes)."""
        return F.log_softmax(self._logits(hidden), dim=1)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.weight[:, :-1], self.weight[:, -1])

    def loss(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Estimate the negative log-likelihood of each row's class in training."""
        if not self.training or self.n_negatives >= self.n_classes:
            return F.cross_entropy(self._logits(hidden), target, reduction="none")
        drawn = self._draw()
        classes, places = torch.cat([target, drawn]).unique(return_inverse=True)
        times = torch.bincount(places[len(target) :], minlength=len(classes)).to(hidden.dtype)
        rows = F.embedding(classes, self.weight, sparse=self.sparse)
        logits = F.linear(hidden, rows[:, :-1], rows[:, -1])
        expected = self.n_negatives * self._shares(classes).to(hidden.dtype)
        own = places[: len(target), None]
        # Of its own class a row knows the score; drawn or not, it counts once.
        correction = (times / expected).log().expand_as(logits).scatter(1, own, 0.0)
        return F.cross_entropy(logits + correction, own[:, 0], reduction="none")

    def top_k(self, hidden: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return the most probable classes; all others are only summed."""
        logits = self._logits(hidden)
        scores, codes = highest(logits, k)
        return scores - logits.logsumexp(dim=1, keepdim=True), codes, logits.numel()

    def most_probable(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the code of each row's most probable class, which needs no sum over all."""
        return self._logits(hidden).argmax(dim=1)

    def _draw(self) -> torch.Tensor:
        device = self.ranks.device
        if not self.log_uniform:
            return torch.randint(self.n_classes, (self.n_negatives,), device=device)
        uniform = torch.rand(self.n_negatives, dtype=torch.float64, device=device)
        ranks = (uniform * np.log(self.n_classes + 1)).exp().long() - 1
        return self.by_rank[ranks.clamp_(0, self.n_classes - 1)]

    def _shares(self, classes: torch.Tensor) -> torch.Tensor:
        """Return the probability that a draw is each of these classes."""
        ranks = self.ranks[classes].double()
        if not self.log_uniform:
            return torch.full_like(ranks, 1 / self.n_classes)
        return ((ranks + 2) / (ranks + 1)).log() / np.log(self.n_classes + 1)
