"""Branches: copies of a network's upper layers, fine-tuned on some of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from .._validation import Interval
from ._base import BaseTorchClassifier
from ._data import auto_batch_size
from .split import copy_head


class BranchClassifier(BaseTorchClassifier):
    """Fine-tune a copy of a trained network's upper layers on the classes found in y.

    X holds the features that the shared lower layers (the trunk) compute. The copy starts from the
    trained weights, with the classifier rows of the classes in y only.

    Parameters
    ----------
    head : torch.nn.Sequential
        Trained upper layers, ending in an ``nn.Linear`` classifier; never changed.
    head_classes : ndarray of shape (n_head_classes,)
        Labels of the classifier's rows; y may hold any of these.
    dropout : float or None, default=None
        Probability that the copy's dropout layers drop a unit; None keeps the network's own.
    max_epochs : int, default=20
        Passes over the cluster's samples. The remaining parameters are, like this one, those of
        :class:`TorchClassifier`.
    batch_size : int or "auto", default="auto"
        Rows a step. ``"auto"`` is about a hundredth of the data, a power of two from 64 to 256.
    optimizer : {"adamw", "adam", "sgd"} or torch.optim.Optimizer class, default="adamw"
        How the weights are moved.
    lr : float, default=1e-3
        (Peak) learning rate.
    weight_decay : float, default=0.01
        Weight decay of the optimiser.
    momentum : float, default=0.9
        Momentum, used by ``optimizer="sgd"`` only.
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        How the learning rate moves over the run.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the data, stop when its loss has not improved for
        ``n_iter_no_change`` epochs and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the data held out by ``early_stopping``.
    n_iter_no_change : int, default=5
        Patience of ``early_stopping`` in epochs.
    class_weight : dict, "balanced" or None, default=None
        Weights by class label, as in scikit-learn. With a multi-label y the keys are label indices
        and the weight applies to the label's positives; ``"balanced"`` is negatives over positives.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit, which must have seen the same
        classes and features.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``. A model
        fitted on CUDA can be loaded and used without one.
    mixed_precision : bool or "always", default=True
        Train in bfloat16 where the device is a GPU that supports it; with ``"always"`` on a CPU,
        too, which pays for convolutions where it has instructions for it (AMX).
    dtype : {"auto", "float32", "float64"}, default="auto"
        Floating type of the network. ``"auto"`` is float32, but float64 for hierlearn's own
        networks when the whole training set fits in one batch: there speed is no concern, and the
        result does not depend on the order of the rows beyond rounding.
    callbacks : sequence or None, default=None
        Further skorch callbacks.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1 (results then do not depend on the machine's cores), -1
        all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batch order, dropout and the validation split.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes of y.
    module_ : torch.nn.Sequential
        The fine-tuned copy.
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "head": [nn.Sequential],
        "head_classes": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
    }

    def __init__(
        self,
        head: nn.Sequential,
        head_classes: np.ndarray,
        *,
        dropout: float | None = None,
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
        super().__init__(
            max_epochs=max_epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            lr_schedule=lr_schedule,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            class_weight=class_weight,
            warm_start=warm_start,
            device=device,
            mixed_precision=mixed_precision,
            dtype=dtype,
            callbacks=callbacks,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.head = head
        self.head_classes = head_classes
        self.dropout = dropout

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        row_of = {label: row for row, label in enumerate(np.asarray(self.head_classes).tolist())}
        labels = self.classes_.tolist()
        unknown = [label for label in labels if label not in row_of]
        if unknown:
            raise ValueError(
                f"y must hold classes of the branched network only. Got {unknown} besides; leave "
                "those samples out, or fit the network on them first."
            )
        n_rows = getattr(self.head[-1], "out_features", len(row_of))
        if n_rows != len(row_of):
            raise ValueError(
                f"head_classes must hold one label for each of the head's {n_rows} outputs. Got "
                f"{len(row_of)} instead; give the classes_ of the network it comes from."
            )
        head = copy_head(self.head, [row_of[label] for label in labels])
        if self.dropout is not None:
            for layer in head.modules():
                if isinstance(layer, _DropoutNd):
                    layer.p = self.dropout
        return head

    def _class_weight_of(self, classes: np.ndarray) -> dict | str | None:
        # The weights of the whole network name classes that a branch does not have.
        if not isinstance(self.class_weight, dict):
            return self.class_weight
        known = set(classes.tolist())
        return {label: weight for label, weight in self.class_weight.items() if label in known}

    def _auto_batch_size(self, n_samples: int) -> int:
        # A branch is small, so that its steps are cheap: it does better with twice as many. What
        # fits in one batch stays in one, where weights count exactly like repetitions.
        whole = auto_batch_size(n_samples)
        return whole if n_samples <= whole else whole // 2

    def _takes_nd(self) -> bool:
        return True

    def _source(self) -> str:
        """Say that in a hierarchy this reads the shared lower layers' output."""
        return "trunk"
