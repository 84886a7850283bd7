"""Training a network beside auxiliary heads that read its inner layers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..exceptions import PartitionError
from ..partition import LabelPartition
from ._data import BatchDataset
from ._runtime import isolated
from ._skorch import TrainingPlan, train_network
from .auxiliary import AuxiliaryHeads
from .split import chain, is_chain, split_point

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS: tuple[type[nn.Module], ...] = (
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
# Where "auto" puts heads, as shares of the layers with weights below the classifier: about where
# GoogLeNet has its two.
_DEPTHS = (1 / 3, 2 / 3)
# Beside the plan's seed, so that heads draw other numbers than the network does.
_HEAD_STREAM = 1


def train_with_heads(
    auxiliary: AuxiliaryHeads,
    module: nn.Module,
    train: BatchDataset,
    valid: BatchDataset | None,
    plan: TrainingPlan,
    classes: np.ndarray,
) -> list[dict[str, Any]]:
    """Train a network in place beside heads, of which nothing is left.

    Parameters
    ----------
    auxiliary : AuxiliaryHeads
        Where the heads read, and what they learn.
    module : torch.nn.Module
        Network to train, on the plan's device; its parameters are changed in place.
    train : BatchDataset
        Rows to learn from; a target of two dimensions is multi-label.
    valid : BatchDataset or None
        Rows to stop by, or None. The heads are not asked there.
    plan : TrainingPlan
        How to train.
    classes : ndarray of shape (n_classes,)
        Class of each code.

    Returns
    -------
    list of dict
        As :func:`train_network`, with ``auxiliary_loss``.

    Raises
    ------
    PartitionError
        If a class has no cluster.
    ValueError
        If a layer does not exist, runs last or gives no features, or the clusters are one.
    """
    auxiliary._validate_params()
    clusters = None
    if not isinstance(auxiliary.target, str):
        clusters = torch.as_tensor(clusters_of(auxiliary.target, classes))
    seed = np.random.SeedSequence([plan.seed, _HEAD_STREAM]).generate_state(1)[0]
    with isolated(int(seed), plan.device):
        row = train.__getitems__([0])[0].to(plan.device)
        points = read_points(module, auxiliary.at, row)
        n_outputs = len(classes) if clusters is None else int(clusters.max()) + 1
        heads = [_head(shape, n_outputs, auxiliary) for _, shape in points]
    criterion = _criterion(train.target.ndim > 1, plan, clusters)
    network = _WithHeads(module, heads, criterion, clusters, auxiliary.weight)
    network.to(dtype=train.dtype).to(device=plan.device)
    with network.reading([point.layer for point in points]):
        plan = replace(plan, auxiliary=network.losses)
        return train_network(network, train, valid, plan)


def clusters_of(target: Any, classes: np.ndarray) -> np.ndarray:
    """Return the cluster that stands for each class, from 0 up, clusters without a class left out.

    Parameters
    ----------
    target : LabelPartition or dict
        See :class:`AuxiliaryHeads`; it may know more classes.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of int64, shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.auxiliary_training import clusters_of
    >>> groups = {"pets": ["cat", "dog"], "birds": ["owl"], "vehicles": ["car"]}
    >>> clusters_of(groups, np.array(["car", "cat", "dog"])).tolist()
    [0, 1, 1]
    """
    cluster_of = _cluster_of(target)
    missing = [label for label in classes.tolist() if label not in cluster_of]
    if missing:
        raise PartitionError(
            "target must give every class of y a cluster. Got none for "
            f"{missing[:5]} of {len(missing)} missing classes instead; name their clusters."
        )
    names = [cluster_of[label] for label in classes.tolist()]
    # Numbered as they come, so that the same clusters are the same heads whatever they are called.
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(numbers) < 2:
        raise ValueError(
            "target must put the classes of y into at least 2 clusters. Got one instead; use "
            "target='classes'."
        )
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _cluster_of(target: Any) -> dict[Any, Any]:
    """Return the cluster of each class, by label."""
    if not isinstance(target, LabelPartition):
        if all(np.ndim(value) == 0 and not isinstance(value, dict) for value in target.values()):
            return dict(target)
        target = LabelPartition.from_dict(target)
    return dict(zip(target.classes.tolist(), target.labels.tolist(), strict=True))


class ReadPoint(NamedTuple):
    """A layer whose output a head reads.

    Attributes
    ----------
    layer : str
        Dotted name of the layer.
    shape : tuple of int
        Shape of its output for one sample.
    """

    layer: str
    shape: tuple[int, ...]


def read_points(module: nn.Module, at: str | Sequence[str], row: torch.Tensor) -> list[ReadPoint]:
    """Find the layers that heads read.

    Parameters
    ----------
    module : torch.nn.Module
        A network.
    at : str or sequence of str
        Names of layers, or ``"auto"``.
    row : Tensor of shape (1, ...)
        A batch of one sample.

    Returns
    -------
    list of ReadPoint

    Raises
    ------
    ValueError
        If a layer does not exist, runs last or gives no features; the message names those that
        may be read.
    """
    shapes, weighted = _probe(module, row)
    names = _evenly_spaced(weighted[:-1]) if isinstance(at, str) and at == "auto" else at
    names = [names] if isinstance(names, str) else list(names)
    allowed = [name for name, _ in chain(module)[:-1]] if is_chain(module) else list(shapes)
    unknown = [name for name in names if name not in allowed or name not in shapes]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "no layer"
        raise ValueError(
            "at must name layers below the last one that give features, out of "
            f"{[name for name in allowed if name in shapes]}. Got {got} instead."
        )
    if is_chain(module):
        names = [_with_activation(module, row, name) for name in names]
    return [ReadPoint(name, shapes[name]) for name in dict.fromkeys(names)]


def _with_activation(module: nn.Module, row: torch.Tensor, name: str) -> str:
    """Return the last of the layers that belong to a layer of a chain."""
    return chain(module)[split_point(module, row.shape[1:], name, name="at") - 1][0]


def _evenly_spaced(layers: Sequence[str]) -> list[str]:
    positions = {min(int(len(layers) * depth), len(layers) - 1) for depth in _DEPTHS}
    return [layers[position] for position in sorted(positions)] if layers else []


@torch.no_grad()
def _probe(module: nn.Module, row: torch.Tensor) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Run a copy on one sample: shapes by layer below the last, and the layers with weights."""
    probe = copy.deepcopy(module).eval()
    ran: list[tuple[str, Any]] = []
    for name, layer in probe.named_modules():
        if name:
            layer.register_forward_hook(lambda _, __, out, name=name: ran.append((name, out)))
    output = probe(row)
    shapes = {
        name: tuple(found.shape[1:])
        for name, found in ran
        if isinstance(found, torch.Tensor) and found.ndim > 1 and found is not output
    }
    kinds = dict(probe.named_modules())
    weighted = dict.fromkeys(name for name, _ in ran if isinstance(kinds[name], _WEIGHTED))
    return shapes, list(weighted)


def _head(shape: Sequence[int], n_outputs: int, auxiliary: AuxiliaryHeads) -> nn.Sequential:
    """Return an untrained head for features of this shape."""
    sizes = list(auxiliary.hidden_layer_sizes)
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must hold positive integers, such as (1024,). Got "
            f"{auxiliary.hidden_layer_sizes!r} instead."
        )
    layers: list[nn.Module] = []
    channels, *sides = shape
    if sides:
        grid = [min(auxiliary.pool_size, side) for side in sides]
        layers += [_POOLS[len(sides) - 1](grid), nn.Flatten()]
        channels *= int(np.prod(grid))
    for size in sizes:
        layers += [nn.Linear(channels, int(size)), nn.ReLU()]
        channels = int(size)
    return nn.Sequential(*layers, nn.Linear(channels, n_outputs))


def _criterion(multilabel: bool, plan: TrainingPlan, clusters: torch.Tensor | None) -> nn.Module:
    """Return the loss of a head; factors on the positives are for labels, not for clusters."""
    if not multilabel:
        return nn.CrossEntropyLoss(reduction="none")
    if plan.pos_weight is None or clusters is not None:
        return nn.BCEWithLogitsLoss(reduction="none")
    return nn.BCEWithLogitsLoss(reduction="none", pos_weight=torch.as_tensor(plan.pos_weight))


class _WithHeads(nn.Module):
    """A network and the heads that read it, trained as one; its output is the network's own."""

    def __init__(
        self,
        network: nn.Module,
        heads: Sequence[nn.Module],
        criterion: nn.Module,
        clusters: torch.Tensor | None,
        weight: float,
    ) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleList(heads)
        self.criterion = criterion
        self.weight = weight
        self.register_buffer("clusters", clusters)
        self._layers: Sequence[str] = ()
        self._features: dict[str, torch.Tensor] = {}
        self._logits: list[torch.Tensor] = []

    @contextmanager
    def reading(self, layers: Sequence[str]) -> Iterator[None]:
        """Catch the output of these layers, one a head, inside the context."""

        def keep(name: str) -> Any:
            def hook(layer: Any, inputs: Any, output: torch.Tensor) -> None:
                self._features[name] = output.clone()  # a later layer may work in place

            return hook

        self._layers = layers
        handles = [
            self.network.get_submodule(name).register_forward_hook(keep(name)) for name in layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def forward(self, x: Any) -> torch.Tensor:
        """Return the network's logits; in training the heads' are kept for their losses."""
        logits: torch.Tensor = self.network(x)
        if self.training:
            self._logits = [
                head(self._features[layer])
                for head, layer in zip(self.heads, self._layers, strict=True)
            ]
        self._features = {}
        return logits

    def losses(
        self, target: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads add to the loss of the last batch, and their mean loss."""
        wanted = self._wanted(target)
        rows = [self.criterion(logits.to(weight.dtype), wanted) for logits in self._logits]
        rows = [loss.mean(dim=1) if loss.ndim > 1 else loss for loss in rows]
        losses = torch.stack([(loss * weight).mean() for loss in rows])
        self._logits = []
        return self.weight * losses.sum(), losses.mean()

    def _wanted(self, target: torch.Tensor) -> torch.Tensor:
        """Return classes as clusters, if it is these that the heads learn."""
        clusters: Any = self.clusters
        if clusters is None:
            return target
        if target.ndim == 1:
            return clusters[target]
        found = target.new_zeros(len(target), int(clusters.max()) + 1)
        return found.index_add_(1, clusters, target).clamp_(max=1)
