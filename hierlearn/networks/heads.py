"""Specialist heads: small stacks of layers, one for each cluster, evaluated as one operation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .head_plan import KERNEL, POOL, HeadPlan, maps_multiply_adds


class SpecialistHeads(nn.Module):
    """The heads of one partition: stacks over shared features, each wired to its own labels.

    The weights of many heads lie in one tensor a layer, so that a layer of all of them is one
    batched product (one grouped convolution for maps). Heads of like size make up a group; within
    a group the tensors are as wide as the widest, less than twice the narrowest, and the surplus is
    zero, and stays so, for its gradient is zero. Linear heads read the same features, and are one
    matrix without surplus.

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

    def __init__(self, plan: HeadPlan, attach_shape: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.plan = plan
        together = _alike(plan)
        self.groups = nn.ModuleList(
            _group(plan.of(heads), tuple(attach_shape), dropout) for heads in together
        )
        self._homes = {
            head: (number, place)
            for number, heads in enumerate(together)
            for place, head in enumerate(heads)
        }
        order = [code for heads in together for head in heads for code in plan.members[head]]
        self.register_buffer("codes", torch.tensor(order), persistent=False)
        sizes = [len(plan.members[head]) for heads in together for head in heads]
        starts = itertools.accumulate(sizes, initial=0)
        self._starts = dict(
            zip((head for heads in together for head in heads), starts, strict=False)
        )

    def home(self, head: int) -> tuple[Any, int]:
        """Return the group that holds a head, and its place there.

        Parameters
        ----------
        head : int
            Number of the head.

        Returns
        -------
        group : torch.nn.Module
            The heads of like size.
        place : int
            Position of the head among them.
        """
        number, place = self._homes[head]
        return self.groups[number], place

    def codes_of(self, head: int) -> torch.Tensor:
        """Return the codes of one head's labels.

        Parameters
        ----------
        head : int
            Number of the head.

        Returns
        -------
        codes : Tensor of int64, shape (n_members,)
            Their positions among the outputs.
        """
        start = self._starts[head]
        return self.codes[start : start + len(self.plan.members[head])]

    def freeze_stacks(self, frozen: bool = True) -> None:
        """Keep the hidden layers as they are, as when further heads are added; outputs train on.

        Parameters
        ----------
        frozen : bool, default=True
            Whether they stay as they are.
        """
        for group in self._each():
            group.stacks_frozen = frozen

    def reset_output(self) -> None:
        """Draw the output weights anew, as when the classifier layer is re-initialised."""
        for group in self._each():
            group.reset_output()

    def clear_output(self) -> None:
        """Set the output weights to zero, so that the heads add nothing yet."""
        with torch.no_grad():
            for group in self._each():
                group.output.zero_()

    def _each(self) -> list[Any]:
        return list(self.groups)

    def forward(self, attach: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """Evaluate all heads and return what they add to the logits, shape (n, n_outputs).

        Parameters
        ----------
        attach : Tensor of shape (n, ...)
            Features of the layer that the heads read.
        n_outputs : int
            Number of logits.

        Returns
        -------
        Tensor of shape (n, n_outputs)
            Zero where no head speaks for a label.
        """
        added = torch.cat([group(attach) for group in self._each()], dim=1)
        return added.new_zeros(len(attach), n_outputs).index_add(1, self.codes, added)

    def one(self, attach: torch.Tensor, head: int) -> torch.Tensor:
        """Evaluate one head and return what it adds to its own labels, shape (n, n_members).

        Parameters
        ----------
        attach : Tensor of shape (n, ...)
            Features of the layer that the heads read.
        head : int
            Number of the head.

        Returns
        -------
        Tensor of shape (n, n_members)
            Columns in the order of its labels.
        """
        group, place = self.home(head)
        return group.one(attach, place)

    def features(self, attach: torch.Tensor) -> list[torch.Tensor]:
        """Return each head's last hidden layer, or its outputs if it has none, (n, width) each.

        Parameters
        ----------
        attach : Tensor of shape (n, ...)
            Features of the layer that the heads read.

        Returns
        -------
        list of Tensor of shape (n, width)
            One for each head.
        """
        found = [group.features(attach) for group in self._each()]
        return [
            found[number][place]
            for number, place in (self._homes[head] for head in range(self.plan.n_heads))
        ]


def _alike(plan: HeadPlan) -> list[list[int]]:
    """Put heads together whose layers differ in width by less than a factor of two."""
    if plan.is_linear and not plan.maps:
        return [list(range(plan.n_heads))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for head, (codes, widths) in enumerate(zip(plan.members, plan.widths, strict=True)):
        key = tuple(size.bit_length() for size in (len(codes), *widths))
        groups.setdefault(key, []).append(head)
    return list(groups.values())


def _group(plan: HeadPlan, attach_shape: tuple[int, ...], dropout: float) -> nn.Module:
    if plan.is_linear and not plan.maps:
        return LinearHeads(plan, math.prod(attach_shape), dropout)
    return StackedHeads(plan, attach_shape, dropout)


class LinearHeads(nn.Module):
    """Heads without a hidden layer, as one matrix; see :class:`SpecialistHeads`."""

    def __init__(self, plan: HeadPlan, n_inputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.stacks_frozen = False  # there is nothing to freeze
        self._sizes = [len(codes) for codes in plan.members]
        self._starts = [0, *itertools.accumulate(self._sizes)]
        self.output = nn.Parameter(torch.empty(sum(self._sizes), n_inputs))
        self.reset_output()

    def reset_output(self) -> None:
        """Draw the weights anew, as ``nn.Linear`` does."""
        bound = 1 / math.sqrt(self.output.shape[1])
        nn.init.uniform_(self.output, -bound, bound)

    def forward(self, attach: torch.Tensor) -> torch.Tensor:
        """Return what each head adds to each of its labels, cluster after cluster."""
        x = functional.dropout(attach.flatten(1), self.dropout, self.training)
        return functional.linear(x, self.output)

    def one(self, attach: torch.Tensor, head: int) -> torch.Tensor:
        """Evaluate one head."""
        x = functional.dropout(attach.flatten(1), self.dropout, self.training)
        return functional.linear(x, self.output[self._starts[head] : self._starts[head + 1]])

    def features(self, attach: torch.Tensor) -> list[torch.Tensor]:
        """Return each head's outputs."""
        return list(self(attach).split(self._sizes, dim=1))


class StackedHeads(nn.Module):
    """Heads of like size, a tensor a layer; see :class:`SpecialistHeads`."""

    places: torch.Tensor

    def __init__(self, plan: HeadPlan, attach_shape: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.plan = plan
        self.dropout = dropout
        self.stacks_frozen = False
        self.maps = _grouped_convolutions(plan, attach_shape[0])
        _, n_inputs = maps_multiply_adds(plan.maps, attach_shape)
        layers = [(n_inputs,) * plan.n_heads, *zip(*plan.widths, strict=True)]
        n_members = tuple(len(codes) for codes in plan.members)
        pairs = list(itertools.pairwise(layers))
        self.weights = nn.ParameterList(nn.Parameter(_stacked(a, b)) for a, b in pairs)
        self.biases = nn.ParameterList(
            nn.Parameter(_stacked(a, b, bias=True)[:, :, 0]) for a, b in pairs
        )
        self._readers = layers[-1]
        self.output = nn.Parameter(_stacked(self._readers, n_members))
        widest = max(n_members)
        places = [c * widest + i for c, n in enumerate(n_members) for i in range(n)]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def reset_output(self) -> None:
        """Draw the output weights anew."""
        sizes = tuple(len(codes) for codes in self.plan.members)
        with torch.no_grad():
            self.output.copy_(_stacked(self._readers, sizes))

    def forward(self, attach: torch.Tensor) -> torch.Tensor:
        """Return what each head adds to each of its labels, cluster after cluster."""
        added = torch.bmm(self.hidden(attach), self.output.transpose(1, 2))
        return added.transpose(0, 1).reshape(len(attach), -1).index_select(1, self.places)

    def features(self, attach: torch.Tensor) -> list[torch.Tensor]:
        """Return each head's last hidden layer, or its outputs if it has none."""
        if self.plan.is_linear:
            return list(self(attach).split(list(self.plan.features), dim=1))
        hidden = self.hidden(attach)
        return [hidden[head, :, :width] for head, width in enumerate(self.plan.features)]

    def hidden(self, attach: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layers of all heads, shape (n_heads, n, width)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stacks_frozen):
            return self._hidden(attach)

    def _hidden(self, attach: torch.Tensor) -> torch.Tensor:
        n, n_heads = len(attach), self.plan.n_heads
        x = self._drop(attach)
        for layer in self.maps:
            x = _activate_maps(layer(x))
        layers = list(zip(self.weights, self.biases, strict=True))
        if self.maps:  # every head has inputs of its own
            x = x.reshape(n, n_heads, -1).transpose(0, 1)
        else:  # all heads read the same: one product with all their weights
            (weight, bias), *layers = layers
            x = functional.linear(x.flatten(1), weight.flatten(0, 1))
            x = x.reshape(n, n_heads, -1).transpose(0, 1) + bias.unsqueeze(1)
            x = self._drop(functional.relu(x))
        for weight, bias in layers:
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
            x = functional.conv2d(x, layer.weight[own], layer.bias[own], padding=KERNEL // 2)
            x = _activate_maps(x)
        x = x.flatten(1)
        layers = zip(self.plan.widths[head], self.weights, self.biases, strict=True)
        for width, weight, bias in layers:
            x = functional.linear(x, weight[head, :width, : x.shape[1]], bias[head, :width])
            x = self._drop(functional.relu(x))
        return x

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


def _grouped_convolutions(plan: HeadPlan, channels: int) -> nn.ModuleList:
    """Return the maps of all heads: of shared features first, then each head of its own."""
    convolutions, groups = nn.ModuleList(), 1
    for n_maps in plan.maps:
        layer = nn.Conv2d(
            channels, n_maps * plan.n_heads, KERNEL, padding=KERNEL // 2, groups=groups
        )
        convolutions.append(layer)
        channels, groups = n_maps * plan.n_heads, plan.n_heads
    return convolutions


def _activate_maps(x: torch.Tensor) -> torch.Tensor:
    x = functional.relu(x)
    return functional.max_pool2d(x, POOL) if min(x.shape[-2:]) >= POOL else x


def _stacked(
    n_inputs: Sequence[int], n_outputs: Sequence[int], *, bias: bool = False
) -> torch.Tensor:
    """Return weights (or biases) of one layer of all heads, as ``nn.Linear`` draws them."""
    widest = 1 if bias else max(n_inputs)
    stacked = torch.zeros(len(n_inputs), max(n_outputs), widest)
    for head, (fan_in, fan_out) in enumerate(zip(n_inputs, n_outputs, strict=True)):
        bound = 1 / math.sqrt(fan_in)
        stacked[head, :fan_out, : 1 if bias else fan_in].uniform_(-bound, bound)
    return stacked
