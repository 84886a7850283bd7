"""A fitted hierarchy as one torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from .._input import unfrozen
from ..confusion import label_codes
from .family import Family, Member
from .members import FlatMember
from .sources import FLAT, TRUNK, on_source


def hierarchy_module(family: Family, routing: str | float, mixing: float) -> Any:
    """Return what a family computes under a routing as a torch module.

    Parameters
    ----------
    family : Family
        Of torch networks only.
    routing : {"soft", "hard"}, int or float
        See :class:`HierarchicalDecompositionClassifier`.
    mixing : float
        Weight of the flat posterior.

    Returns
    -------
    torch.nn.Module
        See :func:`hierlearn.networks.as_module`.

    Raises
    ------
    ValueError
        If a member, or the base, is no torch network, or reads other features than rows or trunk.
    """
    from ..networks.export_modules import Part, RoutedPosteriors, split_trunk

    base = network_of(family.base, "base_estimator")
    partition = family.partition
    if mixing == 1:
        return base
    members = [
        Part(*_member(family, member, f"fine_estimators_[{cluster}]", partition.members(cluster)))
        for cluster, member in enumerate(family.fine)
    ]
    gate = _gate(family, Part)
    reads = {part.source for part in (*members, gate)}
    flat = None
    if FLAT in reads or mixing:
        flat = _flat(family, base, Part)
        reads.add(flat.source)
    trunk = split_trunk(family.split) if TRUNK in reads else None
    return RoutedPosteriors(trunk, flat, gate, members, partition.n_classes, routing, mixing)


def network_of(estimator: Any, name: str) -> Any:
    """Return an estimator as a torch module; refuse one that is no network.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    name : str
        What to call it in an error.
    """
    estimator = unfrozen(estimator)
    build = getattr(estimator, "_posterior_module", None)
    if build is not None:
        return build()
    if hasattr(estimator, "steps"):
        raise ValueError(
            f"{name} must be a network without transformers for to_onnx and as_module. Got a "
            "Pipeline instead; fit on transformed X, and export the transformers apart, e.g. with "
            "skl2onnx."
        )
    raise ValueError(
        f"{name} must be a torch network for to_onnx and as_module. Got "
        f"{type(estimator).__name__} instead; fit with one there, such as TorchMLPClassifier."
    )


def _flat(family: Family, base: Any, part: Any) -> Any:
    """Return the base as a part, on the trunk's output where it may be asked there."""
    from ..networks.export_modules import split_head

    ground = family.ground
    if ground.split is None or not ground.base_on_trunk:
        classes = unfrozen(ground.base).classes_
        return part(base, "rows", label_codes(classes, ground.partition.classes))
    classes = ground.split.network.classes_
    codes = label_codes(classes, ground.partition.classes)
    return part(split_head(ground.split), TRUNK, codes)


def _gate(family: Family, part: Any) -> Any:
    """Return the hierarchy classifier as a part whose codes are clusters."""
    partition, gate = family.partition, family.gate
    if gate is None:
        from ..networks.export_modules import Passing

        return part(Passing(), FLAT, partition.labels.tolist())
    name = "hierarchy_estimator_"
    network, source, codes = _member(family, gate, name, None)
    if family.gate_names_classes:
        codes = partition.labels[codes].tolist()
    return part(network, source, codes)


def _member(family: Family, member: Member, name: str, codes: Any) -> tuple[Any, str, list[int]]:
    """Return a member's module, what it reads, and the codes of its columns."""
    from ..networks.export_modules import Constant, FlatShare

    if member.estimator is None:
        return Constant(np.full(len(codes), 1 / len(codes))), "rows", list(codes)
    estimator, partition = unfrozen(on_source(member.estimator)), family.partition
    names_clusters = codes is None and not family.gate_names_classes
    wanted = np.arange(partition.n_clusters) if names_clusters else partition.classes
    own = np.asarray(label_codes(estimator.classes_, wanted)).tolist()
    if isinstance(estimator, DummyClassifier) and estimator.strategy == "most_frequent":
        return Constant(np.ones(1)), "rows", own
    if isinstance(estimator, FlatMember):
        return FlatShare(own), FLAT, own
    if not (member.source is None or member.source in (TRUNK, FLAT)):
        raise ValueError(
            f"{name} must read rows or the base's layers for to_onnx and as_module. Got "
            f"{type(estimator).__name__} on the features of {type(member.source).__name__} "
            "instead; fit with the TransferClassifier as base_estimator."
        )
    return network_of(estimator, name), member.source or "rows", own
