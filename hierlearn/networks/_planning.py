"""From a classifier's settings to a training run: how to train, and which rows to stop by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ..confusion import multilabel_holdout, stratified_holdout
from ..exceptions import HoldOutError
from ._data import BatchDataset
from ._runtime import autocast_dtype
from ._skorch import TrainingPlan
from ._target import check_optimizer, positive_factors

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}


def split_off(data: BatchDataset, fraction: float, seed: int) -> tuple[BatchDataset, BatchDataset]:
    """Hold out rows for early stopping to look at.

    Parameters
    ----------
    data : BatchDataset
        A target of two dimensions is multi-label.
    fraction : float
        Share of the rows.
    seed : int

    Returns
    -------
    train, valid : BatchDataset

    Raises
    ------
    HoldOutError
        If no row can be spared.
    """
    hold_out = multilabel_holdout if data.target.ndim == 2 else stratified_holdout
    try:
        train, valid = hold_out(data.target, fraction, random_state=seed)
    except HoldOutError:
        needed, got = (
            ("a row whose labels all occur in other rows, too, to hold it out", "none")
            if data.target.ndim == 2
            else ("a class with two samples, to hold one out", "classes of one sample only")
        )
        raise HoldOutError(
            f"early_stopping=True needs {needed}. Got {got}; set early_stopping=False."
        ) from None
    return data.part(train), data.part(valid)


def plan_training(
    estimator: Any,
    target: Any,
    weight: np.ndarray,
    device: torch.device,
    batch_size: int,
    seed: int,
) -> TrainingPlan:
    """Return how a classifier is to be trained.

    Parameters
    ----------
    estimator : BaseTorchClassifier
        Its settings, ``classes_`` and ``multilabel_`` are looked at.
    target : ndarray or csr
        Class codes, or a label indicator.
    weight : ndarray of shape (n_samples,)
    device : torch.device
    batch_size : int
    seed : int
        Of the batch order.

    Returns
    -------
    TrainingPlan

    Raises
    ------
    ValueError
        If the optimiser does not take our settings, or class weights do not fit.
    """
    name = estimator.optimizer
    params = {"lr": estimator.lr, "weight_decay": estimator.weight_decay}
    if name == "sgd":
        params["momentum"] = estimator.momentum
    optimizer = OPTIMIZERS[name] if isinstance(name, str) else name
    if optimizer is name:
        check_optimizer(optimizer, params)
    pos_weight = None
    if estimator.multilabel_ and estimator.class_weight is not None:
        pos_weight = positive_factors(estimator.class_weight, target, weight)
    return TrainingPlan(
        criterion=nn.BCEWithLogitsLoss if estimator.multilabel_ else nn.CrossEntropyLoss,
        n_outputs=len(estimator.classes_),
        optimizer=optimizer,
        optimizer_params=params,
        max_epochs=estimator.max_epochs,
        batch_size=batch_size,
        lr_schedule=estimator.lr_schedule,
        patience=estimator.n_iter_no_change if estimator.early_stopping else None,
        device=device,
        autocast=autocast_dtype(device, estimator.mixed_precision),
        seed=seed,
        callbacks=tuple(estimator.callbacks or ()),
        verbose=max(int(estimator.verbose) - 1, 0),
        pos_weight=pos_weight,
        augment=estimator._augmentation(),
    )
