"""Specialist heads: small stacks of layers, one for each cluster, evaluated as one operation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# Group-specific maps are 3 x 3 convolutions, each followed by pooling of 2 while there is room.
_KERNEL = 3
_POOL = 2


@dataclass(frozen=True)
class HeadLayer:
    """What one layer of a head costs a sample; the fields are those of a network's layer."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    multiply_adds: int
    parameters: int


@dataclass(frozen=True)
class HeadPlan:
    """The shape of one head for every cluster.

    Parameters
    ----------
    members : tuple of tuple of int
        Codes of the labels that each head is wired to.
    widths : tuple of tuple of int
        Units of each head's fully connected layers; all heads have as many layers, or none.
    maps : tuple of int, default=()
        Convolutional maps of each head in front of those layers, the same for all heads.

    Examples
    --------
    >>> plan = HeadPlan(members=((0, 1), (2,)), widths=((8, 4), (6, 3)))
    >>> plan.n_heads, plan.multiply_adds((10,))
    (2, (120, 81))
    """

    members: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    maps: tuple[int, ...] = ()

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return len(self.members)

    @property
    def is_linear(self) -> bool:
        """Whether the heads have no hidden layer: their output weights read the features."""
        return not self.widths[0]

    @property
    def features(self) -> tuple[int, ...]:
        """Units in each head's last layer; its outputs where it has no hidden layer."""
        if self.is_linear:
            return tuple(len(codes) for codes in self.members)
        return tuple(widths[-1] for widths in self.widths)

    def multiply_adds(self, attach_shape: Sequence[int]) -> tuple[int, ...]:
        """Return what each head costs for one sample, its output weights included.

        Parameters
        ----------
        attach_shape : sequence of int
            Shape of the features that the heads read, without the batch dimension.
        """
        maps, n_inputs = maps_multiply_adds(self.maps, attach_shape)
        return tuple(
            maps + stack_multiply_adds(n_inputs, widths, len(codes))
            for widths, codes in zip(self.widths, self.members, strict=True)
        )

    def layers(self, attach_shape: Sequence[int], head: int) -> list[HeadLayer]:
        """Return what each layer of one head costs, from the first maps to its output weights."""
        found: list[HeadLayer] = []
        shape = tuple(attach_shape)
        for number, n_maps in enumerate(self.maps, start=1):
            price, _ = maps_multiply_adds((n_maps,), shape)
            size = (_KERNEL**2 * shape[0] + 1) * n_maps
            shape = (n_maps, *_pooled(*shape[1:]))
            found.append(HeadLayer(f"maps{number}", "Conv2d", shape, price, size))
        n_inputs = math.prod(shape)
        for number, width in enumerate(self.widths[head], start=1):
            price = n_inputs * width
            found.append(HeadLayer(f"hidden{number}", "Linear", (width,), price, price + width))
            n_inputs = width
        n_labels = len(self.members[head])
        price = n_inputs * n_labels
        return [*found, HeadLayer("output", "Linear", (n_labels,), price, price)]

    def parameters(self, attach_shape: Sequence[int]) -> tuple[int, ...]:
        """Return how many weights and biases each head has, its output weights included."""
        _, n_inputs = maps_multiply_adds(self.maps, attach_shape)
        channels = (attach_shape[0], *self.maps)
        maps = sum((_KERNEL**2 * a + 1) * b for a, b in _pairs(channels))
        return tuple(
            maps + stack_multiply_adds(n_inputs, widths, len(codes)) + sum(widths)
            for widths, codes in zip(self.widths, self.members, strict=True)
        )


def _pairs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(sizes))


def stack_multiply_adds(n_inputs: int, widths: Sequence[int], n_outputs: int) -> int:
    """Count the multiply-adds of a stack of fully connected layers.

    Examples
    --------
    >>> stack_multiply_adds(10, (8, 4), 2)
    120
    """
    return sum(a * b for a, b in _pairs((n_inputs, *widths, n_outputs)))


def maps_multiply_adds(maps: Sequence[int], attach_shape: Sequence[int]) -> tuple[int, int]:
    """Count the multiply-adds of one head's maps, and the values they hand on.

    Parameters
    ----------
    maps : sequence of int
        Numbers of maps.
    attach_shape : sequence of int
        ``(channels, height, width)`` where there are maps, else any shape.

    Returns
    -------
    multiply_adds, n_values : int

    Examples
    --------
    >>> maps_multiply_adds((4,), (3, 8, 8))
    (6912, 64)
    >>> maps_multiply_adds((), (3, 8, 8))
    (0, 192)
    """
    if not maps:
        return 0, math.prod(attach_shape)
    channels, height, width = attach_shape
    total = 0
    for n_maps in maps:
        total += _KERNEL**2 * channels * n_maps * height * width
        channels, (height, width) = n_maps, _pooled(height, width)
    return total, channels * height * width


def _pooled(height: int, width: int) -> tuple[int, int]:
    return (height // _POOL, width // _POOL) if min(height, width) >= _POOL else (height, width)


class SpecialistHeads(nn.Module):
    """The heads of one partition: stacks over shared features, each wired to its own labels.

    The weights of all heads lie in one tensor a layer, so that a layer of all heads is one batched
    product (one grouped convolution for maps). Where heads differ in width, the tensors are as wide
    as the widest; the surplus is zero, and stays so, for its gradient is zero.

    Parameters
    ----------
    plan : HeadPlan
        Shape of every head.
    attach_shape : sequence of int
        Shape of the features that the heads read.
    dropout : float, default=0.0
        Probability of dropping an input or a unit of a head during training.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), sec. 3: auxiliary stacks in parallel with the
    network's own, each connected to one group of output units only; sec. 6 for the maps.
    """

    codes: torch.Tensor
    places: torch.Tensor

    def __init__(self, plan: HeadPlan, attach_shape: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.plan = plan
        self.attach_shape = tuple(attach_shape)
        self.dropout = dropout
        # Set once these heads are trained and further ones are added: their stacks then stay.
        self.stacks_frozen = False
        channels = (self.attach_shape[0], *plan.maps)
        self.maps = nn.ModuleList(
            nn.Conv2d(
                a if first else a * plan.n_heads,
                b * plan.n_heads,
                _KERNEL,
                padding=_KERNEL // 2,
                groups=1 if first else plan.n_heads,
            )
            for first, (a, b) in zip(
                [True] + [False] * len(plan.maps), _pairs(channels), strict=False
            )
        )
        _, n_inputs = maps_multiply_adds(plan.maps, self.attach_shape)
        before = [(n_inputs,) * plan.n_heads, *zip(*plan.widths, strict=True)]
        n_members = tuple(len(codes) for codes in plan.members)
        self.weights = nn.ParameterList(_stacked(a, b) for a, b in itertools.pairwise(before))
        self.biases = nn.ParameterList(_stacked_bias(a, b) for a, b in itertools.pairwise(before))
        self._readers = before[-1]
        self.output = _stacked(self._readers, n_members)
        self.register_buffer("codes", torch.tensor(sum(plan.members, ())), persistent=False)
        self._starts = [0, *itertools.accumulate(n_members)]
        width = max(n_members)
        places = [c * width + i for c, n in enumerate(n_members) for i in range(n)]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def reset_output(self) -> None:
        """Draw the output weights anew, as when the classifier layer is re-initialised."""
        sizes = tuple(len(codes) for codes in self.plan.members)
        with torch.no_grad():
            self.output.copy_(_stacked(self._readers, sizes))

    def clear_output(self) -> None:
        """Set the output weights to zero, so that the heads add nothing yet."""
        with torch.no_grad():
            self.output.zero_()

    def codes_of(self, head: int) -> torch.Tensor:
        """Return the codes of one head's labels."""
        return self.codes[self._starts[head] : self._starts[head + 1]]

    def forward(self, attach: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """Evaluate all heads and return what they add to the logits, shape (n, n_outputs)."""
        flat = self._outputs(attach)
        zeros = flat.new_zeros(len(attach), n_outputs)
        return zeros.index_add(1, self.codes, flat)

    def features(self, attach: torch.Tensor) -> list[torch.Tensor]:
        """Return each head's last hidden layer, or its outputs if it has none, (n, width) each."""
        if self.plan.is_linear:
            return list(self._outputs(attach).split(list(self.plan.features), dim=1))
        hidden = self.hidden(attach)
        return [hidden[head, :, :width] for head, width in enumerate(self.plan.features)]

    def _outputs(self, attach: torch.Tensor) -> torch.Tensor:
        """Return what each head adds to each of its labels, cluster after cluster."""
        if self.plan.is_linear and not self.maps:
            flat = functional.linear(self._drop(attach.flatten(1)), self.output.flatten(0, 1))
        else:
            added = torch.bmm(self.hidden(attach), self.output.transpose(1, 2))
            flat = added.transpose(0, 1).reshape(len(attach), -1)
        return flat.index_select(1, self.places)

    def hidden(self, attach: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layers of all heads, shape (n_heads, n, width)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stacks_frozen):
            return self._hidden(attach)

    def _hidden(self, attach: torch.Tensor) -> torch.Tensor:
        n, n_heads = len(attach), self.plan.n_heads
        x = self._drop(attach)
        for layer in self.maps:
            x = _activate_maps(layer(x))
        weights = list(self.weights)
        if self.maps:  # every head has inputs of its own
            x = x.reshape(n, n_heads, -1).transpose(0, 1)
            if not weights:
                return x
            x = torch.baddbmm(self.biases[0].unsqueeze(1), x, weights[0].transpose(1, 2))
        else:  # all heads read the same: one product with all their weights
            first = functional.linear(x.flatten(1), weights[0].flatten(0, 1))
            x = first.reshape(n, n_heads, -1).transpose(0, 1) + self.biases[0].unsqueeze(1)
        x = self._drop(functional.relu(x))
        for weight, bias in zip(weights[1:], list(self.biases)[1:], strict=True):
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            x = self._drop(functional.relu(x))
        return x

    def one(self, attach: torch.Tensor, head: int) -> torch.Tensor:
        """Evaluate one head and return what it adds to its own labels, shape (n, n_members)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stacks_frozen):
            hidden = self.one_hidden(attach, head)
        n_members = len(self.plan.members[head])
        return hidden @ self.output[head, :n_members, : hidden.shape[1]].T

    def one_hidden(self, attach: torch.Tensor, head: int) -> torch.Tensor:
        """Return the last hidden layer of one head, shape (n, width)."""
        x = self._drop(attach)
        convolutions: Any = self.maps
        for n_maps, layer in zip(self.plan.maps, convolutions, strict=True):
            own = slice(head * n_maps, (head + 1) * n_maps)
            x = functional.conv2d(x, layer.weight[own], layer.bias[own], padding=_KERNEL // 2)
            x = _activate_maps(x)
        x = x.flatten(1)
        layers = zip(self.plan.widths[head], self.weights, self.biases, strict=True)
        for width, weight, bias in layers:
            x = functional.linear(x, weight[head, :width, : x.shape[1]], bias[head, :width])
            x = self._drop(functional.relu(x))
        return x

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


def _activate_maps(x: torch.Tensor) -> torch.Tensor:
    x = functional.relu(x)
    return functional.max_pool2d(x, _POOL) if min(x.shape[-2:]) >= _POOL else x


def _stacked(n_inputs: Sequence[int], n_outputs: Sequence[int]) -> nn.Parameter:
    """Return weights of one layer of all heads, initialised as ``nn.Linear`` does, zero beyond."""
    stacked = torch.zeros(len(n_inputs), max(n_outputs), max(n_inputs))
    for head, (fan_in, fan_out) in enumerate(zip(n_inputs, n_outputs, strict=True)):
        bound = 1 / math.sqrt(fan_in)
        stacked[head, :fan_out, :fan_in].uniform_(-bound, bound)
    return nn.Parameter(stacked)


def _stacked_bias(n_inputs: Sequence[int], n_outputs: Sequence[int]) -> nn.Parameter:
    stacked = torch.zeros(len(n_inputs), max(n_outputs))
    for head, (fan_in, fan_out) in enumerate(zip(n_inputs, n_outputs, strict=True)):
        bound = 1 / math.sqrt(fan_in)
        stacked[head, :fan_out].uniform_(-bound, bound)
    return nn.Parameter(stacked)
