"""Where the members of a family read.

A member is asked with raw rows unless it names another *source*: the output of the base network's
shared lower layers (``"trunk"``), the base's class posteriors (``"flat"``), or the frozen features
of a pre-trained network. Whatever several members read is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags

from .._input import as_read_by, last_step, unfrozen
from .._rows import RowView
from .._validation import num_samples, safe_indexing
from ..confusion import align_columns, class_scores
from ..partition import LabelPartition, TrainingRows

Posteriors = NDArray[np.float64]

TRUNK, FLAT = "trunk", "flat"


def source_of(estimator: Any) -> Any:
    """Return the source that a classifier reads.

    Parameters
    ----------
    estimator : classifier or None
        Fitted or not.

    Returns
    -------
    None, str or transformer
        None for raw rows, ``"trunk"``, ``"flat"``, or a fitted or unfitted transformer of raw rows
        with a method ``key()``; transformers of equal keys give equal features.
    """
    declared = getattr(unfrozen(estimator), "_source", None)
    return None if declared is None else declared()


def on_source(estimator: Any) -> Any:
    """Return the classifier that takes the source's output; of raw rows, the estimator itself."""
    if source_of(estimator) is None and not hasattr(estimator, "best_estimator_"):
        return estimator
    inner = getattr(unfrozen(estimator), "_on_source", None)
    return estimator if inner is None else inner()


def source_key(source: Any) -> str:
    """Return the name under which a source's output is kept; equal sources have equal names."""
    if source is None:
        return "X"
    return source if isinstance(source, str) else str(source.key())


def readable(estimator: Any, X: Any, source: Any = None) -> Any:
    """Return images or maps as a classifier takes them: as flat rows, where it must be so.

    Parameters
    ----------
    estimator : classifier
        A Pipeline gets raw rows as they are, for its transformers may want them so.
    X : array of shape (n_samples, ...)
        What a source gives.
    source : None, str or transformer, default=None
        Which source.
    """
    inner = last_step(estimator)
    X = as_read_by(estimator, X)
    is_array = isinstance(X, np.ndarray | RowView)
    if not is_array or X.ndim <= 2 or (source is None and inner is not estimator):
        return X
    takes_maps = get_tags(inner).input_tags.three_d_array
    return X if takes_maps else X.reshape(len(X), math.prod(X.shape[1:]))


@dataclass(frozen=True)
class Ground:
    """What the members of a family stand on.

    Parameters
    ----------
    base : classifier
        The fitted flat network.
    partition : LabelPartition
        Which member knows which classes.
    split : Split or None, default=None
        The base as trunk and head, where members read the trunk.
    temperature : float, default=1.0
        Softmax temperature for members that give decision values only.
    base_on_trunk : bool, default=True
        Whether the base's head may be run on the trunk's output. Not so once the trunk was tuned
        for the members.
    sources : mapping of str to transformer, default={}
        Fitted transformers that members read, by key.
    """

    base: Any
    partition: LabelPartition
    split: Any = None
    temperature: float = 1.0
    base_on_trunk: bool = True
    sources: Mapping[str, Any] = field(default_factory=dict)

    def fitted(self, source: Any) -> Any:
        """Return the fitted transformer where a source is one, other sources as they are."""
        if source is None or isinstance(source, str):
            return source
        return self.sources.get(source_key(source), source)

    def scores(self, estimator: Any, X: Any, wanted: NDArray[Any]) -> Posteriors:
        """Return a classifier's posteriors of the wanted labels, shape (n_samples, n_wanted)."""
        scores = class_scores(estimator, X, temperature=self.temperature)
        return align_columns(scores, estimator.classes_, wanted)


class Rows:
    """Rows on their way through a family: what several members read is computed once.

    Parameters
    ----------
    ground : Ground
    X : array-like or sparse matrix of shape (n_samples, ...)
    features : mapping of str to array, default={}
        Outputs of sources for these rows, as far as they are known already.
    """

    def __init__(self, ground: Ground, X: Any, features: Mapping[str, Any] | None = None) -> None:
        self.ground = ground
        self.X = X
        self._known = dict(features or {})
        self._views: list[Any] | None = None

    @classmethod
    def of_training(cls, ground: Ground, data: TrainingRows) -> Rows:
        """Return the rows of training data, with the features that came with them."""
        return cls(ground, data.X, data.features)

    def of(self, source: Any) -> Any:
        """Return what a source gives for these rows; None is the raw rows."""
        if source is None:
            return self.X
        key = source_key(source)
        if key not in self._known:
            self._known[key] = self._computed(source)
        return self._known[key]

    def knows(self, source: Any) -> bool:
        """Tell whether a source was computed for these rows already, or need not be."""
        return source is None or source_key(source) in self._known

    def trunk_views(self, n_views: int | None, seed: int) -> list[Any]:
        """Return the trunk's output for several augmented versions of the rows; the first is none.

        Computed once for all who ask for the same.
        """
        if self._views is None:
            self._views = self.ground.split.training_views(self.X, n_views, seed)
            self._known[TRUNK] = self._views[0]
        return self._views

    @property
    def flat(self) -> Posteriors:
        """The base's class posteriors, columns in partition order."""
        posteriors: Posteriors = self.of(FLAT)
        return posteriors

    def __len__(self) -> int:
        return num_samples(self.X)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Return some of the rows, with what was computed of them."""
        known = {key: safe_indexing(value, rows) for key, value in self._known.items()}
        return Rows(self.ground, safe_indexing(self.X, rows), known)

    def _computed(self, source: Any) -> Any:
        ground = self.ground
        if source == TRUNK:
            return ground.split.features(self.X)
        if source == FLAT:
            return self._flat()
        fitted = ground.fitted(source)
        return fitted.fit_transform(self.X) if fitted is source else fitted.transform(self.X)

    def _flat(self) -> Posteriors:
        ground = self.ground
        classes = ground.partition.classes
        if ground.split is None or not ground.base_on_trunk:
            return ground.scores(ground.base, self.X, classes)
        scores = ground.split.posteriors(self.of(TRUNK))
        return align_columns(scores, ground.split.network.classes_, classes)
