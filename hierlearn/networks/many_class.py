"""What classifiers share whose output layer is made for many classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._given import plain_labels
from .._validation import Interval, StrOptions, check_weights
from ._base import BaseTorchClassifier
from ._data import BatchDataset, as_tensor, prediction_slices
from ._forward import evaluating
from ._outputs import Finish
from ._runtime import resolve_device, threads
from ._skorch import TrainingPlan, train_network
from ._target import check_outputs
from .lazy_adam import LazyAdamW
from .mlp import _ACTIVATIONS, perceptron_of
from .output_layers import OutputLayer, highest

# Log-probabilities computed at a time.
_MAX_ELEMENTS = 2**24
# Rows of an ordinary batch of a prediction, which is cut where it has more log-probabilities.
_BATCH_ROWS = 1024
# Training rows on which it is measured how many classes a prediction looks at.
_N_PROBED = 1024
# A smaller layer is moved whole in no time.
_MIN_SPARSE_WEIGHTS = 2**20


class ManyClassClassifier(BaseTorchClassifier):
    """A multi-layer perceptron below an output layer for many classes.

    A subclass has the parameters of :class:`TorchMLPClassifier` and says which output layer.
    """

    hidden_layer_sizes: Sequence[int]
    activation: str
    dropout: float
    input_dropout: float

    _beside_flat = True

    # Its upper layer knows clusters of classes, which a branch of fewer classes has not.
    _branchable = False

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "sparse_updates": ["boolean", StrOptions({"auto"})],
    }

    # -- what a subclass says ----------------------------------------------------------------

    def _arrange(self, train: BatchDataset) -> None:
        """Learn from the training data how classes are arranged in the output layer."""

    def _output_layer(self, in_features: int, n_classes: int) -> OutputLayer:
        """Build the untrained output layer."""
        raise NotImplementedError

    def _touched_share(self, layer: Any, batch_size: int) -> float:
        """Return which share of the output weights a batch moves."""
        return 1.0

    # -- fitting -------------------------------------------------------------------------------

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = super()._check_X_y(X, y)
        if type_of_target(plain_labels(y)) == "multilabel-indicator":
            raise ValueError(
                f"y must hold one class a sample for {type(self).__name__}. Got a multi-label "
                "indicator instead; use TorchMLPClassifier."
            )
        return X, y

    def _weights(
        self, target: Any, classes: np.ndarray, multilabel: bool, sample_weight: Any
    ) -> np.ndarray:
        # How frequent classes are does not depend on how much they shall weigh.
        weight = check_weights(sample_weight, target.shape[0])
        self._frequencies = np.bincount(target, weights=weight, minlength=len(classes))
        return super()._weights(target, classes, multilabel, sample_weight)

    def _new_module(self, train: BatchDataset) -> nn.Module:
        self._arrange(train)
        return super()._new_module(train)

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        network: Any = perceptron_of(self, input_shape[0], 1)
        network.output = self._output_layer(network.output.in_features, n_outputs)
        return network

    def _run(
        self,
        module: nn.Module,
        train: BatchDataset,
        valid: BatchDataset | None,
        plan: TrainingPlan,
    ) -> list[dict[str, Any]]:
        layer: Any = module.output
        layer.sparse = self._updates_sparsely(layer, plan.batch_size)
        optimizer = LazyAdamW if layer.sparse else plan.optimizer
        plan = replace(
            plan,
            criterion=partial(_LayerLoss, layer),
            n_outputs=layer.in_features,
            optimizer=optimizer,
        )
        history = train_network(_BelowOutput(module), train, valid, plan)
        rows = np.unique(np.linspace(0, len(train) - 1, _N_PROBED).astype(int))
        self._probe(module.eval(), as_tensor(train.X[rows], train.dtype).to(plan.device))
        return history

    def _updates_sparsely(self, layer: OutputLayer, batch_size: int) -> bool:
        wanted: Any = getattr(self, "sparse_updates", False)
        possible = self.optimizer == "adamw"
        if wanted == "auto":
            large = sum(weight.numel() for weight in layer.parameters()) >= _MIN_SPARSE_WEIGHTS
            return possible and large and self._touched_share(layer, batch_size) <= 0.5
        if wanted and not possible:
            raise ValueError(
                "sparse_updates=True needs optimizer='adamw'. Got "
                f"{self.optimizer!r} instead; set sparse_updates=False."
            )
        return bool(wanted)

    @torch.inference_mode()
    def _probe(self, module: Any, rows: torch.Tensor) -> None:
        """Measure for how many classes a prediction computes scores."""
        _, _, n_evaluated = module.output.top_k(_hidden(module, rows), 1)
        module.output.expected_classes = n_evaluated / len(rows)

    # -- predicting ----------------------------------------------------------------------------

    def _answer(self, X: Any, finish: Finish) -> np.ndarray:
        check_is_fitted(self, "module_")
        if self._fit_at_once():
            return super()._answer(X, finish)

        def answer(network: Any, hidden: torch.Tensor) -> tuple[torch.Tensor]:
            return (finish(network.output(hidden)),)

        n_rows = max(1, _MAX_ELEMENTS // len(self.classes_))
        return self._by_batch(self._check_X(X), n_rows, answer)[0]

    def _feature_posteriors(self, features: Any, sums: Any = None) -> np.ndarray | None:
        return super()._feature_posteriors(features, sums) if self._fit_at_once() else None

    def _fit_at_once(self) -> bool:
        """Tell whether the log-probabilities of an ordinary batch may be held at once."""
        return _BATCH_ROWS * len(self.classes_) <= _MAX_ELEMENTS

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.exp()  # they are normalised log-probabilities

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row.

        Only the classes that can be the most probable are looked at.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """

        def best(network: Any, hidden: torch.Tensor) -> tuple[torch.Tensor]:
            layer = network.output
            if layer.dense_is_faster(len(hidden)):
                return (layer(hidden).argmax(dim=1),)
            return (layer.most_probable(hidden),)

        X = self._check_X(X)
        return self.classes_[self._by_batch(X, self._n_rows_at_once(1), best)[0]]

    def predict_top_k(self, X: Any, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Return the most probable classes of every row.

        They are exact: those that ``predict_proba`` gives the highest probabilities, without
        computing the probabilities of all others where the output layer's structure allows it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        k : int, default=5
            Number of classes, at most all.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Class labels, the most probable first.
        probabilities : ndarray of shape (n_samples, k)
            Their posteriors, in the same order.

        Raises
        ------
        ValueError
            If ``k`` is not from 1 to the number of classes.
        """
        X = self._check_X(X)
        if not (isinstance(k, Integral) and 1 <= k <= len(self.classes_)):
            raise ValueError(
                f"k must be a whole number from 1 to the number of classes, {len(self.classes_)}. "
                f"Got {k!r} instead."
            )
        codes, log_probabilities = self._top_k(X, int(k))
        return self.classes_[codes], np.exp(log_probabilities)

    def _top_k(self, X: Any, k: int) -> list[np.ndarray]:
        def best(network: Any, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            if network.output.dense_is_faster(len(hidden)):
                values, codes = highest(network.output(hidden), k)
            else:
                values, codes, _ = network.output.top_k(hidden, k)
            return codes, values

        return self._by_batch(X, self._n_rows_at_once(k), best)

    def _n_rows_at_once(self, k: int) -> int:
        """Return for how many rows as many scores as fit are computed."""
        layer: Any = self.module_.output
        return max(1, int(_MAX_ELEMENTS // max(layer.n_scores_at_once, k)))

    def _by_batch(
        self, X: Any, n_rows: int | None, answer: Callable[[Any, torch.Tensor], Any]
    ) -> list[np.ndarray]:
        """Return what the network answers, batch by batch."""
        device = resolve_device(self.device, fitted=True)
        module = self.module_
        dtype = evaluating(module, device)
        parts = []
        with torch.inference_mode(), threads(self.n_jobs):
            for rows in prediction_slices(X.shape, device.type):
                hidden = _hidden(module, as_tensor(X[rows], dtype).to(device))
                check_outputs(hidden)
                for piece in hidden.split(n_rows or len(hidden)):
                    parts.append([values.cpu().numpy() for values in answer(module, piece)])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags


def _hidden(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the features that the output layer reads."""
    for layer in network[:-1]:
        x = layer(x)
    return x


class _BelowOutput(nn.Module):
    """A network whose output is what its output layer reads; its weights are all of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _hidden(self.network, x)


class _LayerLoss(nn.Module):
    """The loss of an output layer, whose weights belong to the network."""

    def __init__(self, layer: OutputLayer, reduction: str) -> None:
        super().__init__()
        self._layer = (layer,)  # in a tuple, so that its weights are not found here, too

    def forward(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._layer[0].loss(hidden, target)
