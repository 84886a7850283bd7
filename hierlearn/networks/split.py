"""Splitting a network in two at a layer: the shared trunk below it, the head above.

One mechanism serves branches of a hierarchy, specialist heads and frozen features. It works on
chains of layers (``nn.Sequential``, nested ones included), which is what our networks are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

# What follows a layer without weights of its own and belongs to it.
_ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Identity)
_NORMALISATIONS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm),
)


def chain(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers of a chain with their dotted names, nested ``nn.Sequential`` unrolled.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    Returns
    -------
    layers : list of (str, torch.nn.Module)
        From the first to the last.

    Raises
    ------
    ValueError
        If the module is not a chain of layers.
    """
    if not is_chain(module):
        raise ValueError(
            "Only a chain of layers can be split: the network must be a torch.nn.Sequential "
            f"(nested ones are fine). Got {type(module).__name__} instead; build it from that, or "
            "give a fine_estimator so that no branch is needed."
        )
    layers: list[tuple[str, nn.Module]] = []
    # Not named_children, which names a layer that stands in two places once.
    for name, child in module._modules.items():
        if child is None:
            continue
        if is_chain(child):
            layers += [(f"{name}.{inner}", layer) for inner, layer in chain(child)]
        else:
            layers.append((name, child))
    return layers


def is_chain(module: nn.Module) -> bool:
    """Tell whether a module runs its layers one after the other and does nothing else."""
    plain = type(module).forward is nn.Sequential.forward
    hooked = module._forward_hooks or module._forward_pre_hooks
    return isinstance(module, nn.Sequential) and plain and not hooked


def by_layer(counts: dict[str, int], names: Sequence[str]) -> dict[str, int]:
    """Sum what is counted inside each layer of a chain.

    Parameters
    ----------
    counts : dict of str to int
        Dotted name of an inner layer to its count.
    names : sequence of str
        Names of the chain's layers.

    Returns
    -------
    dict of str to int
    """
    return {
        name: sum(
            count
            for inner, count in counts.items()
            if inner == name or inner.startswith(f"{name}.")
        )
        for name in names
    }


def layer_multiply_adds(module: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """Count the multiply-adds of every linear and convolutional layer for one sample.

    Shapes are followed on torch's ``meta`` device, so nothing is computed.

    Parameters
    ----------
    module : torch.nn.Module
        Any module; layers other than ``nn.Linear`` and convolutions count as zero.
    input_shape : sequence of int
        Shape of one sample, without the batch dimension.

    Returns
    -------
    dict of str to int
        Layer name to multiply-adds, in the order in which the layers ran.
    """
    counts: dict[str, int] = {}

    def hook_for(name: str) -> Callable[[Any, tuple, torch.Tensor], None]:
        def hook(layer: Any, inputs: tuple, output: torch.Tensor) -> None:
            positions = output[0].numel() // layer.weight.shape[0]
            counts[name] = counts.get(name, 0) + layer.weight.numel() * positions

        return hook

    weighted = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    shadow = copy.deepcopy(module).to("meta").eval()
    for name, layer in shadow.named_modules():
        if isinstance(layer, weighted):
            layer.register_forward_hook(hook_for(name))
    dtype = next((p.dtype for p in shadow.parameters()), torch.float32)
    with torch.no_grad():
        shadow(torch.empty((1, *input_shape), device="meta", dtype=dtype))
    return counts


def split_point(
    module: nn.Module, input_shape: Sequence[int], at: str | None = None, *, name: str = "branch_at"
) -> int:
    """Return how many layers of the chain belong to the trunk.

    Parameters
    ----------
    module : torch.nn.Module
        A chain of layers.
    input_shape : sequence of int
        Shape of one sample.
    at : str or None, default=None
        Dotted name of the trunk's last layer with weights. None takes the layer that holds most of
        the multiply-adds, so that what is copied above it is cheap. Normalisation and activation
        that follow belong to the trunk, dropout to the head. The last layer, the classifier, always
        stays in the head.
    name : str, default="branch_at"
        What the caller calls ``at``, for the error message.

    Returns
    -------
    int
        Number of layers in the trunk, from 0 (nothing is shared) up.

    Raises
    ------
    ValueError
        If the module is not a chain, or ``at`` is not the name of one of its layers below the last.
    """
    layers = chain(module)
    names = [name for name, _ in layers]
    if at is None:
        counts = layer_multiply_adds(module, input_shape)
        below = by_layer(counts, names[:-1])
        if not any(below.values()):
            return 0
        at = max(below, key=lambda layer: below[layer])
    if at not in names[:-1]:
        raise ValueError(
            f"{name} must name a layer below the last one, out of {names[:-1]}. Got {at!r} instead."
        )
    point = names.index(at) + 1
    while point < len(layers) - 1 and isinstance(
        layers[point][1], (*_NORMALISATIONS, *_ACTIVATIONS)
    ):
        point += 1
    return point


def split_network(module: nn.Module, point: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Split a chain after its first ``point`` layers into trunk and head, sharing the layers.

    Parameters
    ----------
    module : torch.nn.Module
        A chain of layers.
    point : int
        How many layers go to the trunk.

    Returns
    -------
    trunk, head : torch.nn.Sequential
        ``head(trunk(x)) == module(x)``; the parameters are the module's own, not copies.
    """
    layers = [layer for _, layer in chain(module)]
    return nn.Sequential(*layers[:point]), nn.Sequential(*layers[point:])


def copy_head(head: nn.Sequential, rows: Sequence[int] | NDArray[Any]) -> nn.Sequential:
    """Copy a head, keeping only the given rows of its last (classifier) layer.

    Parameters
    ----------
    head : torch.nn.Sequential
        Layers above the split; the last one is the ``nn.Linear`` classifier.
    rows : sequence of int
        Output units to keep, in the order wanted.

    Returns
    -------
    torch.nn.Sequential
        A copy that shares no parameters with ``head``.

    Raises
    ------
    ValueError
        If the last layer is not an ``nn.Linear``.
    """
    copied = copy.deepcopy(head)
    classifier = copied[-1]
    if not isinstance(classifier, nn.Linear):
        raise ValueError(
            "The last layer of the network must be a torch.nn.Linear classifier for its rows to be "
            f"copied. Got {type(classifier).__name__} instead."
        )
    index = torch.as_tensor(list(rows), dtype=torch.long, device=classifier.weight.device)
    kept = nn.Linear(
        classifier.in_features, len(index), bias=classifier.bias is not None, device="meta"
    )
    kept.weight = nn.Parameter(classifier.weight.detach()[index].clone())
    if classifier.bias is not None:
        kept.bias = nn.Parameter(classifier.bias.detach()[index].clone())
    copied[-1] = kept
    return copied
