"""Partitioners by name."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from hierlearn._validation import check_choice
from hierlearn.partition.centroids import CentroidPartitioner
from hierlearn.partition.label_partition import LabelPartition
from hierlearn.partition.linkage import ConfusionLinkagePartitioner
from hierlearn.partition.random import RandomPartitioner
from hierlearn.partition.spectral import ConfusionSpectralPartitioner
from hierlearn.partition.taxonomy import TaxonomyPartitioner

__all__ = ["PARTITIONERS", "resolve_partitioner"]

PARTITIONERS: dict[str, type[Any]] = {
    "centroid": CentroidPartitioner,
    "linkage": ConfusionLinkagePartitioner,
    "random": RandomPartitioner,
    "spectral": ConfusionSpectralPartitioner,
    "taxonomy": TaxonomyPartitioner,
}
"""Partitioners by the names that :func:`resolve_partitioner` knows."""


def resolve_partitioner(partitioner: Any = None) -> Any:
    """Return the partitioner that a name, an object or a finished partition stands for.

    Parameters
    ----------
    partitioner : {"centroid", "linkage", "random", "spectral", "taxonomy"}, partitioner, \
            LabelPartition, mapping or None, default=None
        A name gives that partitioner with its default parameters, a partition or a mapping of
        groups a :class:`TaxonomyPartitioner` of it, None the linkage.

    Returns
    -------
    partitioner : estimator
        Not fitted, unless it was; an estimator is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the choices.
    TypeError
        If it is not a partitioner: it has no ``fit``, or one that takes no ``classes`` although
        it does not say by ``partition_input`` what it does take, or is a class.

    Examples
    --------
    >>> from hierlearn.partition import resolve_partitioner
    >>> resolve_partitioner("spectral")
    ConfusionSpectralPartitioner()
    """
    if partitioner is None:
        return ConfusionLinkagePartitioner()
    if isinstance(partitioner, str):
        return PARTITIONERS[check_choice(partitioner, PARTITIONERS, "partitioner")]()
    if isinstance(partitioner, LabelPartition | Mapping):
        return TaxonomyPartitioner(partitioner)
    if isinstance(partitioner, type):
        raise TypeError(
            f"partitioner must be an instance: write {partitioner.__name__}(). "
            f"Got the class {partitioner.__name__} instead."
        )
    if not hasattr(partitioner, "fit"):
        listed = ", ".join(repr(name) for name in PARTITIONERS)
        raise TypeError(
            f"partitioner must be one of {listed}, a LabelPartition, or an object with fit. "
            f"Got {partitioner!r} instead."
        )
    if not (hasattr(partitioner, "partition_input") or _takes_classes(partitioner)):
        raise TypeError(
            "partitioner must cluster classes, by fit(confusion, classes=...), and set partition_. "
            f"Got {type(partitioner).__name__}, whose fit takes no classes, instead; put its "
            "clusters into a LabelPartition."
        )
    return partitioner


def _takes_classes(partitioner: Any) -> bool:
    parameters = signature(partitioner.fit).parameters.values()
    return any(p.name == "classes" or p.kind is Parameter.VAR_KEYWORD for p in parameters)
