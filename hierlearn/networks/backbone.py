"""Frozen features of a network with weights, as a scikit-learn transformer."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from numbers import Integral
from typing import Any, Self

import joblib
import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, check_memory
from torch import nn

from .._given import validate_data
from .._rows import RowView, SelectedRows
from .._validation import HasMethods, Interval, StrOptions, check_choice, fit_context
from ._runtime import resolve_device, threads
from ._target import check_finite, check_outputs
from .images import as_images
from .lazy_rows import LazyRows, lazy_rows
from .pretrained import PRETRAINED
from .reading import (
    ImageInput,
    Scale,
    build_reader,
    described,
    dtype_of,
    run_batches,
    weights_digest,
)
from .scaling import checked_scale, function_key, scale_key, warn_of_range

# Frozen copies by what they compute and where: estimators that read the same weights share one.
_COPIES: weakref.WeakValueDictionary[Hashable, nn.Module] = weakref.WeakValueDictionary()
_COPIES_LOCK = threading.Lock()
_DIGESTED = 256


class SharesBackbone:
    """Clone an estimator without copying its backbone, which no fit changes."""

    def __sklearn_clone__(self) -> Any:
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        backbone = params.pop("backbone")
        params = {name: clone(value, safe=False) for name, value in params.items()}
        cloned = type(self)(backbone=backbone, **params)  # type: ignore[call-arg]
        for name in ("_sklearn_output_config", "_metadata_request"):
            if name in vars(self):
                setattr(cloned, name, copy.deepcopy(vars(self)[name]))
        return cloned


class BackboneFeatures(
    SharesBackbone, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Features that a pre-trained network computes at one of its layers.

    The network is run as it is: nothing is trained and its weights never change. Every row of X
    passes it once per ``transform``, batch by batch. In front of a hierarchy, in a Pipeline, it
    runs once for the base network, the hierarchy classifier and all class assignment networks
    together.

    Parameters
    ----------
    backbone : torch.nn.Module, fitted classifier or str, default=None
        Any network with weights (of timm, torchvision or one's own), a fitted torch classifier of
        hierlearn, a Pipeline that ends in one, or ``"efficientnet_lite0"``, whose ImageNet weights
        come with the extra ``hierlearn[transfer]``. It has to be given. A fit reads from a frozen
        copy, so that the mode and the device of yours stay; a clone of the estimator shares it.
    layer : str, default=None
        Dotted name of the layer whose output is read, as in ``named_modules()``. None is what the
        classifier, a last ``nn.Linear``, reads; without one, the network's output.
    pool : bool, default=True
        Whether maps are averaged over all positions to vectors: ``(n, channels, height, width)``
        over the last two dimensions, tokens ``(n, tokens, d)`` over all tokens.
    input_shape : tuple of int, default=None
        Shape of one sample, as (channels, height, width), if the rows of X are flat.
    scale : (shift, divisor) or callable, default=None
        X becomes ``(X - shift) / divisor``; each is a number, or a sequence of one a channel. A
        callable is given every batch as a tensor. None leaves X as it is, but for a network by
        name, which scales X of values from 0 to 255 as in its own training.
    resize : int, default=None
        Side in pixels to which images are brought bilinearly, before they are scaled.
    batch_size : int or "auto", default="auto"
        Rows a batch.
    memory : str or joblib.Memory, default=None
        Where features are kept, so that equal rows and weights, in this process or another, are not
        computed again.
    loader : callable, default=None
        From a path, or any other item of X, to the image (channels, height, width), where X is a
        list of them. They are read batch by batch, as are torch data sets, which need no loader.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1, -1 all cores.

    Attributes
    ----------
    module_ : torch.nn.Sequential
        What is run: the scaling, the frozen network up to the layer, the pooling. Fitted estimators
        that read the same weights in the same way share it.
    n_features_in_ : int
        Number of features seen during fit; channels, for images.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.

    See Also
    --------
    TransferClassifier : A classifier on such features, which may go on to tune the network.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from hierlearn import BackboneFeatures
    >>> network = nn.Sequential(
    ...     nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    ... )
    >>> images = np.zeros((5, 3, 16, 16), dtype=np.uint8)
    >>> BackboneFeatures(network, scale=(127, 128)).fit_transform(images).shape
    (5, 8)
    >>> BackboneFeatures(network, layer="0", pool=False).fit_transform(images).shape
    (5, 8, 14, 14)
    """

    _parameter_constraints: dict = {
        "backbone": [nn.Module, str, HasMethods(["predict"]), None],
        "layer": [str, None],
        "pool": ["boolean"],
        "input_shape": ["array-like", None],
        "scale": ["array-like", callable, None],
        "resize": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "memory": [str, HasMethods(["cache"]), None],
        "loader": [callable, None],
        "device": [str],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        backbone: Any = None,
        *,
        layer: str | None = None,
        pool: bool = True,
        input_shape: Sequence[int] | None = None,
        scale: Scale = None,
        resize: int | None = None,
        batch_size: int | str = "auto",
        memory: Any = None,
        loader: Callable[[Any], Any] | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pool = pool
        self.input_shape = input_shape
        self.scale = scale
        self.resize = resize
        self.batch_size = batch_size
        self.memory = memory
        self.loader = loader
        self.device = device
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Take a frozen copy of the network and see that it takes such rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, c, h, w)
            Of any numeric dtype; cast batch by batch. Or images to be read, see ``loader``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If the backbone has no weights or no such layer, or does not take the rows of X.
        ImportError
            If the network named is not installed.
        """
        resolve_device(self.device)
        rows = self._rows(X, reset=True)
        if isinstance(self.backbone, str) and self.scale is None:
            warn_of_range(rows)
        self._input_shape = tuple(rows.shape[1:])
        self._key = self.key(fitted=False)
        self.module_ = self._shared_reader()
        self._n_features_out = self._output_shape()[0]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of every row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, c, h, w)
            Rows, or images, that the network takes.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            With ``pool=False``, maps of the layer's own shape. Of the floating type of the weights.
        """
        check_is_fitted(self, "module_")
        rows = self._rows(X, reset=False)
        if tuple(rows.shape[1:]) != self._input_shape:
            raise ValueError(
                f"X must have rows of shape {self._input_shape}, as in fit. Got rows of shape "
                f"{tuple(rows.shape[1:])} instead."
            )
        if self.memory is None:
            return self._features(rows)
        cached = check_memory(self.memory).cache(_features_of, ignore=["rows", "estimator"])
        return cached(self._key, _digest(rows), rows, self)

    def key(self, fitted: bool = True) -> Hashable:
        """Return what tells whether two of these compute the same features.

        Parameters
        ----------
        fitted : bool, default=True
            Whether a fitted estimator answers for what it was fitted with, and not for what its
            parameters are now.

        Returns
        -------
        tuple
            A digest of the network's layers and weights, and the settings that matter.
        """
        if fitted and hasattr(self, "_key"):
            return self._key
        prefix, _, module = self._opened()
        weights = module if isinstance(module, str) else weights_digest(module)
        return (
            weights,
            self.layer,
            bool(self.pool),
            None if self.input_shape is None else tuple(int(n) for n in self.input_shape),
            scale_key(self.scale),
            self.resize,
            None if prefix is None else joblib.hash(prefix),
            None if self.loader is None else function_key(self.loader, "loader"),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BackboneFeatures):
            return NotImplemented
        return self is other or self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    # -- the network ---------------------------------------------------------------------------

    def _opened(self) -> tuple[Any, Any, nn.Module | str]:
        """Return the transformers and the classifier around a network, and it or its name."""
        backbone: Any = self.backbone
        steps: list[tuple[str, Any]] = []
        while isinstance(backbone, FrozenEstimator | Pipeline):
            if isinstance(backbone, Pipeline):
                steps += [(f"{len(steps)}-{name}", step) for name, step in backbone.steps[:-1]]
                backbone = backbone.steps[-1][1]
            else:
                backbone = backbone.estimator
        if isinstance(backbone, str):
            check_choice(backbone, set(PRETRAINED), "backbone")
            return None, None, backbone
        classifier = None if isinstance(backbone, nn.Module) else backbone
        module = backbone if classifier is None else getattr(classifier, "module_", None)
        if not isinstance(module, nn.Module):
            raise ValueError(
                "backbone must be a torch.nn.Module with weights, a fitted torch classifier of "
                f"hierlearn or one of the names {sorted(PRETRAINED)}. Got "
                f"{type(self.backbone).__name__} instead; fit it first, or give its network."
            )
        if not any(True for _ in module.parameters()):
            raise ValueError(
                "backbone must have weights. Got a "
                f"{type(module).__name__} without any instead; give a network that was trained."
            )
        return (Pipeline(steps) if steps else None), classifier, module

    def _rows(self, X: Any, reset: bool) -> Any:
        """Return X as the network takes it: validated, and through what stands in front of it."""
        prefix, classifier, _ = self._opened()
        unread = self._lazy_rows(X)
        X = X if unread is None else unread
        if not reset:
            check_channels(getattr(X, "shape", ())[1:], self._input_shape)
        if classifier is not None:  # which validates X itself, column names included
            validate_data(self, X, skip_check_array=True, reset=reset)
            return classifier._check_X(X if prefix is None else prefix.transform(X))
        if unread is not None or isinstance(X, RowView):
            validate_data(self, X, skip_check_array=True, reset=reset)
            if unread is None:
                check_finite(X)
            return X
        X = validate_data(
            self, X, accept_sparse="csr", allow_nd=True, ensure_all_finite=False, reset=reset
        )
        check_finite(X)
        return X

    def _lazy_rows(self, X: Any) -> LazyRows | None:
        """Return X as images that are read batch by batch; None where it is an array."""
        prefix, classifier, _ = self._opened()
        if prefix is not None:
            return None
        loader = self.loader or getattr(classifier, "loader", None)
        shape = None if self.input_shape is None else tuple(int(n) for n in self.input_shape)
        return lazy_rows(X, loader, shape if shape is not None and len(shape) == 3 else None)

    def _shared_reader(self) -> nn.Module:
        place = (self._key, self._input_shape, self.device)
        with _COPIES_LOCK:
            reader = _COPIES.get(place)
            if reader is None:
                reader = _COPIES[place] = self._reader()
            return reader

    def _reader(self) -> nn.Sequential:
        _, _, found = self._opened()
        scale = self.scale
        if isinstance(found, str):
            known = PRETRAINED[found]
            module, scale = known.build(), known.scale if scale is None else scale
        else:
            module = found
        inputs = self._inputs(scale)
        weight = next(module.parameters())
        row = torch.zeros((1, *self._input_shape), device=weight.device, dtype=dtype_of(module))
        if inputs is not None:
            inputs = inputs.to(weight.device)
        try:
            with torch.no_grad(), threads(self.n_jobs):
                return build_reader(module, self.layer, inputs, row, self.pool)
        except ValueError as error:
            if str(error).startswith(("layer must", "scale must")):
                raise
            raise self._refusal(error) from error
        except Exception as error:
            raise self._refusal(error) from error

    def _inputs(self, scale: Scale) -> ImageInput | None:
        shape, given = None, self._input_shape
        if self.input_shape is not None:
            shape = tuple(int(n) for n in self.input_shape)
            if int(np.prod(shape)) != int(np.prod(given)):
                raise ValueError(
                    f"input_shape must hold as many values as a row of X, {int(np.prod(given))}. "
                    f"Got {shape}, {int(np.prod(shape))} values, instead."
                )
        if self.resize is not None and len(shape or given) != 3:
            raise ValueError(
                "resize needs images, rows of shape (channels, height, width). Got rows of shape "
                f"{shape or given} instead; give input_shape, or leave resize out."
            )
        if shape is None and self.resize is None and scale is None:
            return None
        return ImageInput(shape, self.resize, checked_scale(scale, shape or given))

    def _refusal(self, error: Exception) -> ValueError:
        shape = self._input_shape if self.input_shape is None else tuple(self.input_shape)
        try:
            check_channels(shape)
        except ValueError as moved:
            return moved
        return ValueError(
            f"backbone must take rows of shape {shape}, those of X, in floating point. Got "
            f"{described(error)} instead; give X of the size and channels that it was trained on, "
            "(n, channels, height, width), or see input_shape and resize."
        )

    def _output_shape(self) -> tuple[int, ...]:
        """Return the shape of one row's features; refuse what are none."""
        found = self._features(np.zeros((1, *self._input_shape)))
        if found.ndim < 2 or found.shape[0] != 1:
            raise ValueError(
                "backbone must give a vector or maps for every sample at the layer read. Got "
                f"shape {found.shape} for one sample instead; choose another layer."
            )
        return found.shape[1:]

    def _features(self, rows: Any) -> np.ndarray:
        features = run_batches(self.module_, rows, self.batch_size, self.device, self.n_jobs)
        check_outputs(features)
        return features

    # -- the rest of the contract --------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # Weights leave the GPU on their way into a file, so that any machine can open it.
        state = super().__getstate__()
        if "module_" in state:
            state["module_"].cpu()
        return state


def check_channels(row_shape: Sequence[int], wanted: Sequence[int] = ()) -> None:
    """Refuse images that have their channels last, saying how to move them.

    Parameters
    ----------
    row_shape : sequence of int
        Shape of one row of X.
    wanted : sequence of int, default=()
        A shape that is right in any case.
    """
    if len(row_shape) == 3 and tuple(row_shape) != tuple(wanted):
        as_images(np.empty((1, *row_shape)), None)


def _features_of(key: Hashable, digest: str, rows: Any, estimator: BackboneFeatures) -> np.ndarray:
    return estimator._features(rows)


def _digest(rows: Any) -> str:
    """Return a digest of the rows; of images on disk that of their pixels, read bit by bit."""
    if not isinstance(rows, SelectedRows):
        return str(joblib.hash(rows))
    parts = [
        joblib.hash(np.asarray(rows[start : start + _DIGESTED]))
        for start in range(0, len(rows), _DIGESTED)
    ]
    return str(joblib.hash((rows.shape, parts)))
