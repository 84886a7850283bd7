"""From a partition to the plan of its heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import Matrix
from ..networks import HeadPlan
from ..networks.augmenting import OpenBase
from ..partition import LabelPartition
from .allocation import BaseShape, capacity_shares, head_widths


def members_of(partition: LabelPartition) -> tuple[tuple[int, ...], ...]:
    """Return the codes of every cluster's labels, overlaps included."""
    clusters = range(partition.n_clusters)
    return tuple(tuple(partition.members(cluster).tolist()) for cluster in clusters)


def check_sizes(sizes: Sequence[Any] | None, name: str) -> Any:
    """Return sizes of layers as a tuple of ints; None stays None.

    Raises
    ------
    ValueError
        If one is not a positive integer.
    """
    if sizes is None:
        return None
    given = list(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in given):
        raise ValueError(
            f"{name} must hold positive integers, such as (64, 64). Got {sizes!r} instead."
        )
    return tuple(int(size) for size in given)


def check_attach_shape(shape: tuple[int, ...], maps: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the features that heads read.

    Raises
    ------
    ValueError
        If there are to be convolutional maps on features that are no maps.
    """
    if maps and len(shape) != 3:
        raise ValueError(
            "head_maps need an attach point with features of shape (channels, height, width). Got "
            f"{shape} instead; name a convolutional layer by attach_at, or leave head_maps empty."
        )
    return shape


@dataclass(frozen=True)
class HeadSettings:
    """What the caller says about the shape of heads; nothing in it is learnt.

    Parameters
    ----------
    sizes : tuple of int or None
        Units of a head's layers.
    maps : tuple of int
        Its convolutional maps.
    allocation : str
        How capacity is shared out.
    budget : float or None
        Multiply-adds of the whole over the base's.
    reads_own_stack : bool
        Whether output units of evaluated clusters read the own stack again.
    """

    sizes: tuple[int, ...] | None
    maps: tuple[int, ...]
    allocation: str
    budget: float | None
    reads_own_stack: bool


def plan_heads(
    partitions: Sequence[LabelPartition],
    frequencies: Sequence[NDArray[np.float64]],
    base: OpenBase,
    settings: HeadSettings,
    counts: NDArray[np.float64],
    confusion: Matrix | None,
) -> tuple[HeadPlan, ...]:
    """Plan the heads of every round, before any is trained.

    Parameters
    ----------
    partitions : sequence of LabelPartition
        One for every round; the budget is shared out evenly among them.
    frequencies : sequence of ndarray of shape (n_clusters,)
        How often each head is evaluated.
    base : OpenBase
        What the heads stand on.
    settings : HeadSettings
        Their shape.
    counts : ndarray of shape (n_classes,)
        Training samples of each class.
    confusion : ndarray or csr_array of shape (n_classes, n_classes), or None
        For allocation by difficulty.

    Returns
    -------
    tuple of HeadPlan
    """
    shape = BaseShape(
        multiply_adds=base.multiply_adds(),
        n_own=base.n_own,
        attach_shape=check_attach_shape(base.attach_shape, settings.maps),
        retrains_classifier=settings.reads_own_stack,
    )
    plans = []
    for partition, visits in zip(partitions, frequencies, strict=True):
        members = members_of(partition)
        shares = capacity_shares(settings.allocation, partition, counts, confusion)
        n_members = [len(codes) for codes in members]
        widths = head_widths(
            settings.sizes,
            n_members,
            shares,
            visits,
            shape,
            settings.budget,
            settings.maps,
            len(partitions),
        )
        plans.append(HeadPlan(members, widths, settings.maps))
    return tuple(plans)
