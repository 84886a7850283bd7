"""A chain of linear layers of several networks at once: a batched product for each layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .split import _ACTIVATIONS as ELEMENTWISE
from .split import chain, is_chain


@dataclass(frozen=True)
class ChainShape:
    """What networks must have in common to be stacked, and how wide each layer is.

    Parameters
    ----------
    steps : tuple of str
        One a layer: ``"linear"``, or the layer's own text for others.
    widths : tuple of int
        Units before the first and after each linear layer.
    biases : tuple of bool
        Whether each linear layer has a bias.
    """

    steps: tuple[str, ...]
    widths: tuple[int, ...]
    biases: tuple[bool, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """What must be equal: all but the number of outputs."""
        return self.steps, self.widths[:-1], self.biases

    @property
    def flattens(self) -> bool:
        """Whether the first layer makes rows flat."""
        return self.steps[0].startswith("Flatten")

    @property
    def n_weights(self) -> int:
        """Number of weights, biases included."""
        layers = zip(itertools.pairwise(self.widths), self.biases, strict=True)
        return sum((before + bias) * after for (before, after), bias in layers)


def chain_shape(module: nn.Module) -> ChainShape | None:
    """Return the shape of a chain of linear layers, or None where a network is anything else.

    Activations and dropout may stand between the layers, and a flattening layer in front.

    Examples
    --------
    >>> from hierlearn.networks import mlp
    >>> chain_shape(mlp(4, 3, hidden_layer_sizes=(8,)))
    ChainShape(steps=('linear', 'ReLU()', 'linear'), widths=(4, 8, 3), biases=(True, True))
    """
    if not is_chain(module):
        return None
    layers = [layer for _, layer in chain(module)]
    linear = [layer for layer in layers if type(layer) is nn.Linear]
    if not linear or layers[-1] is not linear[-1] or not all(map(_known, layers)):
        return None
    if any(type(layer) is nn.Flatten and at for at, layer in enumerate(layers)):
        return None
    if len({id(p) for p in module.parameters()}) < sum(1 + (la.bias is not None) for la in linear):
        return None  # a layer that stands in two places
    steps = tuple("linear" if type(layer) is nn.Linear else repr(layer) for layer in layers)
    widths = (linear[0].in_features, *(layer.out_features for layer in linear))
    return ChainShape(steps, widths, tuple(layer.bias is not None for layer in linear))


def _known(layer: nn.Module) -> bool:
    kinds = (nn.Linear, nn.Dropout, nn.Flatten, *ELEMENTWISE)
    hooked = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    fixed = any(not parameter.requires_grad for parameter in layer.parameters())
    flat = type(layer) is not nn.Flatten or (layer.start_dim, layer.end_dim) == (1, -1)
    return type(layer) in kinds and not hooked and not fixed and flat


class StackedChain:
    """The weights of several chains of one shape as the rows of a matrix.

    The chains may differ in the number of outputs: rows are as long as the largest needs, and
    surplus outputs are minus infinity, so that no loss and no gradient sees them. Weights of
    surplus outputs start, and stay, at zero.

    Parameters
    ----------
    modules : sequence of torch.nn.Sequential
        Chains whose :func:`chain_shape` have one ``key``, on one device and of one type.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        shapes = [chain_shape(module) for module in modules]
        found = [shape for shape in shapes if shape is not None]
        self.n_outputs = [shape.widths[-1] for shape in found]
        self.layers = [layer for _, layer in chain(modules[0])]
        self.shape = ChainShape(
            found[0].steps, (*found[0].widths[:-1], max(self.n_outputs)), found[0].biases
        )
        first = next(modules[0].parameters())
        self.weights = first.new_zeros(len(modules), self.shape.n_weights)
        self.mask = first.new_zeros(len(modules), 1, max(self.n_outputs))
        for number, n_outputs in enumerate(self.n_outputs):
            self.mask[number, :, n_outputs:] = -torch.inf
        with torch.no_grad():
            for row, module in enumerate(modules):
                for own, stacked in self._pairs(module, row):
                    stacked.copy_(own)

    @property
    def drops(self) -> bool:
        """Whether units are dropped in training."""
        return any(type(layer) is nn.Dropout and layer.p > 0 for layer in self.layers)

    def write_back(self, modules: Sequence[nn.Module]) -> None:
        """Copy the weights into the networks they came from."""
        with torch.no_grad():
            for row, module in enumerate(modules):
                for own, stacked in self._pairs(module, row):
                    own.copy_(stacked)

    def views(self, n_members: int) -> list[torch.Tensor]:
        """Return the first networks' weights and biases, layer after layer; they share memory.

        Weights have shape (n_members, n_after, n_before), biases (n_members, n_after).
        """
        found, start = [], 0
        kept = self.weights[:n_members]
        layers = zip(itertools.pairwise(self.shape.widths), self.shape.biases, strict=True)
        for (before, after), bias in layers:
            end = start + before * after
            found.append(kept[:, start:end].unflatten(1, (after, before)))
            start = end
            if bias:
                found.append(kept[:, start : start + after])
                start += after
        return found

    def _pairs(self, module: nn.Module, row: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return each parameter of one network beside its place in the matrix."""
        own = list(module.parameters())
        places = [view[row] for view in self.views(row + 1)]
        return [
            (parameter, place[: len(parameter)])
            for parameter, place in zip(own, places, strict=True)
        ]

    def forward(
        self, views: Sequence[torch.Tensor], x: torch.Tensor, dropout: Any = None
    ) -> torch.Tensor:
        """Return the logits of every network for rows of its own.

        Parameters
        ----------
        views : sequence of tensor
            From :meth:`views`, or leaves that share their memory.
        x : tensor of shape (n_members, n_rows, n_features)
        dropout : callable or None, default=None
            ``dropout(x, p)`` drops units; None drops none.

        Returns
        -------
        tensor of shape (n_members, n_rows, n_outputs)
        """
        left, n_linear, last = list(views), 0, len(self.shape.biases)
        for layer in self.layers:
            if type(layer) is nn.Linear:
                weight = left.pop(0).transpose(1, 2)
                added = left.pop(0).unsqueeze(1) if self.shape.biases[n_linear] else None
                n_linear += 1
                if n_linear == last:
                    mask = self.mask[: len(x)]
                    added = mask if added is None else added + mask
                x = torch.bmm(x, weight) if added is None else torch.baddbmm(added, x, weight)
            elif type(layer) is nn.Dropout:
                x = x if dropout is None or layer.p == 0 else dropout(x, layer.p)
            elif type(layer) is not nn.Flatten:
                x = layer(x)
        return x


class Dropping:
    """Drops units of stacked networks, on a CPU each by the draws it would make alone.

    Parameters
    ----------
    states : sequence of tensor
        State of torch's generator as each network's training begins.
    device : torch.device
        On a GPU masks are drawn for all networks together, so that they are other ones.
    """

    def __init__(self, states: Sequence[torch.Tensor], device: torch.device) -> None:
        self.generators = [torch.Generator().set_state(state) for state in states]
        self.together = device.type != "cpu"
        self.n_rows: list[int] = []

    def __call__(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Return x with units set to zero with probability p, and the others scaled."""
        if self.together:
            return functional.dropout(x, p)
        kept = torch.zeros_like(x)
        for own, n_rows, generator in zip(kept, self.n_rows, self.generators, strict=False):
            own[:n_rows].bernoulli_(1 - p, generator=generator)
        return x * (kept.div_(1 - p) if p < 1 else kept)
