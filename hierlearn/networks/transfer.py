"""Transfer learning: a new classifier on a network with weights, which may be tuned with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import nn
from torch.utils.data import Dataset

from .._caching import MEMORY_CONSTRAINT, as_cache
from .._given import validate_data
from .._progress import begin_stage, expect
from .._validation import HasMethods, Interval, StrOptions
from ._base import BaseTorchClassifier
from ._skorch import TrainingPlan
from .augmenting import CACHE_BYTES
from .backbone import BackboneFeatures, SharesBackbone, check_channels
from .cutting import HEAD, Cut, Layers, cut, feature_bytes, joined
from .lazy_rows import LazyRows, labels_of
from .mlp import TorchMLPClassifier
from .reading import Scale, dtype_of, run_batches
from .split import chain


class TransferClassifier(SharesBackbone, BaseTorchClassifier):
    """A new classifier on the features of a pre-trained network, tuned as far as wanted.

    With ``tune="frozen"`` every row passes the network once, and the classifier is trained on its
    features. With a number, the last layers with weights are trained, too; where the network is a
    chain of layers (``nn.Sequential``), rows pass those below once. ``"all"`` trains everything.
    The network itself is never changed: a fit tunes a copy.

    Parameters
    ----------
    backbone : torch.nn.Module, fitted classifier or str, default=None
        Any network with weights (of timm, torchvision or one's own), a fitted torch classifier of
        hierlearn, or ``"efficientnet_lite0"``. It has to be given.
    tune : "frozen", "all" or int, default="frozen"
        What is trained besides the new classifier: nothing; everything; or the last layers with
        weights (kernels or weight matrices), so many of them, with the norms among them. Running
        statistics and dropout of the other layers stay as in prediction.
    hidden_layer_sizes : sequence of int, default=()
        Hidden layers of the new classifier; without any it is linear.
    layer : str, default=None
        Dotted name of the layer whose output it reads; None is what the network's own classifier
        reads. Maps are averaged over all positions, tokens over all tokens.
    backbone_lr_factor : float, default=0.1
        Learning rate of pre-trained layers, as a multiple of ``lr``.
    input_shape : tuple of int, default=None
        Shape of one sample, as (channels, height, width), if the rows of X are flat.
    scale : (shift, divisor) or callable, default=None
        See :class:`BackboneFeatures`.
    resize : int, default=None
        Side in pixels to which images are brought bilinearly.
    loader : callable, default=None
        From a path, or any other item of X, to the image (channels, height, width), where X is a
        list of them. They are read batch by batch, as are torch data sets, which need no loader.
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
        Weights by class label, as in scikit-learn; see :class:`TorchClassifier` for multi-label y.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    mixed_precision : bool or "always", default=True
        Train in bfloat16 where the device is a GPU that supports it; with ``"always"`` on a CPU,
        too, which pays for convolutions where it has instructions for it (AMX).
    dtype : {"auto", "float32", "float64"}, default="auto"
        Floating type in training. ``"auto"`` leaves tuned layers their own; a new classifier on
        frozen features is float32, but float64 when the whole training set fits in one batch.
    callbacks : sequence or None, default=None
        Further skorch callbacks.
    memory : None, str, path-like or joblib.Memory, default=None
        Where frozen layers' features, and what is trained above them, are kept, and found again by
        this or any other fit on the same rows. A network that trains for long is kept after epochs,
        too. None keeps nothing.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batch order, dropout and the validation split.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given; label indices for a multi-label y.
    module_ : torch.nn.Sequential
        The whole network: ``inputs`` (scaling), ``backbone``, ``pool`` and ``head``, what there is
        of them. Frozen layers are shared by all that read them.
    n_tuned_ : int
        Number of pre-trained weights and biases that were trained.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss``.
    n_features_in_ : int
        Number of features seen during fit; channels, for images.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    See Also
    --------
    BackboneFeatures : The features alone, to stand in front of any classifier.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.4 (transfer learning).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import TorchMLPClassifier, TransferClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> low = y < 5
    >>> source = TorchMLPClassifier((50,), max_epochs=10, random_state=0).fit(X[low], y[low])
    >>> clf = TransferClassifier(source, lr=0.03, max_epochs=10, random_state=0)
    >>> clf.fit(X[~low], y[~low]).score(X[~low], y[~low]) > 0.9
    True
    """

    _keeps_parts = True

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "backbone": [nn.Module, str, HasMethods(["predict"]), None],
        "tune": [StrOptions({"frozen", "all"}), Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "layer": [str, None],
        "backbone_lr_factor": [Interval(Real, 0, None, closed="neither")],
        "input_shape": ["array-like", None],
        "scale": ["array-like", callable, None],
        "resize": [Interval(Integral, 1, None, closed="left"), None],
        "loader": [callable, None],
        "memory": MEMORY_CONSTRAINT,
    }

    def __init__(
        self,
        backbone: Any = None,
        *,
        tune: str | int = "frozen",
        hidden_layer_sizes: Sequence[int] = (),
        layer: str | None = None,
        backbone_lr_factor: float = 0.1,
        input_shape: Sequence[int] | None = None,
        scale: Scale = None,
        resize: int | None = None,
        loader: Callable[[Any], Any] | None = None,
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
        memory: Any = None,
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
        self.backbone = backbone
        self.tune = tune
        self.hidden_layer_sizes = hidden_layer_sizes
        self.layer = layer
        self.backbone_lr_factor = backbone_lr_factor
        self.input_shape = input_shape
        self.scale = scale
        self.resize = resize
        self.loader = loader
        self.memory = memory

    # -- where it reads, inside a hierarchy ----------------------------------------------------

    def _source(self) -> BackboneFeatures | None:
        """Return the features that are computed once for all that read them, if they are fixed."""
        return self._features() if self.tune == "frozen" else None

    def _on_source(self) -> TorchMLPClassifier | TransferClassifier:
        """Return what takes the output of ``_source``; without one, this classifier itself."""
        return self._new_classifier() if self.tune == "frozen" else self

    def _new_classifier(self) -> TorchMLPClassifier:
        """Return the classifier that, on frozen features, is this one."""
        params = self.get_params(deep=False)
        names = (*BaseTorchClassifier._parameter_constraints, "hidden_layer_sizes")
        return TorchMLPClassifier(**{name: params[name] for name in names})

    def _features(self) -> BackboneFeatures:
        if hasattr(self.backbone, "steps"):
            raise ValueError(
                "backbone must be a network, without transformers. Got a Pipeline instead; put its "
                "steps in front, as in make_pipeline(*steps, TransferClassifier(network))."
            )
        names = ("backbone", "layer", "input_shape", "scale", "resize", "loader")
        settings = {name: getattr(self, name) for name in (*names, "device", "n_jobs")}
        return BackboneFeatures(**settings)

    # -- fitting -------------------------------------------------------------------------------

    def _takes_nd(self) -> bool:
        return True

    def _lazy_rows(self, X: Any) -> LazyRows | None:
        """Return X as images that are read batch by batch; None where it is an array."""
        return self._features()._lazy_rows(X)

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, Any]:
        images = self._lazy_rows(X)
        if images is None:
            return super()._check_X_y(X, y)
        if y is None and isinstance(X, Dataset):
            y = labels_of(X)
        validate_data(self, images, skip_check_array=True, reset=not self._goes_on())
        y = validate_data(self, y=y, multi_output=True)
        check_consistent_length(images, y)
        return images, y

    def _check_X(self, X: Any, finite: bool = True) -> Any:
        check_is_fitted(self, "module_")
        images = self._lazy_rows(X)
        if images is None:
            check_channels(getattr(X, "shape", ())[1:], self._input_shape)
            return super()._check_X(X, finite)
        validate_data(self, images, skip_check_array=True, reset=False)
        if images.shape[1:] != self._input_shape:
            raise ValueError(
                f"X must have images of shape {self._input_shape}, as in fit. Got images of shape "
                f"{images.shape[1:]} instead."
            )
        return images

    def _resolve_dtype(self, n_samples: int, batch_size: int) -> torch.dtype:
        if self._cut.above and self.dtype == "auto":
            return dtype_of(joined(self._cut.above))
        return super()._resolve_dtype(n_samples, batch_size)

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        head = self._new_classifier()._make_module((self._reading._n_features_out,), n_outputs)
        if not self._cut.above:
            return head
        above = copy.deepcopy(list(self._cut.above))
        return joined([*above, *_as_head(head)], self._cut.tuned).freeze()

    def _train(self, X: Any, target: Any, weight: np.ndarray, resume: bool) -> None:
        shape = tuple(X.shape[1:])
        before: Any = vars(self).get("module_")
        if resume:
            reader: Any = joined(_layers_of(before, head=False))
        else:
            self._reading = self._features().fit(X)
            reader = self._reading.module_
        rows = self._reading._rows(X, reset=False)
        self._cut = _affordable(cut(reader, rows.shape[1:], self.tune), rows.shape)
        if self._cut.below:
            expect(2.0)
            begin_stage("features of the frozen layers", 1.0)
            rows = self._below(joined(self._cut.below), rows)
        if resume:
            self.module_ = self._resumed(before)
        try:
            super()._train(rows, target, weight, resume)
            before = self._whole(self.module_, dtype_of(reader))
        finally:
            # What a failed fit leaves behind is what was there before, or nothing.
            if "module_" in vars(self):
                self.module_ = before
            self._input_shape = shape
            del self._cut

    def _below(self, layers: nn.Module, rows: Any) -> Any:
        """Return the frozen layers' output, computed or as it was kept."""

        def compute() -> np.ndarray:
            return run_batches(layers, rows, "auto", self.device, self.n_jobs, told="batches")

        cache = as_cache(self.memory)
        if cache is None:
            return compute()
        return cache.part("features", (layers, rows, self._fit_setting()), compute)

    def _resumed(self, whole: Any) -> nn.Module:
        """Return the part of a trained network that goes on learning, as a copy."""
        head = copy.deepcopy(_layers_of(whole, head=True))
        if not self._cut.above:
            return joined([(name.partition(".")[2], layer) for name, layer in head])
        above = copy.deepcopy(list(self._cut.above))
        return joined([*above, *head], self._cut.tuned).freeze()

    def _whole(self, trained: nn.Module, dtype: torch.dtype) -> nn.Module:
        """Put the trained part on the layers that stayed as they were."""
        above: Layers = chain(trained) if self._cut.above else _as_head(trained)
        learnt = [parameter for parameter in trained.parameters() if parameter.requires_grad]
        n_learnt = sum(parameter.numel() for parameter in learnt)
        n_new = sum(
            parameter.numel()
            for _, layer in _layers_of(joined(above), head=True)
            for parameter in layer.parameters()
        )
        self.n_tuned_ = n_learnt - n_new
        if self._cut.above:  # nothing of the copy that was read remains in use
            vars(self._reading).pop("module_", None)
        return joined([*self._cut.below, *above]).to(dtype).eval()

    def _plan(self, *args: Any) -> TrainingPlan:
        plan = super()._plan(*args)
        found = vars(self).get("_cut")
        if found is None or not found.above:  # no fit of its own, or one of the head alone
            return plan
        slower = ("backbone*", {"lr": self.lr * self.backbone_lr_factor})
        params = {**plan.optimizer_params, "param_groups": [slower]}
        return replace(plan, optimizer_params=params)

    # -- predicting ----------------------------------------------------------------------------

    def _logits(self, X: Any) -> np.ndarray:
        rows = self._reading._rows(X, reset=False)
        return run_batches(self.module_, rows, "auto", self.device, self.n_jobs)


def _as_head(head: nn.Module) -> Layers:
    return [(f"{HEAD}.{name}", layer) for name, layer in chain(head)]


def _layers_of(whole: Any, *, head: bool) -> Layers:
    """Return the new classifier's layers of a transferred network, or the others."""
    return [pair for pair in chain(whole) if pair[0].startswith(f"{HEAD}.") == head]


def _affordable(found: Cut, rows_shape: tuple[int, ...]) -> Cut:
    """Have all layers run in every epoch where there is nothing to save, or no room to keep it."""
    if not found.below or not found.above:
        return found
    weights = any(True for _, layer in found.below for _ in layer.parameters())
    if weights and feature_bytes(found.below, rows_shape[1:], rows_shape[0]) <= CACHE_BYTES:
        return found
    return Cut([], [*found.below, *found.above], found.tuned)
