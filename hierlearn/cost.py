"""What a classifier costs: multiply-adds a sample and parameters, known without running it.

:func:`estimator_cost` is the whole price, :func:`layer_table` says which layer costs what.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

__all__ = [
    "Cost",
    "CostReport",
    "CostTable",
    "LayerRow",
    "decomposition_cost",
    "estimator_cost",
    "gate_cost",
    "layer_table",
    "network_rows",
]


@dataclass(frozen=True)
class Cost:
    """The price of one classifier.

    Parameters
    ----------
    multiply_adds : float
        Multiply-adds of one sample's prediction; NaN where unknown.
    parameters : float
        Numbers learnt and stored; NaN where unknown.

    Examples
    --------
    >>> Cost(100, 110) + Cost(20, 22)
    Cost(multiply_adds=120, parameters=132)
    """

    multiply_adds: float
    parameters: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.multiply_adds + other.multiply_adds, self.parameters + other.parameters)

    def scaled(self, share: float) -> Cost:
        """Return the cost of a part that only this share of the samples visits.

        Parameters
        ----------
        share : float
            Share of the samples, from 0 to 1.

        Returns
        -------
        cost : Cost
            Multiply-adds times the share; the parameters stay.
        """
        return Cost(self.multiply_adds * share, self.parameters)


FREE = Cost(0, 0)
UNKNOWN = Cost(math.nan, math.nan)


@dataclass(frozen=True)
class CostReport:
    """The flat network and the hierarchy side by side; print it.

    Parameters
    ----------
    flat : Cost
        The flat base alone.
    hierarchy : Cost
        Everything that a prediction needs, multiply-adds as expected under the routes that
        held-out samples take.
    clusters : tuple of Cost
        Each class assignment classifier alone.
    routing : str
        The routing the figures are for.
    keeps_flat : bool, default=False
        Whether predictions are the flat base's alone, as with ``mixing_ == 1``.
    """

    flat: Cost
    hierarchy: Cost
    clusters: tuple[Cost, ...]
    routing: str
    keeps_flat: bool = False

    @property
    def total(self) -> Cost:
        """Everything that a prediction needs: the hierarchy, as every report names its whole."""
        return self.hierarchy

    @property
    def ratio(self) -> float:
        """Multiply-adds of the hierarchy over those of the flat network; NaN where unknown."""
        if not self.flat.multiply_adds:
            return math.nan
        return self.hierarchy.multiply_adds / self.flat.multiply_adds

    def __str__(self) -> str:
        detail = "mixing 1: flat kept" if self.keeps_flat else f"routing {self.routing}"
        rows = [
            ("flat", self.flat),
            (f"hierarchy ({detail})", self.hierarchy),
        ]
        lines = [f"{'':<32} {'multiply-adds':>14} {'parameters':>12}"]
        lines += [
            f"{name:<32} {_figure(cost.multiply_adds):>14} {_figure(cost.parameters):>12}"
            for name, cost in rows
        ]
        ratio = "unknown" if math.isnan(self.ratio) else f"{self.ratio:.2f}x"
        lines.append(f"{'ratio':<32} {ratio:>14}")
        return "\n".join(lines)


def _figure(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{round(value):,}"


def estimator_cost(estimator: Any) -> Cost:
    """Price a fitted classifier.

    Parameters
    ----------
    estimator : classifier or None
        One of our networks, any estimator with ``coef_`` (one multiply-add per coefficient), a
        Pipeline (its last step), a search or selection (its winner), a hierarchy, a network with
        specialist heads, or None, which is free. Of other estimators the price is unknown: NaN.

    Returns
    -------
    Cost
        What one sample costs; NaN where unknown.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator_cost(LogisticRegression(max_iter=500).fit(X, y))
    Cost(multiply_adds=12, parameters=15)
    """
    if _is_free(estimator):
        return FREE
    if hasattr(estimator, "steps"):
        return estimator_cost(estimator.steps[-1][1])
    if hasattr(estimator, "best_estimator_"):
        return estimator_cost(estimator.best_estimator_)
    if hasattr(estimator, "cost_report"):
        return estimator.cost_report().total
    if hasattr(estimator, "module_"):
        from .networks.pricing import network_cost

        return Cost(*network_cost(estimator.module_, estimator._input_shape))
    if hasattr(estimator, "coef_"):
        n_coefficients = int(np.prod(estimator.coef_.shape))
        return Cost(n_coefficients, n_coefficients + int(np.size(estimator.intercept_)))
    return UNKNOWN


def _is_free(estimator: Any) -> bool:
    """Tell whether a prediction costs nothing, or nothing beyond what was computed already."""
    constant = estimator is None or isinstance(estimator, DummyClassifier)
    return constant or getattr(estimator, "_free", False)


def decomposition_cost(estimator: Any) -> CostReport:
    """Price a fitted HierarchicalDecompositionClassifier, see its ``cost_report``.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier
        Fitted.

    Returns
    -------
    report : CostReport
        Per-sample costs of the flat base and of the hierarchy.
    """
    flat = estimator_cost(estimator.base_estimator_)
    clusters = tuple(estimator_cost(fine) for fine in estimator.fine_estimators_)
    if estimator.mixing_ == 1.0:
        return CostReport(flat, flat, clusters, str(estimator.routing), keeps_flat=True)
    total = estimator_cost(estimator.hierarchy_estimator_)
    for cost, share in _source_costs(estimator, flat):
        total = total + cost.scaled(share)
    for share, cost in zip(estimator.route_frequencies_, clusters, strict=True):
        total = total + cost.scaled(float(share))
    return CostReport(flat, total, clusters, str(estimator.routing))


def gate_cost(estimator: Any) -> CostReport:
    """Price the trunk and the branch that names the cluster, without class assignment.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier
        Fitted.

    Returns
    -------
    report : CostReport
        Per-sample costs, with no cluster visited.
    """
    flat, family = estimator_cost(estimator.base_estimator_), estimator._family
    gate = estimator_cost(family.gate.estimator) + _trunk_cost(family.split)
    return CostReport(flat, gate, (), "gate alone")


def source_shares(estimator: Any) -> dict[Any, float]:
    """Return which share of the samples needs which source of a decomposition's members.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier
        Fitted.

    Returns
    -------
    dict of (None, str or transformer) to float
        Expected under the routes of held-out samples; where several clusters read a source, at most
        the sum of their shares.
    """
    family = estimator._family
    shares: dict[Any, float] = {}
    for member, share in zip(family.fine, estimator.route_frequencies_, strict=True):
        shares[member.source] = min(1.0, shares.get(member.source, 0.0) + float(share))
    if family.gate is not None:
        shares[family.gate.source] = 1.0
    if family.gate is None or estimator.mixing_ > 0:
        shares["flat"] = 1.0
    shares.pop(None, None)
    return shares


def _source_costs(estimator: Any, flat: Cost) -> Iterable[tuple[Cost, float]]:
    """Price what members read, with the share of the samples that needs it."""
    shares = source_shares(estimator)
    ground = estimator._family.ground
    by_flat = shares.pop("flat", 0.0)
    if by_flat:
        yield flat, by_flat
    by_trunk = shares.pop("trunk", 0.0)
    if by_trunk:
        trunk = _trunk_cost(ground.split)
        if by_flat and ground.base_on_trunk:  # the base has run it already, for some or for all
            yield Cost(trunk.multiply_adds, 0), max(by_trunk - by_flat, 0.0)
        else:
            yield trunk, by_trunk
    for source, share in shares.items():
        yield estimator_cost(source), share


def _trunk_cost(split: Any) -> Cost:
    from .networks.pricing import network_cost

    return Cost(*network_cost(split.trunk, split.network._input_shape))


# -- layer by layer ----------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerRow:
    """What one layer of a classifier costs a sample that passes it.

    Parameters
    ----------
    section : str
        Part of the classifier, such as "trunk" or the name of a cluster; empty where there is one.
    name : str
        Dotted name of the layer in its network.
    kind : str
        Name of its class.
    output_shape : tuple of int or None
        Shape of what it returns, without the batch dimension; None where unknown.
    multiply_adds, parameters : float
        As in :class:`Cost`.
    activation_bytes : float
        Memory of what it returns for one sample, at the network's precision; nothing for a layer
        that works in place or returns a view. NaN where unknown.
    share : float, default=1.0
        Share of the samples that pass it.
    """

    section: str
    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    multiply_adds: float
    parameters: float
    activation_bytes: float
    share: float = 1.0


_HEADINGS = ("layer", "kind", "output", "multiply-adds", "parameters", "output bytes")


@dataclass(frozen=True)
class CostTable:
    """What every layer of a classifier costs; print it, or hand ``to_records()`` to pandas.

    Parameters
    ----------
    rows : tuple of LayerRow
        In the order in which a sample passes them.
    """

    rows: tuple[LayerRow, ...]

    @property
    def total(self) -> Cost:
        """Cost of all layers, each scaled by the share of the samples that pass it."""
        return sum((_row_cost(row) for row in self.rows), FREE)

    @property
    def activation_bytes(self) -> float:
        """Memory of all layers' outputs for one sample that passes all of them."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def sections(self) -> dict[str, CostTable]:
        """The parts of the table, by section."""
        names = dict.fromkeys(row.section for row in self.rows)
        return {
            name: CostTable(tuple(row for row in self.rows if row.section == name))
            for name in names
        }

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dict for each row, with the fields of :class:`LayerRow`.

        Returns
        -------
        records : list of dict
            One for each row.
        """
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        lines: list[tuple[str, ...]] = [_HEADINGS]
        for name, section in self.sections.items():
            if name:
                shares = sorted({row.share for row in section.rows})
                label = name if shares == [1.0] else f"{name} ({_percent(shares)} of samples)"
                lines.append((label, *_figures(section)))
            lines += [_cells(row, indent="  " if name else "") for row in section.rows]
        routed = any(row.share != 1 for row in self.rows)
        lines.append(("total, as routed" if routed else "total", *_figures(self)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 3 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )


def _row_cost(row: LayerRow) -> Cost:
    cost = Cost(row.multiply_adds, row.parameters)
    return cost if row.share == 1 else cost.scaled(row.share)


def _percent(shares: Sequence[float]) -> str:
    lowest, highest = f"{shares[0]:.1%}", f"{shares[-1]:.1%}"
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _figures(table: CostTable) -> tuple[str, ...]:
    total = table.total
    figures = (total.multiply_adds, total.parameters, table.activation_bytes)
    return ("", "", *map(_figure, figures))


def _cells(row: LayerRow, indent: str) -> tuple[str, ...]:
    shape = "-" if row.output_shape is None else " x ".join(map(str, row.output_shape))
    figures = (row.multiply_adds, row.parameters, row.activation_bytes)
    return (indent + (row.name or "-"), row.kind, shape, *map(_figure, figures))


def layer_table(estimator: Any) -> CostTable:
    """Price a fitted classifier layer by layer.

    Parameters
    ----------
    estimator : classifier or None
        As in :func:`estimator_cost`. A decomposition has the sections "trunk" (the lower layers
        that its branches share), "base" (the rest of the flat network), "gate" and one for each
        cluster; layers that no prediction needs are left out.

    Returns
    -------
    CostTable
        Print it for a table.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from hierlearn import TorchMLPClassifier
    >>> from hierlearn.cost import layer_table
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier((8,), max_epochs=1, dtype="float32").fit(X, y)
    >>> print(layer_table(clf))
    layer        kind    output  multiply-adds  parameters  output bytes
    hidden1      Linear  8                  32          40            32
    activation1  ReLU    8                   0           0            32
    output       Linear  3                  24          27            12
    total                                   56          67            76
    >>> layer_table(clf).total
    Cost(multiply_adds=56, parameters=67)
    """
    return CostTable(tuple(_estimator_rows(estimator)))


def network_rows(
    module: Any, input_shape: Sequence[int], *, section: str = "", share: float = 1.0
) -> tuple[LayerRow, ...]:
    """Price the layers of a torch module.

    Parameters
    ----------
    module : torch.nn.Module
        Layers of one's own may declare their price, see :mod:`hierlearn.networks.pricing`.
    input_shape : sequence of int
        Shape of one sample.
    section : str, default=""
        Part of the classifier, such as "trunk" or the name of a cluster.
    share : float, default=1.0
        Share of the samples that pass the layers.

    Returns
    -------
    tuple of LayerRow
        One for each layer, in order.

    Examples
    --------
    >>> from hierlearn.cost import CostTable, network_rows
    >>> from hierlearn.networks import mlp
    >>> rows = network_rows(mlp(10, 3, hidden_layer_sizes=(20,)), (10,), section="head", share=0.5)
    >>> CostTable(rows).total
    Cost(multiply_adds=130.0, parameters=283)
    """
    from .networks.pricing import layer_costs

    return tuple(
        LayerRow(section, **asdict(layer), share=share)
        for layer in layer_costs(module, input_shape)
    )


def _estimator_rows(estimator: Any) -> Iterable[LayerRow]:
    if _is_free(estimator):
        return ()
    if hasattr(estimator, "_cost_rows"):  # an estimator of ours that knows its own parts
        return estimator._cost_rows()
    if hasattr(estimator, "steps"):
        return _estimator_rows(estimator.steps[-1][1])
    if hasattr(estimator, "best_estimator_"):
        return _estimator_rows(estimator.best_estimator_)
    if hasattr(estimator, "fine_estimators_"):
        return _decomposition_rows(estimator)
    if hasattr(estimator, "module_"):
        return network_rows(estimator.module_, estimator._input_shape)
    return (_single_row(estimator),)


def _single_row(estimator: Any) -> LayerRow:
    """Return the row of an estimator that has no layers, or none that we know."""
    cost = estimator_cost(estimator)
    kind, coefficients = type(estimator).__name__, getattr(estimator, "coef_", None)
    if coefficients is None:
        return LayerRow("", "", kind, None, cost.multiply_adds, cost.parameters, math.nan)
    n_outputs = len(np.atleast_2d(coefficients))
    n_bytes = n_outputs * coefficients.dtype.itemsize
    return LayerRow("", "coef_", kind, (n_outputs,), cost.multiply_adds, cost.parameters, n_bytes)


def _decomposition_rows(estimator: Any) -> Iterable[LayerRow]:
    """Price what :func:`decomposition_cost` does, in the same cases."""
    family = estimator._family
    trunk, above = _layer_names(family.split)
    flat = [
        replace(row, section="trunk") if _is_of(row, trunk) else row
        for row in _within("base", family.base)
    ]
    if estimator.mixing_ == 1.0:
        return flat
    shares = source_shares(estimator)
    needs = {"base": shares.pop("flat", 0.0), "trunk": shares.pop("trunk", 0.0)}
    if not family.ground.base_on_trunk:
        flat = list(_within("base", family.base)) + list(_trunk_rows(family.split))
    elif needs["base"]:
        needs["trunk"] = max(needs.values())
    rows = [replace(row, share=needs[row.section]) for row in flat if needs[row.section]]
    for source, share in shares.items():
        rows += _within("backbone", source, share)
    if family.gate is not None:
        layers = above if hasattr(family.gate.estimator, "head") else []
        rows += _within("gate", family.gate.estimator, layers=layers)
    clusters = family.partition.cluster_names, estimator.route_frequencies_
    for name, share, fine in zip(*clusters, estimator.fine_estimators_, strict=True):
        winner = getattr(fine, "best_estimator_", fine)
        layers = above if hasattr(winner, "head") else []
        rows += _within(str(name), winner, float(share), layers)
    return rows


def _trunk_rows(split: Any) -> Iterable[LayerRow]:
    return network_rows(split.trunk, split.network._input_shape, section="trunk")


def _layer_names(split: Any) -> tuple[list[str], list[str]]:
    """Return the names of a network's layers in the shared trunk, and above it."""
    if split is None:
        return [], []
    from .networks import chain

    names = [name for name, _ in chain(split.network.module_)]
    return names[: len(split.trunk)], names[len(split.trunk) :]


def _is_of(row: LayerRow, layers: Iterable[str]) -> bool:
    return any(row.name == name or row.name.startswith(f"{name}.") for name in layers)


def _within(
    section: str, estimator: Any, share: float = 1.0, layers: Sequence[str] = ()
) -> list[LayerRow]:
    """Return an estimator's rows as a section of a larger one.

    A branch numbers its layers; ``layers`` are the names that these have in the base.
    """
    rows = []
    for row in _estimator_rows(estimator):
        number, dot, inner = row.name.partition(".")
        rows.append(
            replace(
                row,
                section=f"{section} / {row.section}" if row.section else section,
                name=layers[int(number)] + dot + inner if layers else row.name,
                share=row.share * share,
            )
        )
    return rows
