"""Hierarchies and specialist heads as ONNX nodes: who is visited, and what the visits add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from .export_graph import Graph, Value
from .export_layers import columns, emit, product, reshaped
from .export_modules import (
    FLAT,
    ROWS,
    TRUNK,
    AugmentedPosteriors,
    Constant,
    FlatShare,
    Network,
    Part,
    Passing,
    RoutedPosteriors,
)
from .split import chain

Sources = dict[str, Value]


def emit_posteriors(graph: Graph, module: nn.Module, value: Value) -> Value:
    """Add a module of :mod:`hierlearn.networks.export_modules` to a graph.

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
    if isinstance(module, Network):
        if module.row_shape is not None:
            value = reshaped(graph, value, module.row_shape)
        found = emit(graph, module.module, value)
        return found if module.finish is None else _finished(graph, module.finish, found)
    if isinstance(module, RoutedPosteriors):
        return _hierarchy(graph, module, value)
    if isinstance(module, AugmentedPosteriors):
        return _augmented(graph, module, value)
    if isinstance(module, Passing):
        return value
    with torch.no_grad():
        example = module(value.example)
    if isinstance(module, FlatShare):
        return Value(_normalised(graph, columns(graph, value.name, module.columns)), example)
    if isinstance(module, Constant):
        row = graph.constant(module.values[None])
        shape = graph.op("Concat", _n_rows(graph, value.name), _integers(graph, 1), axis=0)
        return Value(graph.op("Expand", row, shape), example)
    raise TypeError(f"module must be one of those that as_module returns. Got {module} instead.")


# -- a hierarchy ---------------------------------------------------------------------------------


def _hierarchy(graph: Graph, module: RoutedPosteriors, value: Value) -> Value:
    sources = {ROWS: value}
    if module.trunk is not None:
        sources[TRUNK] = emit_posteriors(graph, module.trunk, value)
    if module.flat is not None:
        sources[FLAT] = _spread(graph, module.flat, sources, module.n_classes)
    parts: Any = module.members
    gate = _spread(graph, module.gate, sources, len(parts))
    weights = _routed(graph, gate.name, module.visited, len(parts))
    conditional = module.visited is not None
    total = _added_up(graph, list(parts), weights, sources, module.n_classes, conditional)
    with torch.no_grad():
        example = module(value.example)
    if not module.mixing:
        return Value(total, example)
    flat = graph.op("Mul", sources[FLAT].name, _number(graph, module.mixing))
    total = graph.op("Mul", total, _number(graph, 1 - module.mixing))
    return Value(graph.op("Add", flat, total), example)


def _spread(graph: Graph, part: Part, sources: Sources, n_columns: int) -> Value:
    """Return a part's columns in their places, those of equal code added up."""
    found = emit_posteriors(graph, part.network, sources[part.source])
    codes = list(part.columns)
    if codes == list(range(n_columns)):
        return found
    sums = np.zeros((n_columns, len(codes)), dtype=np.float32)
    sums[codes, range(len(codes))] = 1.0
    with torch.no_grad():
        example = found.example @ torch.from_numpy(sums).T
    return Value(product(graph, found.name, sums), example)


def _routed(graph: Graph, gate: str, visited: int | float | None, n_clusters: int) -> str:
    """Add what :func:`hierlearn.networks.export_modules.routed` computes."""
    gate = _where_any(graph, gate)
    if visited is None:
        return _normalised(graph, gate)
    k = int(visited) if isinstance(visited, Integral) else 1
    kept = _largest(graph, gate, k, n_clusters)
    if not isinstance(visited, Integral):
        likely = graph.op("GreaterOrEqual", gate, _number(graph, visited))
        kept = graph.op("Or", kept, likely)
    return _normalised(graph, graph.op("Where", kept, gate, _number(graph, 0.0)))


def _largest(graph: Graph, scores: str, k: int, n_columns: int) -> str:
    """Mark the k largest of every row; ties go to the lowest numbers."""
    _, best = graph.ops("TopK", 2, scores, _integers(graph, k), axis=1)
    # One comparison a place: (n, k, 1) == (n_columns,), any of the k.
    best = graph.op("Unsqueeze", best, _integers(graph, 2))
    hits = graph.op("Equal", best, graph.constant(range(n_columns), "int64"))
    counts = graph.op(
        "ReduceSum", graph.op("Cast", hits, to=_FLOAT), _integers(graph, 1), keepdims=0
    )
    return graph.op("Greater", counts, _number(graph, 0.0))


# -- a network with specialist heads -------------------------------------------------------------


def _augmented(graph: Graph, module: AugmentedPosteriors, value: Value) -> Value:
    value = reshaped(graph, value, module.row_shape)
    logits, attach, own = _tapped(graph, module, value)
    rounds: Any = module.rounds
    parts = [list(heads) for heads in rounds]
    with torch.no_grad():
        example = module(value.example)
    visits: list[str | None] = [None] * len(parts)
    if module.evaluate != "all":
        posteriors = _finished(graph, module.finish, logits)
        visits = [_visits(graph, module, n, posteriors.name) for n in range(len(parts))]
    start = logits.name
    if module.classifier is not None:
        start = emit(graph, module.classifier, own).name
        if module.evaluate != "all":
            start = graph.op("Where", _seen(graph, module, visits), start, logits.name)
    for heads, visit in zip(parts, visits, strict=True):
        conditional = visit is not None
        added = _added_up(graph, heads, visit, {"attach": attach}, module.n_outputs, conditional)
        start = graph.op("Add", start, added)
    return _finished(graph, module.finish, Value(start, example))


def _tapped(graph: Graph, module: AugmentedPosteriors, value: Value) -> list[Value]:
    """Return the base's logits, its features at the attach point and its last hidden layer."""
    tapped = module.base
    if not isinstance(tapped.points.attach, int):
        return graph.torch_module(tapped, value)
    layers = [layer for _, layer in chain(tapped.module)]
    attach = value
    for number, layer in enumerate(layers[:-1]):
        value = emit(graph, layer, value)
        if number + 1 == tapped.points.attach:
            attach = value
    return [emit(graph, layers[-1], value), attach, value]


def _visits(graph: Graph, module: AugmentedPosteriors, number: int, posteriors: str) -> str:
    """Add what :func:`hierlearn.networks.visited_clusters` computes, 0 and 1."""
    wiring, evaluate = module.wiring(number), module.evaluate
    mass = product(graph, posteriors, wiring)
    n_heads = len(wiring)
    if isinstance(evaluate, Integral):
        kept = _largest(graph, mass, min(int(evaluate), n_heads), n_heads)
    else:
        kept = graph.op("GreaterOrEqual", mass, _number(graph, float(evaluate)))
    return graph.op("Cast", kept, to=_FLOAT)


def _seen(graph: Graph, module: AugmentedPosteriors, visits: Sequence[Any]) -> str:
    """Tell which labels have a head that is visited."""
    found = [product(graph, visit, module.wiring(number).T) for number, visit in enumerate(visits)]
    total = found[0] if len(found) == 1 else graph.op("Sum", *found)
    return graph.op("Greater", total, _number(graph, 0.0))


# -- what both have in common --------------------------------------------------------------------


@dataclass(frozen=True)
class _Visiting:
    """What the visits of one round have in common.

    Parameters
    ----------
    weights : str
        Of clusters by rows, shape (n_clusters, n_samples).
    any : list of str
        Whether any row visits, one a cluster.
    n_rows : str
        Number of rows, shape (1,).
    """

    weights: str
    any: list[str]
    n_rows: str


def _added_up(
    graph: Graph,
    parts: Sequence[Part],
    weights: str | None,
    sources: Sources,
    n_columns: int,
    conditional: bool,
) -> str:
    """Return ``sum_i weight_i * part_i`` with every part's columns in their places."""
    order = [code for part in parts for code in part.columns]
    if conditional and weights is not None:
        visiting = _visiting(graph, weights, len(parts))
        found = [
            _if_visited(graph, part, number, visiting, sources) for number, part in enumerate(parts)
        ]
        return _placed(graph, found, order, n_columns)
    found = [_computed(graph, part, sources).name for part in parts]
    if weights is not None:
        found = [
            graph.op("Mul", value, columns(graph, weights, [number]))
            for number, value in enumerate(found)
        ]
    return _placed(graph, found, order, n_columns)


def _visiting(graph: Graph, weights: str, n_clusters: int) -> _Visiting:
    visited = graph.op("ReduceMax", weights, _integers(graph, 0), keepdims=0)
    visited = graph.op("Greater", visited, _number(graph, 0.0))
    each = [visited]
    if n_clusters > 1:
        each = graph.ops("Split", n_clusters, visited, axis=0, num_outputs=n_clusters)
    by_cluster = graph.op("Transpose", weights, perm=[1, 0])
    return _Visiting(by_cluster, each, _n_rows(graph, weights))


def _if_visited(
    graph: Graph, part: Part, number: int, visiting: _Visiting, sources: Sources
) -> str:
    """Evaluate a part for the rows that visit it, if there are any; zeros elsewhere."""

    def zeros(inner: Graph) -> str:
        shape = [visiting.n_rows, _integers(inner, len(part.columns))]
        return inner.op("ConstantOfShape", inner.op("Concat", *shape, axis=0))

    def visited(inner: Graph) -> str:
        weight = inner.op("Gather", visiting.weights, inner.constant(number, "int64"), axis=0)
        places = inner.op("Transpose", inner.op("NonZero", weight), perm=[1, 0])
        rows = inner.op("Squeeze", places, _integers(inner, 1))
        source = sources[part.source]
        taken = Value(inner.op("Gather", source.name, rows, axis=0), source.example)
        value = _computed(inner, part, {part.source: taken}).name
        own = inner.op("GatherND", weight, places)
        value = inner.op("Mul", value, inner.op("Unsqueeze", own, _integers(inner, 1)))
        return inner.op("ScatterND", zeros(inner), places, value)

    return graph.choose(visiting.any[number], visited, zeros)


def _computed(graph: Graph, part: Part, sources: Sources) -> Value:
    """Add a part: posteriors of a hierarchy's member, logits of a head."""
    value = sources[part.source]
    if isinstance(part.network, nn.Sequential):
        return emit(graph, part.network, value)
    return emit_posteriors(graph, part.network, value)


def _placed(graph: Graph, parts: list[str], order: list[int], n_columns: int) -> str:
    """Put columns in their places, adding up those that have the same.

    Gathering is exact and costs what is gathered: once for the first column of every place, once
    more for the second where there is one, and so on. Places without any take a column of zeros.
    """
    places = defaultdict(list)
    for column, code in enumerate(order):
        places[code].append(column)
    depth = max(map(len, places.values()))
    whole = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)
    nothing = len(order)
    if any(len(places[code]) < depth for code in range(n_columns)):
        pads = graph.constant([0, 0, 0, 1], "int64")
        whole = graph.op("Pad", whole, pads)
    layers = [
        columns(graph, whole, [(places[code] + depth * [nothing])[n] for code in range(n_columns)])
        for n in range(depth)
    ]
    return layers[0] if depth == 1 else graph.op("Sum", *layers)


_FLOAT = 1  # onnx.TensorProto.FLOAT


def _finished(graph: Graph, finish: str, logits: Value) -> Value:
    if finish == "sigmoid":
        return Value(graph.op("Sigmoid", logits.name), logits.example.sigmoid())
    return Value(graph.op("Softmax", logits.name, axis=1), logits.example.softmax(dim=1))


def _normalised(graph: Graph, scores: str) -> str:
    scores = _where_any(graph, scores)
    return graph.op("Div", scores, graph.op("ReduceSum", scores, _integers(graph, 1), keepdims=1))


def _where_any(graph: Graph, scores: str) -> str:
    """Return scores with rows of zeros replaced by ones."""
    sums = graph.op("ReduceSum", scores, _integers(graph, 1), keepdims=1)
    known = graph.op("Greater", sums, _number(graph, 0.0))
    return graph.op("Where", known, scores, _number(graph, 1.0))


def _n_rows(graph: Graph, x: str) -> str:
    return graph.op("Shape", x, start=0, end=1)


def _number(graph: Graph, value: float) -> str:
    return graph.constant(value, "float32")


def _integers(graph: Graph, *values: int) -> str:
    return graph.constant(values, "int64")
