"""An output layer whose rare classes lie in clusters of reduced dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .output_layers import OutputLayer, highest, routed_top_k


class AdaptiveOutput(OutputLayer):
    """Frequent classes beside one another, rare ones in clusters behind narrow projections.

    Wraps :class:`torch.nn.AdaptiveLogSoftmaxWithLoss`, which wants classes numbered by frequency.

    Parameters
    ----------
    in_features, n_classes : int
        See :class:`OutputLayer`.
    cutoffs : sequence of int
        Ranks at which clusters begin, ascending, each from 1 to ``n_classes - 1``; empty where all
        classes are frequent.
    ranks : array-like of int, shape (n_classes,)
        Rank of each class by frequency, 0 for the most frequent.
    div_value : float, default=4.0
        How much narrower each cluster's projection is than the one before.

    References
    ----------
    Grave, Joulin, Cissé, Grangier & Jégou, Efficient softmax approximation for GPUs, ICML 2017.
    """

    ranks: torch.Tensor
    by_rank: torch.Tensor
    softmax: Any

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        ranks: Any,
        *,
        div_value: float = 4.0,
    ) -> None:
        super().__init__(in_features, n_classes)
        self.cutoffs = tuple(cutoffs)
        self.register_buffer("ranks", torch.as_tensor(np.asarray(ranks), dtype=torch.int64))
        self.register_buffer("by_rank", torch.as_tensor(np.argsort(ranks), dtype=torch.int64))
        if self.cutoffs:
            self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
                in_features, n_classes, list(cutoffs), div_value=div_value, head_bias=True
            )
        else:
            self.softmax = nn.Linear(in_features, n_classes)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of all classes, shape (n, n_classes)."""
        if not self.cutoffs:
            return F.log_softmax(self.softmax(hidden), dim=1)[:, self.ranks]
        return self.softmax.log_prob(hidden)[:, self.ranks]

    def loss(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood of each row's class."""
        ranks = self.ranks[target]
        if not self.cutoffs:
            return F.cross_entropy(self.softmax(hidden), ranks, reduction="none")
        return -self.softmax(hidden, ranks).output

    def top_k(self, hidden: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return the most probable classes, looking into clusters that can hold one only."""
        if not self.cutoffs:
            return super().top_k(hidden, k)
        head = F.log_softmax(self.softmax.head(hidden), dim=1)
        frequent = self.cutoffs[0]
        best, places = highest(head[:, :frequent], min(k, frequent))
        bounds = [*self.cutoffs, self.n_classes]

        def visit(
            rows: torch.Tensor, clusters: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, int]:
            values = hidden.new_full((len(rows), k), -torch.inf)
            codes = torch.zeros((len(rows), k), dtype=torch.int64, device=rows.device)
            n_scores = 0
            for cluster in clusters.unique().tolist():
                own = (clusters == cluster).nonzero()[:, 0]
                within = F.log_softmax(self.softmax.tail[cluster](hidden[rows[own]]), dim=1)
                width = min(k, within.shape[1])
                values[own, :width], found = highest(within, width)
                codes[own, :width] = self.by_rank[bounds[cluster] + found]
                n_scores += within.numel()
            return values, codes, n_scores

        first = (best, self.by_rank[places])
        values, codes, n_evaluated = routed_top_k(head[:, frequent:], k, visit, first)
        return values, codes, n_evaluated + len(hidden) * frequent

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        if not self.cutoffs:
            return super().multiply_adds()
        head, tail = self.softmax.head.weight, self.softmax.tail
        in_tail = self.n_classes - self.cutoffs[0]
        share = (self.expected_classes - self.cutoffs[0]) / in_tail
        return head.numel() + share * sum(weight.numel() for weight in tail.parameters())
