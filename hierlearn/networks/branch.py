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
