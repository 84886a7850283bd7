"""What a network costs, layer by layer, known without running it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .split import layer_multiply_adds


def network_cost(module: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Return the multiply-adds of one sample and the number of parameters of a network.

    Parameters
    ----------
    module : torch.nn.Module
    input_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    multiply_adds, parameters : int
        Linear and convolutional layers count as multiply-adds; every weight and bias counts as a
        parameter.

    Examples
    --------
    >>> from hierlearn.networks import mlp
    >>> network_cost(mlp(10, 3, hidden_layer_sizes=(20,)), (10,))
    (260, 283)
    """
    multiply_adds = sum(layer_multiply_adds(module, input_shape).values())
    return multiply_adds, sum(parameter.numel() for parameter in module.parameters())
