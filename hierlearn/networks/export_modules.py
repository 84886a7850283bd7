"""Whole estimators as one torch module: rows in, class posteriors out.

These modules hold fitted networks and compute what ``predict_proba`` computes, in tensors from end
to end. They evaluate every branch and head for every row and leave out what is not visited by a
weight of zero, so that ``torch.export`` sees no step that depends on the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._base import BaseTorchClassifier
from .augmented import AugmentedNetwork
from .augmenting import OpenBase
from .branching import Split
from .head_plan import KERNEL, POOL
from .heads import LinearHeads, SpecialistHeads

ROWS, TRUNK, FLAT = "rows", "trunk", "flat"
"""What a part of a hierarchy reads: raw rows, the shared layers' output, the base's posteriors."""


class Network(nn.Module):
    """A trained network, from rows of any numeric type to posteriors.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a batch to logits, or to features.
    row_shape : sequence of int or None
        Shape of one sample as the module takes it; None takes it as it comes.
    finish : {"softmax", "sigmoid"} or None
        What becomes of the outputs; None leaves them.
    """

    def __init__(
        self, module: nn.Module, row_shape: Sequence[int] | None, finish: str | None
    ) -> None:
        super().__init__()
        self.module = module
        self.row_shape = None if row_shape is None else tuple(row_shape)
        self.finish = finish

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return posteriors, shape (n_samples, n_classes)."""
        like = next(self.module.parameters(), None)
        if like is not None:
            x = x.to(like.dtype)
        if self.row_shape is not None and tuple(x.shape[1:]) != self.row_shape:
            x = x.reshape(x.shape[0], *self.row_shape)
        found: torch.Tensor = self.module(x)
        if self.finish is None:
            return found
        return found.sigmoid() if self.finish == "sigmoid" else found.softmax(dim=1)


class Constant(nn.Module):
    """The same posteriors for every row."""

    values: torch.Tensor

    def __init__(self, values: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(values.tolist()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return them, shape (n_samples, n_values)."""
        return self.values.expand(x.shape[0], -1)


class Passing(nn.Identity):
    """What is read, as it is."""


class FlatShare(nn.Module):
    """Some columns of the base's posteriors, normalised; a row of zeros is a tie."""

    columns: torch.Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(list(columns)))

    def forward(self, flat: torch.Tensor) -> torch.Tensor:
        """Return the posteriors of these classes, shape (n_samples, n_columns)."""
        return normalised(flat[:, self.columns])


class Part(nn.Module):
    """A part of a hierarchy: what it reads, what it computes of it, which columns these are.

    Parameters
    ----------
    network : torch.nn.Module
        Maps what is read to one column for each code.
    source : {"rows", "trunk", "flat"}
        What it reads.
    codes : sequence of int
        Class codes, or numbers of clusters, of its columns.
    """

    codes: torch.Tensor

    def __init__(self, network: nn.Module, source: str, codes: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.source = source
        self.columns = tuple(int(code) for code in codes)  # known when nothing is computed
        self.register_buffer("codes", torch.tensor(self.columns, dtype=torch.int64))

    def forward(self, sources: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return its columns, shape (n_samples, n_codes)."""
        found: torch.Tensor = self.network(sources[self.source])
        return found

    def spread(self, sources: dict[str, torch.Tensor], n_columns: int) -> torch.Tensor:
        """Return its columns in their places, those of equal code added up."""
        found = self(sources)
        return found.new_zeros(found.shape[0], n_columns).index_add(1, self.codes, found)


class RoutedPosteriors(nn.Module):
    """A hierarchy: ``mixing * flat + (1 - mixing) * sum_i p(cluster i) q_i(class)``.

    Parameters
    ----------
    trunk : torch.nn.Module or None
        Lower layers of the base, where parts read their output.
    flat : Part or None
        The base; None where nothing reads it.
    gate : Part
        Its codes are clusters, so that one over classes is summed over each cluster.
    members : sequence of Part
        One a cluster, their codes classes.
    n_classes : int
        Number of classes.
    routing : {"soft", "hard"}, int or float
        See :class:`hierlearn.HierarchicalDecompositionClassifier`.
    mixing : float
        Weight of the flat posterior.
    """

    def __init__(
        self,
        trunk: nn.Module | None,
        flat: Part | None,
        gate: Part,
        members: Sequence[Part],
        n_classes: int,
        routing: str | float,
        mixing: float,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.flat = flat
        self.gate = gate
        self.members = nn.ModuleList(members)
        self.n_classes = n_classes
        self.routing = routing
        self.mixing = mixing

    @property
    def visited(self) -> int | float | None:
        """How many clusters a row visits, or from which probability; None for all of them."""
        n_clusters = len(self.members)
        if self.routing == "soft":
            return None
        if isinstance(self.routing, float):
            return self.routing
        wanted = 1 if self.routing == "hard" else int(self.routing)
        return wanted if wanted < n_clusters else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class posteriors, shape (n_samples, n_classes)."""
        sources = {ROWS: x}
        if self.trunk is not None:
            sources[TRUNK] = self.trunk(x)
        if self.flat is not None:
            sources[FLAT] = self.flat.spread(sources, self.n_classes)
        weights = routed(self.gate.spread(sources, len(self.members)), self.visited)
        total = weights.new_zeros(weights.shape[0], self.n_classes)
        for cluster, member in enumerate(self.members):
            found = member(sources).to(weights.dtype) * weights[:, cluster, None]
            total = total.index_add(1, member.get_buffer("codes"), found)
        if not self.mixing:
            return total
        return self.mixing * sources[FLAT].to(total.dtype) + (1 - self.mixing) * total


def posterior_network(classifier: BaseTorchClassifier) -> Network:
    """Return a fitted classifier's network, with what becomes of its logits."""
    finish = "sigmoid" if classifier.multilabel_ else "softmax"
    return Network(classifier.module_, classifier._input_shape, finish)


def split_trunk(split: Split) -> Network:
    """Return the lower layers of a classifier that was split, from rows to features."""
    return Network(split.trunk, split.network._input_shape, None)


def split_head(split: Split) -> Network:
    """Return the upper layers of a classifier that was split, from features to posteriors."""
    return Network(split.head, None, "softmax")


def normalised(scores: torch.Tensor) -> torch.Tensor:
    """Divide rows by their sums; a row of zeros becomes a tie between all."""
    scores = torch.where(scores.sum(dim=1, keepdim=True) > 0, scores, 1.0)
    return scores / scores.sum(dim=1, keepdim=True)


def routed(gate: torch.Tensor, visited: int | float | None) -> torch.Tensor:
    """Return the weight with which every row visits every cluster, of posteriors of clusters.

    Parameters
    ----------
    gate : Tensor of shape (n_samples, n_clusters)
        Posteriors of clusters. A row of zeros is a tie between all.
    visited : int, float or None
        How many are visited, or from which probability on; None for all.

    Returns
    -------
    Tensor of shape (n_samples, n_clusters)
        Rows sum to one.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.export_modules import routed
    >>> routed(torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.25, 0.75]]), 1)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    gate = torch.where(gate.sum(dim=1, keepdim=True) > 0, gate, 1.0)
    if visited is None:
        return normalised(gate)
    k = int(visited) if isinstance(visited, Integral) else 1
    best = gate.argsort(dim=1, descending=True, stable=True)[:, :k]
    kept = torch.zeros_like(gate).scatter(1, best, 1.0) > 0
    if not isinstance(visited, Integral):
        kept = kept | (gate >= visited)
    return normalised(torch.where(kept, gate, 0.0))


class AugmentedPosteriors(nn.Module):
    """A network with specialist heads, each head a chain of layers of its own.

    Parameters
    ----------
    network : AugmentedNetwork
        Trained.
    row_shape, attach_shape : sequence of int
        Shape of one sample, and of its features at the attach point.
    """

    def __init__(
        self, network: AugmentedNetwork, row_shape: Sequence[int], attach_shape: Sequence[int]
    ) -> None:
        super().__init__()
        self.base = network.base
        self.classifier = network.classifier
        self.row_shape = tuple(row_shape)
        self.evaluate = network.evaluate
        self.finish = "sigmoid" if network.multilabel else "softmax"
        self.n_outputs = network.n_outputs
        self.rounds = nn.ModuleList(
            nn.ModuleList(
                Part(head_chain(heads, head, attach_shape), "attach", heads.codes_of(head).tolist())
                for head in range(heads.plan.n_heads)
            )
            for heads in network.heads
        )
        for number, heads in enumerate(network.heads):
            wired = torch.zeros(heads.plan.n_heads, self.n_outputs)
            for head, codes in enumerate(heads.plan.members):
                wired[head, list(codes)] = 1.0
            self.register_buffer(f"wiring{number}", wired.to(self.base.classifier.weight.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class or label posteriors, shape (n_samples, n_outputs)."""
        x = x.to(self.base.classifier.weight.dtype).reshape(x.shape[0], *self.row_shape)
        logits, attach, own = self.base(x)
        posteriors = self._finished(logits)
        visits = [self._visits(posteriors, number) for number in range(len(self.rounds))]
        total = self._start(logits, own, visits)
        for heads, visit in zip(self.rounds, visits, strict=True):
            parts: Any = heads
            for head, part in enumerate(parts):
                added = part({"attach": attach}) * visit[:, head, None]
                total = total.index_add(1, part.codes, added)
        return self._finished(total)

    def _finished(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.sigmoid() if self.finish == "sigmoid" else logits.softmax(dim=1)

    def _visits(self, posteriors: torch.Tensor, number: int) -> torch.Tensor:
        """Return which heads of a round each row visits, 0 and 1; see `visited_clusters`."""
        mass = posteriors @ self.wiring(number).T
        if self.evaluate == "all":
            return torch.ones_like(mass)
        if not isinstance(self.evaluate, Integral):
            return (mass >= float(self.evaluate)).to(mass.dtype)
        k = min(int(self.evaluate), mass.shape[1])
        return torch.zeros_like(mass).scatter(1, mass.topk(k, dim=1).indices, 1.0)

    def _start(
        self, logits: torch.Tensor, own: torch.Tensor, visits: list[torch.Tensor]
    ) -> torch.Tensor:
        """Return what the heads add to: the base's logits where no head of a label is visited."""
        if self.classifier is None:
            return logits
        new: torch.Tensor = self.classifier(own)
        if self.evaluate == "all":
            return new
        seen = sum(visit @ self.wiring(number) for number, visit in enumerate(visits))
        return torch.where(torch.as_tensor(seen) > 0, new, logits)

    def wiring(self, number: int) -> torch.Tensor:
        """Return which head of a round is wired to which label, (n_heads, n_outputs), 0 and 1."""
        return self.get_buffer(f"wiring{number}")


def augmented_posteriors(network: AugmentedNetwork, base: OpenBase) -> AugmentedPosteriors:
    """Return an augmented network with what becomes of its logits; refuse one behind a Pipeline."""
    if base.prefix is not None:
        raise ValueError(
            "base_estimator must be a network without transformers for to_onnx and as_module. Got "
            "a Pipeline instead; fit on transformed X, and export the transformers apart, e.g. "
            "with skl2onnx."
        )
    return AugmentedPosteriors(network, base.classifier._input_shape, base.attach_shape)


def head_chain(heads: SpecialistHeads, head: int, attach_shape: Sequence[int]) -> nn.Sequential:
    """Return one head as a chain of layers, without what pads it to the width of others.

    Parameters
    ----------
    heads : SpecialistHeads
        Trained.
    head : int
        Its number.
    attach_shape : sequence of int
        Shape of the features that it reads.

    Returns
    -------
    torch.nn.Sequential
        From features at the attach point to what is added to the logits of its labels.
    """
    group, place = heads.home(head)
    if isinstance(group, LinearHeads):
        rows = slice(group._starts[place], group._starts[place + 1])
        return nn.Sequential(nn.Flatten(), _linear(group.output[rows]))
    plan, layers = group.plan, []
    sides = list(attach_shape[1:])
    for n_maps, maps in zip(plan.maps, group.maps, strict=True):
        own = slice(place * n_maps, (place + 1) * n_maps)
        conv = nn.Conv2d(maps.weight.shape[1], n_maps, KERNEL, padding=KERNEL // 2)
        conv.weight, conv.bias = _parameter(maps.weight[own]), _parameter(maps.bias[own])
        layers += [conv, nn.ReLU()]
        if min(sides) >= POOL:
            layers.append(nn.MaxPool2d(POOL))
            sides = [side // POOL for side in sides]
    layers.append(nn.Flatten())
    first = group.weights[0].shape[2] if len(group.weights) else group.output.shape[2]
    widths = (first, *plan.widths[place])
    pairs = itertools.pairwise(widths)
    for (fan_in, width), weight, bias in zip(pairs, group.weights, group.biases, strict=True):
        layers += [_linear(weight[place, :width, :fan_in], bias[place, :width]), nn.ReLU()]
    n_members = len(plan.members[place])
    layers.append(_linear(group.output[place, :n_members, : widths[-1]]))
    return nn.Sequential(*layers)


def _linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = _parameter(weight)
    if bias is not None:
        layer.bias = _parameter(bias)
    return layer


def _parameter(values: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)
