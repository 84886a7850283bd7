"""An output layer that names a cluster of classes, and the class within it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .output_layers import OutputLayer, highest, routed_top_k, uniform_rows

# In multiply-adds: what a score costs beside its product, what a prediction costs for each tensor
# of weights, and how many scores of all classes take as long as one in a cluster that a row visits.
_PER_SCORE = 64
_PER_BANK = 2.8e6
_PER_ROUTED = 4
# Clusters whose numbers of classes are within this factor share a tensor of weights.
_LIKE_SIZE = 1.25


class TwoLevelOutput(OutputLayer):
    """The probability of a class as that of its cluster times that of the class within it.

    Training computes the scores of the clusters, and of the classes in the true cluster. Weights
    of clusters with a like number of classes lie in one tensor, padded, so that a batch is a few
    batched products, and the gradient holds the clusters that occur in the batch only.

    Parameters
    ----------
    in_features : int
        Width of the hidden features.
    labels : array-like of int, shape (n_classes,)
        Cluster of each class, from 0, each cluster used.
    sparse : bool, default=False
        Whether gradients hold the clusters of the batch only; else zeros for all others.

    References
    ----------
    Goodman, Classes for fast maximum entropy training, ICASSP 2001.
    """

    labels: torch.Tensor
    slots: torch.Tensor
    place: torch.Tensor
    sizes: torch.Tensor

    def __init__(self, in_features: int, labels: Any, *, sparse: bool = False) -> None:
        labels = np.asarray(labels)
        super().__init__(in_features, len(labels))
        self.sparse = sparse
        sizes = np.bincount(labels)
        self.n_scores_at_once = int(max(len(sizes), sizes.max()))
        self.gate = nn.Linear(in_features, len(sizes))
        order = np.argsort(labels, kind="stable")
        slots = np.empty(len(labels), dtype=np.int64)
        slots[order] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        banks = _banks(sizes)
        self.n_banks = len(banks)
        self.weights = nn.ParameterList()
        place = np.empty((len(sizes), 2), dtype=np.int64)
        for number, clusters in enumerate(banks):
            place[clusters] = np.column_stack(
                [np.full(len(clusters), number), np.arange(len(clusters))]
            )
            width = int(sizes[clusters].max())
            codes = np.full((len(clusters), width), -1)
            inside = np.flatnonzero(np.isin(labels, clusters))
            codes[place[labels[inside], 1], slots[inside]] = inside
            self._keep(f"codes{number}", codes)
            self._keep(f"clusters{number}", clusters)
            self.weights.append(uniform_rows(len(clusters), width * (in_features + 1), in_features))
        kept = {"labels": labels, "slots": slots, "place": place, "sizes": sizes}
        for name, values in kept.items():
            self._keep(name, values)

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of all classes, shape (n, n_classes)."""
        gate = F.log_softmax(self.gate(hidden), dim=1)
        found = hidden.new_empty(len(hidden), self.n_classes)
        for number, weight in enumerate(self.weights):
            codes, clusters = getattr(self, f"codes{number}"), getattr(self, f"clusters{number}")
            scores = _with_one(hidden) @ weight.view(-1, self.in_features + 1).T
            scores = scores.view(len(hidden), *codes.shape).masked_fill_(codes < 0, -torch.inf)
            scores = F.log_softmax(scores, dim=2) + gate[:, clusters, None]
            known = codes.view(-1) >= 0
            found[:, codes.view(-1)[known]] = scores.flatten(1)[:, known]
        return found

    def loss(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood of each row's class."""
        clusters = self.labels[target]
        found = F.cross_entropy(self.gate(hidden), clusters, reduction="none")
        banks, places = self.place[clusters].unbind(1)
        extended = _with_one(hidden)
        for number in range(self.n_banks):
            rows = (banks == number).nonzero()[:, 0]
            if len(rows):
                scores = self._scores_within(number, places[rows], extended[rows])
                within = F.cross_entropy(scores, self.slots[target[rows]], reduction="none")
                found = found.index_add(0, rows, within)
        return found

    def _scores_within(
        self, number: int, places: torch.Tensor, extended: torch.Tensor
    ) -> torch.Tensor:
        """Return the scores of the classes in each row's cluster, shape (n_rows, width).

        Rows of a cluster stand together, and clusters with a like number of rows; a batched
        product takes those with up to 1, 2, 4, ... rows.
        """
        codes = getattr(self, f"codes{number}")
        touched, own, counts = places.unique(return_inverse=True, return_counts=True)
        by_count = counts.argsort(stable=True)
        touched, counts = touched[by_count], counts[by_count]
        rank = torch.empty_like(by_count)
        rank[by_count] = torch.arange(len(by_count), device=by_count.device)
        order = rank[own].argsort(stable=True)
        weight = F.embedding(touched, self.weights[number], sparse=self.sparse)
        weight = weight.view(len(touched), codes.shape[1], self.in_features + 1)
        blocks = []
        groups = _doubling(counts)
        for part, rows in zip(weight.split(groups), _row_blocks(counts, groups), strict=True):
            inputs = extended.index_select(0, order[rows.places.view(-1)])
            inputs = inputs.view(*rows.places.shape, -1)
            scores = torch.bmm(inputs, part.transpose(1, 2))
            blocks.append(scores.flatten(0, 1)[rows.filled.view(-1)])
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        scores = torch.cat(blocks).index_select(0, back)
        return scores.masked_fill(codes[places] < 0, -torch.inf)

    def top_k(self, hidden: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return the most probable classes, looking into clusters that can hold one only."""
        gate = F.log_softmax(self.gate(hidden), dim=1)
        extended = _with_one(hidden)

        def visit(
            rows: torch.Tensor, clusters: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, int]:
            values = hidden.new_full((len(rows), k), -torch.inf)
            found = torch.zeros((len(rows), k), dtype=torch.int64, device=rows.device)
            banks, places = self.place[clusters].unbind(1)
            for number in range(self.n_banks):
                own = (banks == number).nonzero()[:, 0]
                if len(own):
                    codes = getattr(self, f"codes{number}")
                    scores = self._scores_within(number, places[own], extended[rows[own]])
                    width = min(k, codes.shape[1])
                    values[own, :width], slots = highest(F.log_softmax(scores, dim=1), width)
                    found[own, :width] = codes[places[own, None], slots]
            return values, found, int(self.sizes[clusters].sum())

        return routed_top_k(gate, k, visit)

    def dense_is_faster(self, n_rows: int) -> bool:
        """Tell whether the probabilities of all classes are found sooner than ``top_k``.

        So it is with few rows or classes, as each tensor of weights takes its time however little
        of it is looked at, and where the clusters are so uncertain that many are looked into.
        """
        saved = self.n_classes - _PER_ROUTED * self.expected_classes
        return n_rows * saved * (self.in_features + _PER_SCORE) < _PER_BANK * self.n_banks

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        return self.in_features * (self.gate.out_features + self.expected_classes)


class _RowBlocks:
    """Rows of clusters as the blocks of a batched product, each as long as the longest."""

    def __init__(self, starts: torch.Tensor, counts: torch.Tensor) -> None:
        steps = torch.arange(int(counts.max()), device=counts.device)
        self.filled = steps < counts[:, None]
        self.places = starts[:, None] + steps.minimum(counts[:, None] - 1)


def _row_blocks(counts: torch.Tensor, groups: list[int]) -> list[_RowBlocks]:
    starts = counts.cumsum(0) - counts
    parts = zip(starts.split(groups), counts.split(groups), strict=True)
    return [_RowBlocks(*part) for part in parts]


def _doubling(counts: torch.Tensor) -> list[int]:
    """Return how many of these ascending counts are up to 1, 2, 4, ..., without empty groups."""
    powers = counts.double().log2().ceil().long()
    return powers.unique_consecutive(return_counts=True)[1].tolist()


def _banks(sizes: np.ndarray) -> list[np.ndarray]:
    """Return the clusters whose numbers of classes are alike, the smallest first."""
    order = np.argsort(sizes, kind="stable")
    banks, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or sizes[order[stop]] > max(_LIKE_SIZE * sizes[order[start]], 4):
            banks.append(np.sort(order[start:stop]))
            start = stop
    return banks


def _with_one(hidden: torch.Tensor) -> torch.Tensor:
    """Append a column of ones, so that biases are a column of the weights."""
    return F.pad(hidden, (0, 1), value=1.0)
