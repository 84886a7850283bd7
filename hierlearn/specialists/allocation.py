"""How wide each head is: capacity for every group of labels, under one budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Matrix, check_choice
from ..networks import maps_multiply_adds, stack_multiply_adds
from ..partition import LabelPartition

ALLOCATIONS = ("equal", "cardinality", "data", "difficulty")
"""Names that :func:`capacity_shares` knows."""

DEFAULT_HEAD_SIZES = (512, 512)
"""Units of a head's layers in the paper."""

_WIDEST = 2**16


@dataclass(frozen=True)
class BaseShape:
    """What the price of heads depends on.

    Parameters
    ----------
    multiply_adds : float
        Of the base network, for one sample.
    n_own : int
        Units in its last hidden layer.
    attach_shape : tuple of int
        Shape of the features that the heads read.
    retrains_classifier : bool
        Whether output units of evaluated clusters read the own stack again, through a classifier
        layer of their own.
    """

    multiply_adds: float
    n_own: int
    attach_shape: tuple[int, ...]
    retrains_classifier: bool


def capacity_shares(
    allocation: str,
    partition: LabelPartition,
    counts: NDArray[np.float64],
    confusion: Matrix | None,
) -> NDArray[np.float64]:
    """Return how much capacity each cluster's head is given, relative to the others.

    Parameters
    ----------
    allocation : {"equal", "cardinality", "data", "difficulty"}
        The same for every cluster; in proportion to its labels; to the training samples of its
        labels; or to how much of its labels' held-out mass goes to other labels of the cluster.
    partition : LabelPartition
        The clusters, overlap included.
    counts : ndarray of shape (n_classes,)
        Training samples of each class, by weight.
    confusion : ndarray or csr_array of shape (n_classes, n_classes), or None
        For ``"difficulty"``.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positive, with mean one.

    Raises
    ------
    ValueError
        If the allocation is unknown, or ``"difficulty"`` has no confusion to go by.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), sec. 6, which names the three as open questions.

    Examples
    --------
    >>> partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    >>> capacity_shares("cardinality", partition, np.ones(3), None).round(2).tolist()
    [1.33, 0.67]
    """
    check_choice(allocation, ALLOCATIONS, "allocation")
    if allocation == "difficulty" and confusion is None:
        raise ValueError(
            "allocation='difficulty' needs a confusion to measure it by. Got a ready partition and "
            "no held-out scores instead; give a partitioner, or another allocation."
        )
    members = [partition.members(cluster) for cluster in range(partition.n_clusters)]
    shares = np.array([_weight_of(allocation, codes, counts, confusion) for codes in members])
    # A head for labels that are never confused still needs a unit.
    shares = np.maximum(shares, 1e-3 * shares.max() if shares.any() else 1.0)
    return shares / shares.mean()


def _weight_of(
    allocation: str, codes: NDArray[np.int64], counts: NDArray[np.float64], confusion: Any
) -> float:
    if allocation == "equal":
        return 1.0
    if allocation == "cardinality":
        return float(len(codes))
    if allocation == "data":
        return float(counts[codes].sum())
    rows = confusion[codes]
    total = np.maximum(np.asarray(rows.sum(axis=1)).ravel(), np.finfo(float).tiny)
    inside = rows[:, codes]
    confused = np.asarray(inside.sum(axis=1)).ravel() - inside.diagonal()
    return float(np.mean(confused / total))


def head_widths(
    head_sizes: Sequence[int] | None,
    n_members: Sequence[int],
    shares: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    base: BaseShape,
    budget: float | None,
    maps: Sequence[int] = (),
    n_rounds: int = 1,
) -> tuple[tuple[int, ...], ...]:
    """Choose the widths of every head's layers.

    Parameters
    ----------
    head_sizes : sequence of int or None
        Units of the layers of a head with a share of one. None is ``(512, 512)``, or with a budget
        two layers of as many units as it affords.
    n_members : sequence of int
        Labels of each head.
    shares : ndarray of shape (n_heads,)
        See :func:`capacity_shares`. Heads with equal shares have equal widths; else a head's
        multiply-adds are in proportion to its share.
    frequencies : ndarray of shape (n_heads,)
        Share of the samples for which each head is evaluated.
    base : BaseShape
        What the heads stand on.
    budget : float or None
        Multiply-adds of the whole, expected under the frequencies, over those of the base.
    maps : sequence of int, default=()
        Convolutional maps in front of the layers.
    n_rounds : int, default=1
        Rounds that share the budget; these heads are given that part of it.

    Returns
    -------
    tuple of tuple of int
        Widths of each head's layers.

    Raises
    ------
    ValueError
        If ``head_sizes`` cost more than the budget, or it does not pay for one unit a head.
    """
    fixed, n_inputs = maps_multiply_adds(maps, base.attach_shape)

    def cost(widths: Sequence[int], outputs: int) -> int:
        own = base.n_own * outputs if base.retrains_classifier else 0
        return fixed + own + stack_multiply_adds(n_inputs, widths, outputs)

    def expected(heads: Sequence[Sequence[int]]) -> float:
        prices = [cost(w, n) for w, n in zip(heads, n_members, strict=True)]
        return float(np.dot(frequencies, prices))

    template = tuple(DEFAULT_HEAD_SIZES if head_sizes is None else head_sizes)
    allowed = None if budget is None else (budget - 1) * base.multiply_adds / n_rounds
    wanted = [template] * len(n_members)
    if allowed is not None and head_sizes is not None and expected(wanted) > allowed:
        raise ValueError(_too_wide(head_sizes, expected(wanted), budget, allowed))
    equal = np.allclose(shares, 1)
    if not template and not equal:
        raise ValueError(
            "allocation must be 'equal' for linear heads, head_sizes=(), which have no units to "
            f"share out. Got shares of {np.round(shares, 2).tolist()} instead; give head_sizes, or "
            "None."
        )
    if equal and (allowed is None or head_sizes is not None):
        return tuple(wanted)
    total = allowed if allowed is not None and head_sizes is None else expected(wanted)

    def heads_at(scale: float) -> list[tuple[int, ...]]:
        if equal:
            return [_scaled(template, scale)] * len(n_members)
        return [
            _affordable(template, scale * share * total, lambda w, n=n: cost(w, n))
            for share, n in zip(shares, n_members, strict=True)
        ]

    low = _largest(lambda scale: expected(heads_at(scale)) <= total)
    heads = heads_at(low)
    if expected(heads) > total * (1 + 1e-9):
        raise ValueError(_too_small(budget, n_rounds * expected(heads), base))
    return tuple(heads)


def _scaled(template: Sequence[int], scale: float) -> tuple[int, ...]:
    return tuple(min(max(1, int(size * scale)), _WIDEST) for size in template)


def _affordable(template: Sequence[int], price: float, cost: Any) -> tuple[int, ...]:
    """Return the widest layers, in the template's proportions, that cost no more than the price."""
    return _scaled(template, _largest(lambda scale: cost(_scaled(template, scale)) <= price))


def _largest(fits: Any) -> float:
    """Return the largest factor that fits, zero if none does, by doubling and bisection."""
    high = 1.0
    while fits(high) and high < _WIDEST:
        high *= 2
    low = 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _too_wide(sizes: Sequence[int], price: float, budget: float | None, allowed: float) -> str:
    return (
        f"head_sizes must cost no more than budget={budget} allows, {allowed:,.0f} multiply-adds a "
        f"sample. Got {tuple(sizes)}, which cost {price:,.0f}, instead; give smaller sizes, or "
        "None to have them chosen."
    )


def _too_small(budget: float | None, price: float, base: BaseShape) -> str:
    least = math.ceil(1000 * (1 + price / base.multiply_adds)) / 1000
    return (
        "budget must pay for heads of one unit a layer and for the output weights of the clusters "
        f"evaluated, {least:.3f} here. Got {budget} instead; raise it, evaluate fewer clusters, "
        "give fewer head_sizes, or set classifier='keep'."
    )
