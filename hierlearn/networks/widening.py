"""Making a network wider until it costs what another does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from ._runtime import isolated
from .classifier import TorchClassifier
from .cnn_classifier import TorchCNNClassifier
from .layer_text import scaled_layers
from .mlp import TorchMLPClassifier, mlp
from .pricing import network_cost

# Networks wider than this times the original are not looked for.
_WIDEST = 2**12


def widened(network: Any, multiply_adds: float) -> dict[str, Any] | None:
    """Return the parameters with which a network is at least as expensive as asked for.

    Parameters
    ----------
    network : fitted classifier
        A :class:`TorchMLPClassifier`, whose hidden layers are scaled alike, a
        :class:`TorchCNNClassifier`, whose maps and hidden units are, or a :class:`TorchClassifier`
        whose ``module`` takes ``hidden_layer_sizes`` or ``width``.
    multiply_adds : float
        Of one sample's prediction.

    Returns
    -------
    dict or None
        For ``set_params`` of the narrowest such network. None where the network has no such
        parameter, or its cost does not grow with it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from hierlearn import TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier((10,), max_epochs=1).fit(X, y)  # 4 * 10 + 10 * 3 multiply-adds
    >>> widened(clf, 140)
    {'hidden_layer_sizes': (20,)}
    """
    scaled = _scaling(network)
    if scaled is None:
        return None

    def too_cheap(factor: float) -> bool:
        return _price(network, scaled(factor)) < multiply_adds

    low, high = 0.0, 1.0
    while too_cheap(high):
        low, high = high, 2 * high
        if high > _WIDEST:
            return None
    while scaled(low) != scaled(high):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if too_cheap(middle) else (low, middle)
    return scaled(high)


def _price(network: Any, params: dict[str, Any]) -> float:
    """Return the multiply-adds of the network with other parameters; nothing is allocated."""
    candidate = clone(network).set_params(**params)
    shape = network._input_shape
    with isolated(0, torch.device("cpu")), torch.device("meta"):
        module = candidate._make_module(shape, len(network.classes_))
    return network_cost(module, shape)[0]


def _scaling(network: Any) -> Callable[[float], dict[str, Any]] | None:
    """Return what makes parameters from a factor on the width; None where there is no width."""
    if isinstance(network, TorchMLPClassifier):
        sizes = network.hidden_layer_sizes
        return lambda factor: {"hidden_layer_sizes": _scaled(sizes, factor)}
    if isinstance(network, TorchCNNClassifier):
        return lambda factor: {"network": scaled_layers(network.network, factor)}
    if not isinstance(network, TorchClassifier):
        return None
    given = network.module_params or {}
    for name in ("hidden_layer_sizes", "width"):
        value = given.get(name, _default(mlp if network.module is None else network.module, name))
        if isinstance(value, Real) or np.ndim(value):
            return partial(_scaled_params, given, name, value)
    return None


def _scaled_params(given: dict[str, Any], name: str, value: Any, factor: float) -> dict[str, Any]:
    return {"module_params": {**given, name: _scaled(value, factor)}}


def _default(factory: Callable[..., Any], name: str) -> Any:
    """Return the default of a parameter; None where there is no such parameter, or no default."""
    try:
        parameter = inspect.signature(factory).parameters.get(name)
    except ValueError:
        return None
    empty = parameter is None or parameter.default is inspect.Parameter.empty
    return None if empty or parameter is None else parameter.default


def _scaled(value: Any, factor: float) -> Any:
    if np.ndim(value):
        return tuple(max(1, round(size * factor)) for size in value)
    return max(1, round(value * factor))
