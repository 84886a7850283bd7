"""Layers of networks as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from .adaptive_output import AdaptiveOutput
from .export_graph import Graph, Value
from .sampled_output import SampledOutput
from .split import chain, is_chain
from .standardise import Standardise
from .two_level_output import TwoLevelOutput

Emit = Callable[[Graph, Any, Value], str]


def emit(graph: Graph, module: nn.Module, value: Value) -> Value:
    """Add a network to a graph.

    Chains go layer by layer. Layers that are not known here go through torch's own exporter, which
    takes seconds and needs the package onnxscript.

    Parameters
    ----------
    graph : Graph
    module : torch.nn.Module
        In single precision and evaluation mode.
    value : Value
        What it reads.

    Returns
    -------
    Value
        What it returns.
    """
    if is_chain(module):
        for _, layer in chain(module):
            value = emit(graph, layer, value)
        return value
    if isinstance(module, nn.Identity | _DropoutNd):
        return value
    known = _LAYERS.get(type(module))
    hooked = module._forward_hooks or module._forward_pre_hooks
    if known is None or hooked or not _as_usual(module, value.example):
        return graph.torch_module(module, value)[0]
    with torch.no_grad():
        example = module(value.example)
    return Value(known(graph, module, value), example)


def _as_usual(layer: Any, example: torch.Tensor) -> bool:
    """Tell whether a layer is used in the way that its node here stands for."""
    if isinstance(layer, nn.Linear):
        return example.ndim == 2
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, nn.MaxPool2d):
        return not layer.ceil_mode and not layer.return_indices
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return layer.running_mean is not None
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim in (-1, example.ndim - 1)
    if isinstance(layer, nn.Unflatten):
        return example.ndim == 2 and layer.dim in (1, -1)
    return not (isinstance(layer, nn.GELU) and layer.approximate != "none")


def reshaped(graph: Graph, value: Value, row_shape: Sequence[int]) -> Value:
    """Return rows in another shape."""
    if tuple(value.example.shape[1:]) == tuple(row_shape):
        return value
    shape = graph.constant([-1, *row_shape], "int64")
    return Value(graph.op("Reshape", value.name, shape), value.example.reshape(-1, *row_shape))


def product(graph: Graph, x: str, weight: Any, bias: Any = None) -> str:
    """Return ``x @ weight.T + bias``."""
    inputs = [x, graph.constant(weight)]
    if bias is not None:
        inputs.append(graph.constant(bias))
    return graph.op("Gemm", *inputs, transB=1)


def columns(graph: Graph, x: str, codes: Any) -> str:
    """Return columns by their numbers."""
    return graph.op("Gather", x, graph.constant(codes, "int64"), axis=1)


def _linear(graph: Graph, layer: Any, value: Value) -> str:
    return product(graph, value.name, layer.weight, layer.bias)


def _conv(graph: Graph, layer: Any, value: Value) -> str:
    inputs = [value.name, graph.constant(layer.weight)]
    if layer.bias is not None:
        inputs.append(graph.constant(layer.bias))
    return graph.op(
        "Conv",
        *inputs,
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=2 * _pair(layer.padding),
        dilations=_pair(layer.dilation),
        group=layer.groups,
    )


def _max_pool(graph: Graph, layer: Any, value: Value) -> str:
    return graph.op(
        "MaxPool",
        value.name,
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=2 * _pair(layer.padding),
        dilations=_pair(layer.dilation),
    )


def _pair(sides: Any) -> list[int]:
    return [sides, sides] if isinstance(sides, int) else list(sides)


def _batch_norm(graph: Graph, layer: Any, value: Value) -> str:
    mean, variance = layer.running_mean, layer.running_var
    weight = torch.ones_like(mean) if layer.weight is None else layer.weight
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias
    names = [graph.constant(values) for values in (weight, bias, mean, variance)]
    return graph.op("BatchNormalization", value.name, *names, epsilon=layer.eps)


def _response_norm(graph: Graph, layer: Any, value: Value) -> str:
    return graph.op(
        "LRN",
        value.name,
        size=layer.size,
        alpha=float(layer.alpha),
        beta=float(layer.beta),
        bias=float(layer.k),
    )


def _gelu(graph: Graph, layer: Any, value: Value) -> str:
    scaled = graph.op("Mul", value.name, graph.constant(math.sqrt(0.5), "float32"))
    share = graph.op("Add", graph.op("Erf", scaled), graph.constant(1.0, "float32"))
    half = graph.op("Mul", value.name, graph.constant(0.5, "float32"))
    return graph.op("Mul", half, share)


def _standardise(graph: Graph, layer: Any, value: Value) -> str:
    centred = graph.op("Sub", value.name, graph.constant(layer.mean))
    return graph.op("Div", centred, graph.constant(layer.deviation))


def _flatten(graph: Graph, layer: Any, value: Value) -> str:
    return reshaped(graph, value, [math.prod(value.example.shape[1:])]).name


def _unflatten(graph: Graph, layer: Any, value: Value) -> str:
    return reshaped(graph, value, layer.unflattened_size).name


def _plain(kind: str) -> Emit:
    return lambda graph, layer, value: graph.op(kind, value.name)


def _sampled(graph: Graph, layer: Any, value: Value) -> str:
    logits = product(graph, value.name, layer.weight[:, :-1], layer.weight[:, -1])
    return graph.op("LogSoftmax", logits, axis=1)


def _two_level(graph: Graph, layer: Any, value: Value) -> str:
    """Add the log-probabilities of clusters and of the classes in each, all of them."""
    clusters = graph.op("LogSoftmax", _linear(graph, layer.gate, value), axis=1)
    parts, order = [], []
    for number, weight in enumerate(layer.weights):
        codes, of = layer.get_buffer(f"codes{number}"), layer.get_buffer(f"clusters{number}")
        own = weight.reshape(-1, layer.in_features + 1)
        # What pads a cluster to the width of others has no probability.
        bias = own[:, -1].masked_fill(codes.flatten() < 0, torch.finfo(own.dtype).min / 2)
        scores = product(graph, value.name, own[:, :-1], bias)
        scores = graph.op("Reshape", scores, graph.constant([-1, *codes.shape], "int64"))
        scores = graph.op("LogSoftmax", scores, axis=2)
        gate = graph.op("Unsqueeze", columns(graph, clusters, of), graph.constant([2], "int64"))
        scores = graph.op("Add", scores, gate)
        parts.append(graph.op("Flatten", scores, axis=1))
        order += codes.flatten().tolist()
    whole = graph.op("Concat", *parts, axis=1)
    place = {code: column for column, code in enumerate(order) if code >= 0}
    return columns(graph, whole, [place[code] for code in range(layer.n_classes)])


def _adaptive(graph: Graph, layer: Any, value: Value) -> str:
    """Add the log-probabilities of frequent classes, clusters, and classes in the clusters."""
    if not layer.cutoffs:
        head = graph.op("LogSoftmax", _linear(graph, layer.softmax, value), axis=1)
        return columns(graph, head, layer.ranks)
    head = graph.op("LogSoftmax", _linear(graph, layer.softmax.head, value), axis=1)
    frequent = layer.cutoffs[0]
    parts = [columns(graph, head, range(frequent))]
    for number, tail in enumerate(layer.softmax.tail):
        narrow = product(graph, value.name, tail[0].weight, tail[0].bias)
        inside = graph.op("LogSoftmax", product(graph, narrow, tail[1].weight), axis=1)
        parts.append(graph.op("Add", inside, columns(graph, head, [frequent + number])))
    return columns(graph, graph.op("Concat", *parts, axis=1), layer.ranks)


_LAYERS: dict[type[nn.Module], Emit] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.MaxPool2d: _max_pool,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LocalResponseNorm: _response_norm,
    nn.ReLU: _plain("Relu"),
    nn.Tanh: _plain("Tanh"),
    nn.Sigmoid: _plain("Sigmoid"),
    nn.GELU: _gelu,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    Standardise: _standardise,
    SampledOutput: _sampled,
    TwoLevelOutput: _two_level,
    AdaptiveOutput: _adaptive,
}
