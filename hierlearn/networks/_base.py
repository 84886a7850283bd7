"""What all torch classifiers share: scikit-learn's contract around a training run."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import nn

from .._caching import as_cache
from .._given import validate_data
from .._progress import CallbackSupportMixin, begin_stage, expect, reports
from .._rows import RowView
from .._validation import (
    Interval,
    StrOptions,
    as_random_state,
    check_any_weight,
    check_ndim,
    check_two_classes,
    check_weights,
    fit_context,
)
from ..summary import SummaryMixin
from ._data import BatchDataset, auto_batch_size, is_plain
from ._forward import forward
from ._outputs import Finish, LogitsMixin
from ._planning import OPTIMIZERS, plan_training, split_off
from ._runtime import isolated, resolve_device, resolve_threads
from ._skorch import TrainingPlan, train_network
from ._target import (
    check_finite,
    class_factors,
    drop_zero_weights,
    encode_target,
)
from .auxiliary_training import train_with_heads
from .soft_targets import SoftTargets


class BaseTorchClassifier(
    SummaryMixin, CallbackSupportMixin, LogitsMixin, ClassifierMixin, BaseEstimator
):
    """A torch network as a scikit-learn classifier; a subclass says which network.

    See :class:`TorchClassifier` for the parameters.
    """

    _parameter_constraints: dict = {
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "lr_schedule": [StrOptions({"one_cycle", "cosine", "constant"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "device": [str],
        "mixed_precision": ["boolean", StrOptions({"always"})],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "callbacks": [list, tuple, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        max_epochs: int = 20,
        batch_size: int | str = "auto",
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.9,
        lr_schedule: str = "one_cycle",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict | str | None = None,
        warm_start: bool = False,
        device: str = "auto",
        mixed_precision: bool | str = True,
        dtype: str = "auto",
        callbacks: Sequence[Any] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.lr_schedule = lr_schedule
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.device = device
        self.mixed_precision = mixed_precision
        self.dtype = dtype
        self.callbacks = callbacks
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # Read without importing torch: can upper layers of this be copied and fine-tuned?
    _branchable = True
    # Likewise: are rows read batch by batch, so that a view of them will do?
    _reads_batches = True
    # Is the output layer another than one unit a class, to be priced beside that?
    _beside_flat = False
    # A parameter of those networks that may carry auxiliary heads while they are trained.
    auxiliary: Any = None
    # What a teacher says of the rows, while a student is trained on it.
    _soft: SoftTargets | None = None

    # -- what a subclass says --------------------------------------------------------------------

    @abstractmethod
    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        """Build the untrained network; runs under the fit's own torch seed."""

    def _prepare_module(self, module: nn.Module, train: BatchDataset) -> None:
        """Set what the untrained network takes from its training data; by default nothing."""

    def _augmentation(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return what changes a batch of inputs in training, or None."""
        return None

    def _own_network(self) -> bool:
        """Tell whether the network is ours, so known to run in double precision."""
        return True

    def _takes_nd(self) -> bool:
        """Tell whether X may have more than two dimensions."""
        return False

    def _class_weight_of(self, classes: np.ndarray) -> dict | str | None:
        """Return the class weights that concern these classes."""
        return self.class_weight

    def _auto_batch_size(self, n_samples: int) -> int:
        """Return the batch size that ``batch_size="auto"`` stands for."""
        return auto_batch_size(n_samples)

    # -- fitting -------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    @reports
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data of any numeric dtype; cast, and if sparse densified, batch by batch.
        y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
            Class labels of any dtype, or a multi-label indicator (dense or sparse).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss; a weight of zero leaves the sample out.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If X or y are malformed, y has one class only, the device is missing, the loss diverges,
            or a warm start meets other classes or features.
        """
        self._train(*self._learnt_from(X, y, sample_weight))
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def _begin(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[BatchDataset, TrainingPlan]:
        """Do what a fit does before it trains, where the training is done beside others."""
        X, target, weight, _ = self._learnt_from(X, y, sample_weight)
        train, _, plan = self._set_up(X, target, weight)
        return train, plan

    def _learnt_from(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, bool]:
        """Check all input; return rows, encoded target and weights, and whether training goes on.

        Sets ``classes_`` and ``multilabel_``.
        """
        X, y = self._check_X_y(X, y)
        target, classes, multilabel = encode_target(y)
        weight = self._weights(target, classes, multilabel, sample_weight)
        X, target, weight = drop_zero_weights(X, target, weight)
        if not multilabel:
            check_two_classes(classes[np.unique(target)])
        resume = self._resumable(X, classes, multilabel)
        self.classes_, self.multilabel_ = classes, multilabel
        return X, target, weight, resume

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, Any]:
        check_ndim(X, type(self).__name__, self._takes_nd())
        if isinstance(X, RowView):
            check_finite(X)
            return self._check_rows_y(X, y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            allow_nd=self._takes_nd(),
            ensure_all_finite=False,
            reset=not self._goes_on(),
        )
        check_finite(X)
        return X, y

    def _check_rows_y(self, rows: Any, y: Any) -> tuple[Any, Any]:
        """Check y and its length beside rows that are no array."""
        validate_data(self, rows, skip_check_array=True, reset=not self._goes_on())
        y = validate_data(self, y=y, multi_output=True)
        check_consistent_length(rows, y)
        return rows, y

    def _weights(
        self, target: Any, classes: np.ndarray, multilabel: bool, sample_weight: Any
    ) -> np.ndarray:
        """Return the weight of every sample, class weights included, mean one over the data."""
        weight = check_weights(sample_weight, target.shape[0])
        if weight is None:
            weight = np.ones(target.shape[0])
        class_weight = self._class_weight_of(classes)
        if class_weight is not None and not multilabel:
            weight = weight * class_factors(class_weight, target, classes, weight)[target]
        check_any_weight(weight)
        return weight / weight[weight > 0].mean()

    def _goes_on(self) -> bool:
        """Tell whether a fit starts from the weights of the last one."""
        return self.warm_start and hasattr(self, "module_")

    def _resumable(self, X: Any, classes: np.ndarray, multilabel: bool) -> bool:
        if not self._goes_on():
            return False
        same = multilabel == self.multilabel_ and np.array_equal(classes, self.classes_)
        if not same:
            raise ValueError(
                "warm_start=True needs the classes of the previous fit. Got y with other classes "
                "instead; set warm_start=False to start afresh."
            )
        if tuple(X.shape[1:]) != self._input_shape:
            raise ValueError(
                f"warm_start=True needs the features of the previous fit, {self._input_shape}. Got "
                f"{tuple(X.shape[1:])} instead; set warm_start=False to start afresh."
            )
        return True

    def _train(self, X: Any, target: Any, weight: np.ndarray, resume: bool) -> None:
        train, valid, plan = self._set_up(X, target, weight)
        expect(1.0)
        begin_stage("training", 1.0)
        if not resume:
            self.__dict__.pop("module_", None)
        with isolated(plan.seed, plan.device, self.n_jobs):
            # Kept only if the run succeeds: no half-trained network is left behind.
            module = copy.deepcopy(self.module_) if resume else self._new_module(train)
            module = module.to(dtype=train.dtype).to(device=plan.device)
            module, self.history_ = self._trained(module, train, valid, plan)
        self.module_: nn.Module = module.eval()

    def _trained(
        self,
        module: nn.Module,
        train: BatchDataset,
        valid: BatchDataset | None,
        plan: TrainingPlan,
    ) -> tuple[nn.Module, list[dict[str, Any]]]:
        """Return the trained network, the same or one that was kept, and its history."""
        cache = as_cache(getattr(self, "memory", None))
        if cache is None:
            return module, self._run(module, train, valid, plan)
        params = [
            (name, value)
            for name, value in sorted(self.get_params(deep=False).items())
            if name not in ("memory", "n_jobs", "verbose")
        ]
        random = torch.default_generator.get_state()
        content = type(self), params, self._fit_setting(), self._learnt(), module, train, valid
        found, history = cache.part(
            "network",
            (*content, plan.seed, random),
            lambda: (module, self._run(module, train, valid, plan)),
        )
        return found.to(plan.device), history

    def _learnt(self) -> tuple[Any, ...]:
        """Return what training depends on beside parameters, network and rows."""
        return self.classes_, self.multilabel_

    def _fit_setting(self) -> tuple[Any, ...]:
        """Return what rounding depends on: the device and the number of threads."""
        return resolve_device(self.device).type, resolve_threads(self.n_jobs)

    def _set_up(
        self, X: Any, target: Any, weight: np.ndarray
    ) -> tuple[BatchDataset, BatchDataset | None, TrainingPlan]:
        """Return the rows to learn from, those to stop by, and how to train."""
        random_state = as_random_state(self.random_state)
        seed, split_seed = random_state.randint(np.iinfo(np.int32).max, size=2)
        device = resolve_device(self.device)
        batch_size = (
            self._auto_batch_size(len(weight)) if self.batch_size == "auto" else self.batch_size
        )
        dtype = self._resolve_dtype(len(weight), int(batch_size))
        self._input_shape = tuple(X.shape[1:])
        soft = self._soft
        data = BatchDataset(X, target, weight, dtype, None if soft is None else soft.values)
        train, valid = self._split(data, int(split_seed))
        plan = self._plan(target, weight, device, int(batch_size), int(seed))
        if soft is not None:
            plan = replace(plan, criterion=soft.criterion(self.multilabel_))
        return train, valid, plan

    def _new_module(self, train: BatchDataset) -> nn.Module:
        """Return the untrained network; to be called under the fit's own torch seed."""
        module = self._make_module(self._input_shape, len(self.classes_)).to(dtype=train.dtype)
        self._prepare_module(module, train)
        return module

    def _run(
        self,
        module: nn.Module,
        train: BatchDataset,
        valid: BatchDataset | None,
        plan: TrainingPlan,
    ) -> list[dict[str, Any]]:
        """Train the network in place and return its history."""
        if self.auxiliary is not None:
            return train_with_heads(self.auxiliary, module, train, valid, plan, self.classes_)
        return train_network(module, train, valid, plan)

    def _resolve_dtype(self, n_samples: int, batch_size: int) -> torch.dtype:
        if self.dtype == "auto":
            exact = self._own_network() and n_samples <= batch_size
            return torch.float64 if exact else torch.float32
        return torch.float64 if self.dtype == "float64" else torch.float32

    def _split(self, data: BatchDataset, seed: int) -> tuple[BatchDataset, BatchDataset | None]:
        if not self.early_stopping:
            return data, None
        return split_off(data, self.validation_fraction, seed)

    def _plan(
        self, target: Any, weight: np.ndarray, device: torch.device, batch_size: int, seed: int
    ) -> TrainingPlan:
        """Return how to train."""
        return plan_training(self, target, weight, device, batch_size, seed)

    # -- predicting ----------------------------------------------------------------------------

    def _check_X(self, X: Any, finite: bool = True) -> Any:
        """Return validated X; without ``finite`` the caller looks for NaN and infinity."""
        if not self._takes_as_is(X):
            X = self._validated(X)
        if finite:
            check_finite(X)
        if tuple(X.shape[1:]) != self._input_shape:
            raise ValueError(
                f"X must have rows of shape {self._input_shape}, as in fit. Got rows of shape "
                f"{tuple(X.shape[1:])} instead."
            )
        return X

    def _takes_as_is(self, X: Any, row_shape: tuple[int, ...] | None = None) -> bool:
        """Tell whether validation, which takes as long as many forwards of a row, does nothing."""
        fitted = vars(self)
        if "module_" not in fitted or "feature_names_in_" in fitted:
            return False
        return is_plain(X, self._input_shape if row_shape is None else row_shape)

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self, "module_")
        check_ndim(X, type(self).__name__, self._takes_nd())
        if isinstance(X, RowView):
            validate_data(self, X, skip_check_array=True, reset=False)
            return X
        return validate_data(
            self,
            X,
            accept_sparse="csr",
            allow_nd=self._takes_nd(),
            ensure_all_finite=False,
            reset=False,
        )

    def _logits(self, X: Any) -> np.ndarray:
        """Return the network's outputs for validated X, shape (n_samples, n_outputs)."""
        return forward(self.module_, X, self.device, self.n_jobs)

    def _answer(self, X: Any, finish: Finish) -> np.ndarray:
        if type(self)._logits is not BaseTorchClassifier._logits:
            return super()._answer(X, finish)
        # Arrays are checked and finished batch by batch, while a batch is in the cache.
        X = self._check_X(X, finite=not isinstance(X, np.ndarray))
        check = isinstance(X, np.ndarray)
        return forward(self.module_, X, self.device, self.n_jobs, finish=finish, check=check)

    def _feature_posteriors(self, features: Any, sums: Any = None) -> np.ndarray | None:
        """Return class posteriors of features that a family has computed, unchecked.

        Parameters
        ----------
        features : ndarray of shape (n_samples, ...)
            What the network reads.
        sums : ndarray of shape (n_classes, n_columns) or None, default=None
            What the posteriors are multiplied by, batch by batch.

        Returns
        -------
        ndarray of shape (n_samples, n_classes or n_columns), float64
            None where the network does not take features as they are.
        """
        own = type(self)._logits is BaseTorchClassifier._logits and not self.multilabel_
        if not own or not is_plain(features, self._input_shape):
            return None
        return self._posteriors_above(self.module_, features, sums)

    def _posteriors_above(self, module: nn.Module, features: Any, sums: Any = None) -> np.ndarray:
        """Return the posteriors that a module's logits stand for; rows sum to one."""
        finish = self._probabilities
        if sums is not None:
            target = resolve_device(self.device, fitted=True)
            matrix = torch.as_tensor(sums, device=target)

            def finish(logits: torch.Tensor) -> torch.Tensor:
                return torch.softmax(logits, dim=1) @ matrix.to(logits.dtype)

        found = forward(module, features, self.device, self.n_jobs, finish=finish)
        found = found.astype(np.float64)
        found /= found.sum(axis=1, keepdims=True)
        return found

    # -- what it costs -------------------------------------------------------------------------

    def _prices(self) -> list[tuple[str, float, float]]:
        """Return name, multiply-adds and parameters, of a flat network first where that differs."""
        from .pricing import beside_flat, network_cost

        try:
            own = network_cost(self.module_, self._input_shape)
            flat = beside_flat(self) if self._beside_flat else None
        except ValueError:  # it cannot be followed without data
            return []
        return [("flat network", *flat), ("this network", *own)] if flat else [("network", *own)]

    # -- taking it elsewhere -------------------------------------------------------------------

    def to_onnx(self, path: Any, *, input_dtype: str = "float32") -> None:
        """Write the network as an ONNX file, from rows to class posteriors.

        The file takes ``rows``, (n_samples, ...) as in ``fit`` for any number of samples (images as
        (n_samples, channels, height, width)), and gives ``probabilities`` (n_samples, n_classes),
        those of ``predict_proba`` in single precision. Its metadata hold, as JSON, ``classes``,
        ``classes_dtype``, ``multilabel`` and ``row_shape``.

        Parameters
        ----------
        path : str or path-like
            File to write.
        input_dtype : {"float32", "uint8"}, default="float32"
            Type of the rows that the file takes.

        Raises
        ------
        ValueError
            If a layer cannot be converted.
        MissingExtraError
            If onnx is not installed, or a layer needs onnxscript, which is not.
        """
        from .export import write_onnx

        write_onnx(self, path, input_dtype=input_dtype)

    def _posterior_module(self) -> nn.Module:
        """Return what ``predict_proba`` computes as one module, sharing the network."""
        from .export_modules import posterior_network

        check_is_fitted(self, "module_")
        return posterior_network(self)

    # -- the rest of the contract --------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = self._takes_nd()
        tags.classifier_tags.multi_label = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # Weights leave the GPU on their way into a file, so that any machine can open it. They are
        # moved, not copied: a network and its branches share layers, and copies would be stored
        # once each. The next prediction moves them back.
        state = super().__getstate__()
        for value in state.values():
            if isinstance(value, nn.Module):
                value.cpu()
        return state
