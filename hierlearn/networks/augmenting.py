"""Growing specialist heads on a fitted classifier: its features, and the training of the heads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from torch import nn

from .._caching import FitCache
from .._progress import begin_stage
from ._base import BaseTorchClassifier
from ._data import BatchDataset, as_tensor, prediction_slices
from ._forward import in_batches
from ._runtime import isolated, resolve_device, threads
from ._skorch import train_network
from ._target import drop_zero_weights
from .augmented import AugmentedNetwork, dropout_layers, visited_clusters
from .classifier import TorchClassifier
from .head_plan import HeadPlan
from .heads import SpecialistHeads
from .pricing import network_cost
from .taps import TappedNetwork, tap_points

# Features of the frozen base up to this size are computed once and kept in memory; larger ones are
# computed again in every epoch.
CACHE_BYTES = 2**32


@dataclass(frozen=True)
class HeadTraining:
    """How heads are trained; what is not named here is the base network's own setting.

    Parameters
    ----------
    max_epochs : int
        Passes over the data.
    lr : float
        Learning rate.
    weight_decay : float
        Weight decay of the optimiser.
    dropout : float
        Probability of dropping an input or a unit of a head.
    classifier : {"reinitialise", "warm", "keep"}
        See :class:`AugmentedNetwork`.
    evaluate : {"all"}, int or float
        See :func:`visited_clusters`.
    base_dropout : bool
        Whether dropout of the frozen base stays on, see :class:`AugmentedNetwork`.
    verbose : int
        Above 1, print a line an epoch.
    """

    max_epochs: int
    lr: float
    weight_decay: float
    dropout: float
    classifier: str
    evaluate: str | int | float
    base_dropout: bool = True
    verbose: int = 0


@dataclass(frozen=True)
class OpenBase:
    """A fitted classifier whose inner features can be read.

    Parameters
    ----------
    prefix : Pipeline or None
        Transformers in front of the network.
    classifier : BaseTorchClassifier
        The fitted network, for its settings.
    tapped : TappedNetwork
        The network itself, shared.
    attach_shape : tuple of int
        Shape of the features at the attach point, of one sample.
    n_own : int
        Units in its own last hidden layer.
    """

    prefix: Pipeline | None
    classifier: BaseTorchClassifier
    tapped: TappedNetwork
    attach_shape: tuple[int, ...]
    n_own: int

    def rows(self, X: Any) -> Any:
        """Return X as the network takes it: through the transformers, and validated."""
        if self.prefix is not None:
            X = self.prefix.transform(X)
        return self.classifier._check_X(X)

    def posteriors(self, X: Any) -> np.ndarray:
        """Return the network's class or label posteriors for raw rows."""
        return self.classifier._posteriors(self.classifier._logits(self.rows(X)))

    def multiply_adds(self) -> float:
        """Return the multiply-adds of the network for one sample."""
        return network_cost(self.tapped.module, self.classifier._input_shape)[0]


def open_base(fitted: Any, attach_at: str | None = None) -> OpenBase:
    """Open a fitted torch classifier, or a Pipeline that ends in one.

    Parameters
    ----------
    fitted : TorchClassifier, TorchMLPClassifier or Pipeline
        Its last layer must be an ``nn.Linear``.
    attach_at : str or None, default=None
        See :func:`tap_points`.

    Returns
    -------
    OpenBase

    Raises
    ------
    ValueError
        If there is no such layer, or the network has no classifier layer.
    """
    prefix, classifier = _opened_pipeline(fitted)
    shape = classifier._input_shape
    module = classifier.module_
    tapped = TappedNetwork(module, tap_points(module, shape, attach_at))
    with torch.no_grad():
        seen = copy.deepcopy(tapped).eval()(_row(module, shape))
    if seen.own.ndim != 2:
        raise ValueError(
            "The network's classifier layer must read one vector a sample. Got features of shape "
            f"{tuple(seen.own.shape[1:])} instead; pool or flatten them in front of it."
        )
    return OpenBase(prefix, classifier, tapped, tuple(seen.attach.shape[1:]), seen.own.shape[1])


def _row(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Return one row of zeros, of the network's type and on its device."""
    like = next(module.parameters(), torch.zeros(0))
    return torch.zeros((1, *shape), device=like.device, dtype=like.dtype)


def _check_runs(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a network's output for one row; refuse one that does not take the rows of X."""
    try:
        with torch.no_grad():
            output = copy.deepcopy(module).eval()(_row(module, shape))
        found = type(output).__name__
    except Exception as error:
        output, found = None, f"{type(error).__name__} ({str(error).strip().splitlines()[0]})"
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"base_estimator must turn rows of shape {shape}, those of X, in floating point, into "
            f"a tensor of logits. Got {found} instead; give the X it was trained on."
        )
    return output


def _opened_pipeline(fitted: Any) -> tuple[Pipeline | None, BaseTorchClassifier]:
    """Return the transformers in front of a network, and the network, out of any freezers."""
    steps: list[tuple[str, Any]] = []
    while True:
        if isinstance(fitted, FrozenEstimator):
            fitted = fitted.estimator
        elif isinstance(fitted, Pipeline):
            steps += [(f"{len(steps)}-{name}", step) for name, step in fitted.steps[:-1]]
            fitted = fitted.steps[-1][1]
        else:
            return (Pipeline(steps) if steps else None), fitted


def is_network(estimator: Any) -> bool:
    """Tell whether this is a bare ``torch.nn.Module``."""
    return isinstance(estimator, nn.Module)


def fitted_classifier(
    module: nn.Module, classes: np.ndarray, multilabel: bool, input_shape: Sequence[int]
) -> TorchClassifier:
    """Make a fitted classifier of a network that was trained elsewhere.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a batch to logits, one for each class; copied, so that its mode and device stay.
    classes : ndarray of shape (n_classes,)
        What its outputs stand for, in order.
    multilabel : bool
        Whether its outputs are labels of their own (sigmoid) or exclude each other (softmax).
    input_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    TorchClassifier
        Ready to predict.

    Raises
    ------
    ValueError
        If it does not take such rows, or has not an output for each class.
    """
    n_outputs = _check_runs(module, tuple(input_shape)).shape[-1]
    if n_outputs != len(classes):
        raise ValueError(
            f"base_estimator must have an output for each of the {len(classes)} classes of y. Got "
            f"a network with {n_outputs} outputs instead; pass the y that it was trained on."
        )
    classifier = TorchClassifier(type(module))
    classifier.module_ = copy.deepcopy(module).eval()
    classifier.classes_ = np.asarray(classes)
    classifier.multilabel_ = multilabel
    classifier.n_features_in_ = int(input_shape[0])
    classifier._input_shape = tuple(input_shape)
    classifier.history_ = []
    return classifier


def tapped_features(base: OpenBase, rows: Any) -> dict[str, Any]:
    """Return what the heads and the classifier layer read, for validated rows.

    Parameters
    ----------
    base : OpenBase
        The frozen network.
    rows : ndarray or csr matrix of shape (n_samples, ...)
        As :meth:`OpenBase.rows` returns them.

    Returns
    -------
    dict of str to array
        ``attach`` and ``own``, with a row for every sample.
    """
    device = resolve_device(base.classifier.device, fitted=True)
    tapped = base.tapped.to(device).eval()
    dtype = tapped.classifier.weight.dtype
    at_input = tapped.points.at_input
    parts: dict[str, list[np.ndarray]] = {"attach": [], "own": []}
    with torch.inference_mode(), threads(base.classifier.n_jobs):
        for part in prediction_slices(rows.shape, device.type):
            seen = tapped(as_tensor(rows[part], dtype).to(device))
            parts["own"].append(seen.own.cpu().numpy())
            if not at_input:
                parts["attach"].append(seen.attach.cpu().numpy())
    own = np.concatenate(parts["own"])
    return {"attach": rows if at_input else np.concatenate(parts["attach"]), "own": own}


class _FromFeatures(nn.Module):
    """The trained part of an augmented network, fed with features computed before."""

    def __init__(self, network: AugmentedNetwork) -> None:
        super().__init__()
        # In a list, so that the frozen base's weights are no parameters of this module.
        self._network = [network]
        self.classifier = network.classifier
        self.rounds = network.rounds

    def train(self, mode: bool = True) -> _FromFeatures:
        self._network[0].train(mode)
        return super().train(mode)

    def forward(self, attach: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return self._network[0].from_features(attach, own)


def augment(
    base: OpenBase,
    plans: Sequence[HeadPlan],
    rows: Any,
    target: Any,
    weight: np.ndarray,
    how: HeadTraining,
    seeds: Sequence[int],
    cache: FitCache | None = None,
) -> tuple[AugmentedNetwork, list[list[dict[str, Any]]]]:
    """Add one round of heads after the other to a frozen network and train them.

    Parameters
    ----------
    base : OpenBase
        The trained network; not changed.
    plans : sequence of HeadPlan
        The heads of each round. Without any, the classifier layer alone is trained.
    rows : ndarray or csr matrix of shape (n_samples, ...)
        As :meth:`OpenBase.rows` returns them.
    target : ndarray of shape (n_samples,), ndarray or csr of shape (n_samples, n_labels)
        Class codes, or a label indicator.
    weight : ndarray of shape (n_samples,)
        Weights, mean one.
    how : HeadTraining
        How to train.
    seeds : sequence of int
        One seed a round, at least one.
    cache : FitCache or None, default=None
        Where the heads of every round are looked up, and kept.

    Returns
    -------
    network : AugmentedNetwork
        Shares the base's module.
    histories : list of list of dict
        One record an epoch for each round, see :func:`train_network`.
    """
    rows, target, weight = drop_zero_weights(rows, target, weight)
    classifier = base.classifier
    device = resolve_device(classifier.device)
    base.tapped.to(device)
    inputs: Any = rows
    # With dropout on, or too many of them to keep, the features are computed step by step.
    random = how.base_dropout and dropout_layers(base.tapped)
    cached = not random and _feature_bytes(base, len(weight)) <= CACHE_BYTES
    if cached:
        inputs = tapped_features(base, rows)
    histories = []
    with isolated(int(seeds[0]), device, classifier.n_jobs):
        network = AugmentedNetwork(
            base.tapped, how.classifier, how.evaluate, classifier.multilabel_, how.base_dropout
        )
    steps: list[HeadPlan | None] = list(plans) or [None]
    for number, (plan, seed) in enumerate(zip(steps, seeds, strict=False)):
        if len(steps) > 1:
            begin_stage(f"heads of round {number + 1} of {len(steps)}", 1.0)
        with isolated(int(seed), device, classifier.n_jobs):
            if plan is not None:
                network.add_round(SpecialistHeads(plan, base.attach_shape, how.dropout))
            if network.classifier is None and plan is None:
                continue  # all is kept, there is nothing to train
            given = base, inputs, target, weight, how, seed
            if cache is None:
                histories.append(_train_round(network, *given, cached))
                continue
            content = network, base.classifier, *given[1:4], replace(how, verbose=0), seed, cached
            network.classifier, network.rounds, history = cache.part(
                "heads", content, partial(_round_of, network, *given, cached)
            )
            network.to(device).eval()
            histories.append(history)
    return network.eval(), histories


def _round_of(network: AugmentedNetwork, *given: Any) -> tuple[Any, nn.ModuleList, Any]:
    """Train a round and return what is new of the network, without the base it shares."""
    history = _train_round(network, *given)
    return network.classifier, network.rounds, history


def _train_round(
    network: AugmentedNetwork,
    base: OpenBase,
    inputs: Any,
    target: Any,
    weight: np.ndarray,
    how: HeadTraining,
    seed: int,
    cached: bool,
) -> list[dict[str, Any]]:
    """Train the latest heads and the classifier layer, in place, on rows or on their features."""
    trained = _FromFeatures(network) if cached else network
    try:
        return _train(trained, base, inputs, target, weight, how, seed)
    finally:
        network.eval()  # the base, too, whose dropout was on


def _feature_bytes(base: OpenBase, n_samples: int) -> int:
    size = base.tapped.classifier.weight.element_size()
    at_input = base.tapped.points.at_input
    n_values = base.n_own + (0 if at_input else int(np.prod(base.attach_shape)))
    return n_samples * n_values * size


def fine_tune(
    network: AugmentedNetwork,
    base: OpenBase,
    rows: Any,
    target: Any,
    weight: np.ndarray,
    how: HeadTraining,
    seed: int,
    cache: FitCache | None = None,
) -> tuple[AugmentedNetwork, list[dict[str, Any]]]:
    """Train everything, a copy of the base included, and leave the base itself as it is.

    Parameters and returns are those of :func:`augment`.
    """
    rows, target, weight = drop_zero_weights(rows, target, weight)
    tuned = copy.deepcopy(network).requires_grad_(True)
    tuned.fine_tuned = True
    for heads in tuned.heads:
        heads.freeze_stacks(False)
    given = tuned, base, rows, target, weight, how, seed
    if cache is None:
        return _tune(*given)
    content = tuned, base.classifier, *given[2:5], replace(how, verbose=0), seed
    return cache.part("tuning", content, lambda: _tune(*given))


def _tune(
    tuned: AugmentedNetwork, base: OpenBase, *data: Any
) -> tuple[AugmentedNetwork, list[dict[str, Any]]]:
    seed = data[-1]
    with isolated(int(seed), resolve_device(base.classifier.device), base.classifier.n_jobs):
        history = _train(tuned, base, *data)
    return tuned.eval(), history


def _train(
    module: nn.Module,
    base: OpenBase,
    inputs: Any,
    target: Any,
    weight: np.ndarray,
    how: HeadTraining,
    seed: int,
) -> list[dict[str, Any]]:
    settings = copy.copy(base.classifier)
    settings.set_params(
        max_epochs=how.max_epochs,
        lr=how.lr,
        weight_decay=how.weight_decay,
        verbose=how.verbose,
    )
    dtype = base.tapped.classifier.weight.dtype
    device = resolve_device(settings.device)
    batch_size = settings.batch_size
    if batch_size == "auto":
        batch_size = settings._auto_batch_size(len(weight))
    data = BatchDataset(inputs, target, weight, dtype)
    train, valid = settings._split(data, seed)
    plan = settings._plan(target, weight, device, int(batch_size), seed)
    return train_network(module.to(device), train, valid, plan)


def augmented_logits(
    network: AugmentedNetwork,
    base: OpenBase,
    rows: Any,
    finish: Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    check: bool = False,
) -> np.ndarray:
    """Return the augmented network's logits for validated rows, shape (n_samples, n_outputs).

    With ``finish`` what becomes of them, with ``check`` only if all values are finite, see
    :func:`hierlearn.networks.forward`.
    """

    def compute(x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(x)
        return logits if finish is None else finish(logits)

    return _batched(network, base, rows, compute, check=check)


def head_features(network: AugmentedNetwork, base: OpenBase, rows: Any) -> np.ndarray:
    """Return the last hidden layers of all heads side by side, of linear heads their outputs.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In the order of rounds and heads. Zero where a sample does not visit the head.
    """

    def features(x: torch.Tensor) -> torch.Tensor:
        logits, attach, _ = network.base(x)
        found = [logits[:, :0]]
        for heads, visits in zip(network.heads, network.visits(logits), strict=True):
            for head, part in enumerate(heads.features(attach)):
                found.append(part * visits[:, head, None])
        return torch.cat(found, dim=1)

    return _batched(network, base, rows, features)


def base_posteriors(network: AugmentedNetwork, base: OpenBase, rows: Any) -> np.ndarray:
    """Return the posteriors by which samples are routed, shape (n_samples, n_outputs)."""
    logits = _batched(network, base, rows, lambda x: network.base(x).logits)
    return base.classifier._posteriors(logits)


def _batched(
    network: AugmentedNetwork, base: OpenBase, rows: Any, compute: Any, *, check: bool = False
) -> np.ndarray:
    classifier, module = base.classifier, base.tapped.module
    return in_batches(
        network,
        compute,
        rows,
        classifier.device,
        classifier.n_jobs,
        check=check,
        entry=module,
    )


def visit_frequencies(
    posteriors: np.ndarray,
    members: Sequence[Sequence[int]],
    evaluate: str | int | float,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return the share of samples that visits each cluster, shape (n_clusters,).

    Parameters
    ----------
    posteriors : ndarray of shape (n_samples, n_labels)
        The base's class or label posteriors.
    members : sequence of sequences of int
        Codes of the labels of each cluster.
    evaluate : {"all"}, int or float
        See :func:`visited_clusters`.
    weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the samples.
    """
    return np.average(visits(posteriors, members, evaluate), axis=0, weights=weight)


def visits(
    posteriors: np.ndarray, members: Sequence[Sequence[int]], evaluate: str | int | float
) -> np.ndarray:
    """Return which clusters every sample visits, bool of shape (n_samples, n_clusters).

    Parameters are those of :func:`visit_frequencies`.
    """
    found = visited_clusters(torch.as_tensor(np.asarray(posteriors)), members, evaluate)
    return found.numpy().astype(bool)
