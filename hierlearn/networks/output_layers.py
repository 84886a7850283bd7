"""Output layers for many classes: what they learn from and what they answer costs little.

A layer takes hidden features and knows three things: the log-probabilities of all classes
(``forward``), the loss of given classes without those of all others (``loss``), and the most
probable classes, exactly, computed where they can lie (``top_k``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# What a visit to a cluster costs beside its products, and what a score does, in multiply-adds.
_PER_VISIT = 2.5e6
_PER_SCORE = 64
# Clusters whose numbers of classes are within this factor share a tensor of weights.
_LIKE_SIZE = 1.25


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


# -- sampled ------------------------------------------------------------------------------------


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
        self.weight = nn.Parameter(_uniform(n_classes, in_features + 1))

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


# -- adaptive -----------------------------------------------------------------------------------


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
        best = head[:, :frequent].topk(min(k, frequent), dim=1)
        bounds = [*self.cutoffs, self.n_classes]

        def expand(cluster: int, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            codes = self.by_rank[bounds[cluster] : bounds[cluster + 1]]
            return F.log_softmax(self.softmax.tail[cluster](rows), dim=1), codes

        first = (best.values, self.by_rank[best.indices])
        values, codes, n_evaluated = routed_top_k(hidden, k, head[:, frequent:], expand, first)
        return values, codes, n_evaluated + len(hidden) * frequent

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        if not self.cutoffs:
            return super().multiply_adds()
        head, tail = self.softmax.head.weight, self.softmax.tail
        in_tail = self.n_classes - self.cutoffs[0]
        share = (self.expected_classes - self.cutoffs[0]) / in_tail
        return head.numel() + share * sum(weight.numel() for weight in tail.parameters())


# -- two levels ---------------------------------------------------------------------------------


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
            self.weights.append(_uniform(len(clusters), width * (in_features + 1), in_features))
        for name, values in (("labels", labels), ("slots", slots), ("place", place)):
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
        place = self.place.tolist()

        def expand(cluster: int, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            number, at = place[cluster]
            codes = getattr(self, f"codes{number}")[at]
            size = self._sizes[cluster]
            weight = self.weights[number][at].view(-1, self.in_features + 1)[:size]
            scores = F.linear(rows, weight[:, :-1], weight[:, -1])
            return F.log_softmax(scores, dim=1), codes[:size]

        return routed_top_k(hidden, k, gate, expand)

    def dense_is_faster(self, n_rows: int) -> bool:
        """Tell whether the probabilities of all classes are found sooner than ``top_k``.

        So it is with few classes: a visit to a cluster takes its time however small the cluster.
        """
        visits = min(n_rows, self.gate.out_features)
        per_row = self.n_classes * (self.in_features + _PER_SCORE)
        return n_rows * per_row < _PER_VISIT * visits

    @property
    def _sizes(self) -> list[int]:
        if "_size_list" not in self.__dict__:
            self.__dict__["_size_list"] = self.labels.bincount().tolist()
        return self.__dict__["_size_list"]

    def multiply_adds(self, input_shape: Sequence[int] = ()) -> float:
        """Return the multiply-adds of the most probable class of a sample, as expected."""
        return self.in_features * (self.gate.out_features + self.expected_classes)


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


def _uniform(n_rows: int, width: int, in_features: int | None = None) -> nn.Parameter:
    """Draw weights and biases as :class:`torch.nn.Linear` does."""
    bound = (width - 1 if in_features is None else in_features) ** -0.5
    return nn.Parameter(torch.empty(n_rows, width).uniform_(-bound, bound))
