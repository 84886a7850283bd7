"""Cutting a network in two for transfer: layers that stay as they are, and layers that learn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .reading import dtype_of, run_order
from .split import chain

HEAD = "head"
"""Name of the new classifier in a transferred network."""

Layers = Sequence[tuple[str, nn.Module]]


class PartlyTuned(nn.Sequential):
    """A chain of layers of which some are trained and the others stay exactly as they are.

    Parameters
    ----------
    layers : OrderedDict of str to torch.nn.Module
        The layers, in order. The one called ``head`` is always trained.
    tuned : collection of str or None, default=None
        Dotted names of the other layers that are trained; None trains all.
    """

    def __init__(
        self, layers: OrderedDict[str, nn.Module], tuned: Collection[str] | None = None
    ) -> None:
        super().__init__(layers)
        self.tuned = None if tuned is None else frozenset(tuned)

    def _learns(self, name: str) -> bool:
        return self.tuned is None or name in self.tuned or name.split(".")[0] == HEAD

    def freeze(self) -> PartlyTuned:
        """Give gradients to the layers that learn, and to no other."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self._learns(name.rpartition(".")[0]))
        return self

    def train(self, mode: bool = True) -> PartlyTuned:
        """Set the mode of the layers that learn; statistics and dropout of others stay off."""
        super().train(mode)
        for name, layer in self.named_modules():
            if name and not self._learns(name):
                layer.training = False
        return self


@dataclass(frozen=True)
class Cut:
    """A network in two parts.

    Parameters
    ----------
    below : sequence of (str, torch.nn.Module)
        Layers that stay as they are, whose output can be computed once.
    above : sequence of (str, torch.nn.Module)
        Layers of which some are trained.
    tuned : frozenset of str or None
        The names of these; None for all of them.
    """

    below: Layers
    above: Layers
    tuned: frozenset[str] | None


def cut(reader: nn.Sequential, row_shape: Sequence[int], tune: str | int) -> Cut:
    """Cut a network below the layers that are to be trained.

    Parameters
    ----------
    reader : torch.nn.Sequential
        See :func:`build_reader`.
    row_shape : sequence of int
        Shape of one row of X.
    tune : "frozen", "all" or int
        How many of its last layers with weights are trained. Norms and dropout that run among them
        are trained with them.

    Returns
    -------
    Cut

    Raises
    ------
    ValueError
        If it has not that many layers with weights.
    """
    layers = chain(reader)
    if tune == "frozen":
        return Cut(layers, [], frozenset())
    if tune == "all":
        return Cut([], layers, None)
    order = run_order(reader, row_of_zeros(reader, row_shape))
    weighted = [index for index, name in enumerate(order) if _has_kernel(reader, name)]
    if int(tune) > len(weighted):
        raise ValueError(
            f"tune must be at most {len(weighted)}, the number of layers with weights below the "
            f"backbone's classifier, or 'all'. Got {tune} instead."
        )
    tuned = _places(reader, order[weighted[-int(tune)] :])
    lowest = min(
        index
        for index, (name, _) in enumerate(layers)
        if any(inner == name or inner.startswith(f"{name}.") for inner in tuned)
    )
    return Cut(layers[:lowest], layers[lowest:], frozenset(tuned))


def row_of_zeros(module: nn.Module, row_shape: Sequence[int]) -> torch.Tensor:
    """Return one row of a network's type and on its device, shape (1, ...)."""
    weight = next(module.parameters(), torch.zeros(0))
    return torch.zeros((1, *row_shape), device=weight.device, dtype=dtype_of(module))


def _has_kernel(module: nn.Module, name: str) -> bool:
    own = module.get_submodule(name).parameters(recurse=False)
    return any(parameter.ndim > 1 for parameter in own)


def _places(module: nn.Module, names: Collection[str]) -> list[str]:
    """Return all names of these layers; one that stands in two places runs under its first."""
    wanted = {id(module.get_submodule(name)) for name in names}
    found = module.named_modules(remove_duplicate=False)
    return [name for name, layer in found if name and id(layer) in wanted]


def joined(layers: Layers, tuned: Collection[str] | None = None) -> PartlyTuned:
    """Return layers as one chain; their names stay, those with one outer name lie in a chain."""
    outer: OrderedDict[str, nn.Module] = OrderedDict()
    inner: dict[str, OrderedDict[str, nn.Module]] = {}
    for name, layer in layers:
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, OrderedDict())[rest] = layer
            outer.setdefault(first, nn.Identity())
        else:
            outer[first] = layer
    for first, parts in inner.items():
        plain = all("." not in name for name in parts)
        outer[first] = nn.Sequential(parts) if plain else joined(list(parts.items()))
    return PartlyTuned(outer, tuned)


def feature_bytes(layers: Layers, row_shape: Sequence[int], n_samples: int) -> int:
    """Return the memory of what layers give for so many rows."""
    module = nn.Sequential(*(layer for _, layer in layers)).eval()
    with torch.no_grad():
        found = module(row_of_zeros(module, row_shape))
    return n_samples * int(np.prod(found.shape[1:])) * found.element_size()
