"""What an augmented network costs beside its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cost import Cost, LayerRow, network_rows
from ..networks import HeadPlan
from ..networks.augmenting import OpenBase
from .routing import Routing


@dataclass(frozen=True)
class AugmentationReport:
    """The base network and the augmented one side by side; print it.

    Parameters
    ----------
    flat : Cost
        The base alone.
    total : Cost
        Everything that a prediction needs, multiply-adds as expected under real routing.
    heads : tuple of tuple of Cost
        Each head alone, its output weights included, for every round.
    frequencies : tuple of ndarray
        Share of the samples for which each head is evaluated.
    evaluate : {"all"}, int or float
        Which heads are evaluated.
    """

    flat: Cost
    total: Cost
    heads: tuple[tuple[Cost, ...], ...]
    frequencies: tuple[NDArray[np.float64], ...]
    evaluate: str | int | float

    @property
    def ratio(self) -> float:
        """Multiply-adds of the augmented network over those of its base."""
        return self.total.multiply_adds / self.flat.multiply_adds

    def __str__(self) -> str:
        n_heads = sum(len(round_) for round_ in self.heads)
        visited = sum(float(shares.sum()) for shares in self.frequencies)
        rows = [
            ("base", self.flat),
            (f"with {n_heads} heads, {visited:.1f} evaluated", self.total),
        ]
        lines = [f"{'':<32} {'multiply-adds':>14} {'parameters':>12}"]
        lines += [
            f"{name:<32} {round(cost.multiply_adds):>14,} {round(cost.parameters):>12,}"
            for name, cost in rows
        ]
        return "\n".join([*lines, f"{'ratio':<32} {f'{self.ratio:.3f}x':>14}"])


def augmentation_report(
    flat: Cost,
    base: OpenBase,
    plans: Sequence[HeadPlan],
    routing: Routing,
    classifier: str,
    evaluate: str | int | float,
) -> AugmentationReport:
    """Price an augmented network.

    Parameters
    ----------
    flat : Cost
        Of the base.
    base : OpenBase
        What the heads stand on.
    plans : sequence of HeadPlan
        The heads of each round.
    routing : Routing
        How often each head is evaluated.
    classifier : {"reinitialise", "warm", "keep"}
        Anything but ``"keep"`` has a classifier layer of its own, read for the labels of clusters
        that are evaluated. Where all are, the base's own classifier layer is not needed.
    evaluate : {"all"}, int or float
        As fitted.

    Returns
    -------
    AugmentationReport
    """
    shape = base.attach_shape
    heads = tuple(
        tuple(map(Cost, plan.multiply_adds(shape), plan.parameters(shape))) for plan in plans
    )
    total = flat
    for costs, shares in zip(heads, routing.frequencies, strict=True):
        for cost, share in zip(costs, shares, strict=True):
            total = total + cost.scaled(float(share))
    if _reads_own_stack(classifier, evaluate):
        n_outputs, n_own = base.tapped.classifier.out_features, base.n_own
        total = total + Cost(n_own * routing.n_labels_read, (n_own + 1) * n_outputs)
    return AugmentationReport(flat, total, heads, routing.frequencies, evaluate)


def _reads_own_stack(classifier: str, evaluate: str | int | float) -> bool:
    """Tell whether there is a second classifier layer, read beside the base's own."""
    return classifier != "keep" and evaluate != "all"


def cost_rows(
    base: OpenBase,
    plans: Sequence[HeadPlan],
    routing: Routing,
    classifier: str,
    evaluate: str | int | float,
) -> list[LayerRow]:
    """Price an augmented network layer by layer, see :func:`hierlearn.cost.layer_table`.

    Parameters and total are those of :func:`augmentation_report`.
    """
    module = base.tapped.module
    rows = list(network_rows(module, base.classifier._input_shape, section="base"))
    size = base.tapped.classifier.weight.element_size()
    if _reads_own_stack(classifier, evaluate):
        n_outputs = base.tapped.classifier.out_features
        price = (base.n_own * n_outputs, (base.n_own + 1) * n_outputs, size * n_outputs)
        share = routing.n_labels_read / n_outputs
        rows.append(LayerRow("classifier", "output", "Linear", (n_outputs,), *price, share))
    rounds = zip(plans, routing.frequencies, strict=True)
    for number, (plan, shares) in enumerate(rounds, start=1):
        prefix = f"round {number} / " if len(plans) > 1 else ""
        rows += head_rows(plan, base.attach_shape, shares, size, prefix)
    return rows


def head_rows(
    plan: HeadPlan,
    attach_shape: Sequence[int],
    frequencies: NDArray[np.float64],
    itemsize: int,
    prefix: str = "",
) -> list[LayerRow]:
    """Price the heads of one round layer by layer, see :func:`hierlearn.cost.layer_table`.

    Parameters
    ----------
    plan : HeadPlan
        The heads.
    attach_shape : sequence of int
        Shape of the features that they read.
    frequencies : ndarray of shape (n_heads,)
        Share of the samples for which each head is evaluated.
    itemsize : int
        Bytes of a number.
    prefix : str, default=""
        In front of the name of each section.

    Returns
    -------
    list of LayerRow
        A section for every head.
    """
    return [
        LayerRow(
            section=f"{prefix}head {head}",
            name=layer.name,
            kind=layer.kind,
            output_shape=layer.output_shape,
            multiply_adds=layer.multiply_adds,
            parameters=layer.parameters,
            activation_bytes=itemsize * int(np.prod(layer.output_shape)),
            share=float(frequencies[head]),
        )
        for head in range(plan.n_heads)
        for layer in plan.layers(attach_shape, head)
    ]
