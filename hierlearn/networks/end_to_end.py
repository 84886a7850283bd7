"""Fine-tuning the members of a family together, the layers they share included."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._base import BaseTorchClassifier
from .branching import Split
from .hierarchical import EndToEnd, HierarchicalNetwork, train_end_to_end


@dataclass(frozen=True)
class TunedParts:
    """A hierarchy after training it as a whole.

    Parameters
    ----------
    split : Split
        With a trunk of its own; its head is still the base network's.
    gate : BaseTorchClassifier
        With the tuned weights.
    branches : tuple of (BaseTorchClassifier or None)
        Likewise.
    history : list of dict
        A record an epoch.
    """

    split: Split
    gate: BaseTorchClassifier
    branches: tuple[Any, ...]
    history: list[dict[str, Any]]


def tune_together(
    split: Split,
    gate: BaseTorchClassifier,
    branches: Sequence[Any],
    classes: NDArray[Any],
    labels: NDArray[np.int64],
    X: Any,
    codes: NDArray[np.int64],
    weight: NDArray[np.float64] | None,
    how: EndToEnd,
    seed: int,
) -> TunedParts:
    """Train copies of trunk, gate and branches end to end; the originals stay as they are.

    Parameters
    ----------
    split : Split
        The base network in two parts.
    gate : BaseTorchClassifier
        Fitted on the trunk's output, to name the class (any of ``classes``) or the cluster.
    branches : sequence of (BaseTorchClassifier or None)
        One a cluster, fitted on the trunk's output; None knows no more than that it is one of the
        cluster's classes.
    classes : ndarray of shape (n_classes,)
        Class labels.
    labels : ndarray of shape (n_classes,)
        Primary cluster of every class.
    X : array-like of shape (n_samples, ...)
        Raw rows.
    codes : ndarray of shape (n_samples,)
        Class codes.
    weight : ndarray of shape (n_samples,) or None
        Weights of the samples.
    how : EndToEnd
        Length and rate.
    seed : int
        Of everything random.

    Returns
    -------
    TunedParts
    """
    names_classes = len(gate.classes_) == len(classes) and bool((gate.classes_ == classes).all())
    parts = nn.ModuleList([split.trunk, _on_maps(gate)])
    heads = [None if branch is None else _on_maps(branch) for branch in branches]
    trunk, gate_head = copy.deepcopy(parts)
    network = HierarchicalNetwork(
        trunk,
        gate_head,
        [copy.deepcopy(head) for head in heads],
        [_codes_of(branch, cluster, classes, labels) for cluster, branch in enumerate(branches)],
        labels,
        names_classes,
    )
    network.to(_dtype(split))
    rows = split.inputs(X)
    even = split.network._weights(codes, classes, False, weight)
    history = train_end_to_end(network, split.network, rows, codes, even, how, seed)
    network.eval()
    tuned = [
        _with_weights(branch, head) if network.knows[cluster] else branch
        for cluster, (branch, head) in enumerate(zip(branches, network.branches, strict=True))
    ]
    own = replace(split, trunk=cast(nn.Sequential, network.trunk))
    return TunedParts(own, _with_weights(gate, network.gate), tuple(tuned), history)


def _dtype(split: Split) -> torch.dtype:
    return next(split.network.module_.parameters()).dtype


def _on_maps(classifier: BaseTorchClassifier) -> nn.Module:
    """Return a classifier's network as it takes the trunk's output, which may have to be flat."""
    if len(classifier._input_shape) > 1:
        return classifier.module_
    return nn.Sequential(nn.Flatten(), classifier.module_)


def _with_weights(classifier: BaseTorchClassifier, tuned: nn.Module) -> BaseTorchClassifier:
    """Return a fitted classifier with other weights; everything else is shared."""
    copied = copy.copy(classifier)
    wrapped = len(classifier._input_shape) == 1
    copied.module_ = tuned[1] if wrapped and isinstance(tuned, nn.Sequential) else tuned
    return copied


def _codes_of(
    branch: Any, cluster: int, classes: NDArray[Any], labels: NDArray[np.int64]
) -> list[int]:
    """Return the codes of the classes that a branch tells apart."""
    if branch is None:
        return np.flatnonzero(labels == cluster).tolist()
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    return [code_of[label] for label in branch.classes_.tolist()]
