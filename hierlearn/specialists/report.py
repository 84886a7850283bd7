"""What an augmented network costs beside its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cost import Cost, LayerRow
from ..networks import HeadPlan


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
    plans: Sequence[HeadPlan],
    frequencies: Sequence[NDArray[np.float64]],
    attach_shape: Sequence[int],
    n_own: int,
    n_labels_seen: float,
    classifier: str,
    evaluate: str | int | float,
) -> AugmentationReport:
    """Price an augmented network.

    Parameters
    ----------
    flat : Cost
        Of the base.
    plans : sequence of HeadPlan
        The heads of each round.
    frequencies : sequence of ndarray of shape (n_heads,)
        Share of the samples for which each head is evaluated.
    attach_shape : sequence of int
        Shape of the features that the heads read.
    n_own : int
        Units in the base's last hidden layer.
    n_labels_seen : float
        Labels in evaluated clusters of a sample, on average.
    classifier : {"reinitialise", "warm", "keep"}
        Anything but ``"keep"`` has a classifier layer of its own, read for the labels seen. Where
        all are, the base's own classifier layer is not needed.
    evaluate : {"all"}, int or float
        As fitted.

    Returns
    -------
    AugmentationReport
    """
    heads = tuple(
        tuple(
            Cost(price, size)
            for price, size in zip(
                plan.multiply_adds(attach_shape), plan.parameters(attach_shape), strict=True
            )
        )
        for plan in plans
    )
    total = flat
    for costs, shares in zip(heads, frequencies, strict=True):
        for cost, share in zip(costs, shares, strict=True):
            total = total + cost.scaled(float(share))
    if classifier != "keep" and evaluate != "all":
        n_outputs = 1 + max((max(codes) for plan in plans for codes in plan.members), default=-1)
        total = total + Cost(n_own * n_labels_seen, (n_own + 1) * n_outputs)
    return AugmentationReport(flat, total, heads, tuple(frequencies), evaluate)


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
