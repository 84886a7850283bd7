"""Any torch network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ._base import BaseTorchClassifier
from .auxiliary import AuxiliaryHeads
from .mlp import mlp


class TorchClassifier(BaseTorchClassifier):
    """Any torch network as a scikit-learn classifier, multi-class or multi-label.

    The training loop is skorch's; validation, labels of any dtype, sample weights and random state
    are scikit-learn's to the letter. A fit leaves torch's and numpy's global random states, and
    torch's thread count, as they were, and gives the same weights whatever runs around it.

    Parameters
    ----------
    module : type or callable, default=None
        Called as ``module(n_features, n_outputs, **module_params)``; returns a ``torch.nn.Module``
        that maps ``(n, n_features)`` to logits ``(n, n_outputs)``. For X of more than two
        dimensions ``n_features`` is the tuple ``X.shape[1:]``. None is a multi-layer perceptron,
        :func:`hierlearn.networks.mlp`.
    module_params : dict, default=None
        Further keyword arguments of ``module``.
    auxiliary : AuxiliaryHeads, default=None
        Heads at inner layers that help to train the network and are then discarded, see
        :class:`hierlearn.AuxiliaryHeads`.
    max_epochs : int, default=20
        Passes over the training data.
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
        Class labels as given; label indices for a multi-label y.
    module_ : torch.nn.Module
        The trained network.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss`` and
        ``auxiliary_loss``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    See Also
    --------
    TorchMLPClassifier : A multi-layer perceptron by its hidden layer sizes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from hierlearn import TorchClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> def network(n_features, n_outputs, width=16):
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, width), nn.Tanh(), nn.Linear(width, n_outputs)
    ...     )
    >>> clf = TorchClassifier(network, module_params={"width": 32}, lr=0.01, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "module": [callable, None],
        "module_params": [dict, None],
        "auxiliary": [AuxiliaryHeads, None],
    }

    def __init__(
        self,
        module: Callable[..., nn.Module] | None = None,
        *,
        module_params: dict[str, Any] | None = None,
        auxiliary: AuxiliaryHeads | None = None,
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
        self.module = module
        self.module_params = module_params
        self.auxiliary = auxiliary

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        """Build the untrained network; runs under the fit's own torch seed."""
        if isinstance(self.module, nn.Module):
            raise ValueError(
                "module must be a class or function that builds a network, called with (n_features,"
                f" n_outputs). Got a built {type(self.module).__name__} instead; wrap it in a "
                "function."
            )
        factory = mlp if self.module is None else self.module
        n_features: Any = input_shape[0] if len(input_shape) == 1 else input_shape
        module = factory(n_features, n_outputs, **(self.module_params or {}))
        if not isinstance(module, nn.Module):
            raise ValueError(
                "module must return a torch.nn.Module when called with (n_features, n_outputs). "
                f"Got {type(module).__name__} instead."
            )
        return module

    def _own_network(self) -> bool:
        """Tell whether the network is known to run in double precision."""
        return self.module is None

    def _takes_nd(self) -> bool:
        return self.module is not None
