"""Fitting any scikit-learn classifier with weights and with a seed of its own."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from hierlearn._caching import FitCache
from hierlearn._input import as_read_by

__all__ = ["fit_with_weight", "seed_estimator"]

EstimatorT = TypeVar("EstimatorT")


def fit_with_weight(
    estimator: EstimatorT,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    cache: FitCache | None = None,
) -> EstimatorT:
    """Fit an estimator, with the weights under the name by which it takes them.

    Parameters
    ----------
    estimator : classifier
        Fitted in place. A Pipeline hands the weights to its last step, a search over parameters
        to the estimator it searches over.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Training data.
    y : array-like of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        None fits without weights, whatever the estimator supports.
    cache : FitCache or None, default=None
        Where the fitted estimator is looked up, and kept.

    Returns
    -------
    estimator : classifier
        The same object, fitted, or one from the cache.

    Raises
    ------
    ValueError
        If weights are given and the estimator does not support them.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from hierlearn.confusion import fit_with_weight
    >>> model = make_pipeline(StandardScaler(), GaussianNB())
    >>> fitted = fit_with_weight(model, [[0.0], [1.0], [3.0]], [0, 0, 1], [1, 1, 2])
    >>> fitted[-1].class_prior_.tolist()
    [0.5, 0.5]
    """
    fittable: Any = estimator
    if cache is not None and _is_one_part(fittable):
        found: EstimatorT = cache.part(
            "fit",
            (fittable, X, y, sample_weight),
            lambda: fit_with_weight(fittable, X, y, sample_weight),
        )
        return found
    X = as_read_by(estimator, X)
    if sample_weight is None:
        return fittable.fit(X, y)
    name = _weight_name(fittable)
    if name is None:
        raise ValueError(
            f"sample_weight must be None for {_final_name(fittable)}, whose fit does not support "
            "it. Got weights; leave them out or choose an estimator that takes sample_weight."
        )
    return fittable.fit(X, y, **{name: sample_weight})


def seed_estimator(estimator: EstimatorT, seed: int) -> EstimatorT:
    """Set every ``random_state`` of an estimator that is None, nested ones included.

    A ``random_state`` that the user chose is left alone. After this the fit is a function of the
    data and the seed, and does not draw from the global numpy random state.

    Parameters
    ----------
    estimator : estimator
        Changed in place; pass a clone.
    seed : int
        Every ``random_state`` gets a different value derived from it.

    Returns
    -------
    estimator : estimator
        The same object.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from hierlearn.confusion import seed_estimator
    >>> seed_estimator(SGDClassifier(), 0).random_state == SGDClassifier().random_state
    False
    >>> seed_estimator(SGDClassifier(random_state=7), 0).random_state
    7
    """
    seedable: Any = estimator
    rng = np.random.RandomState(seed)
    # Sorted, so that the seeds do not depend on the order of the parameters.
    unset = [
        name
        for name, value in sorted(seedable.get_params(deep=True).items())
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    if unset:
        drawn = rng.randint(np.iinfo(np.int32).max, size=len(unset))
        seedable.set_params(**dict(zip(unset, drawn.tolist(), strict=True)))
    return estimator


def _is_one_part(estimator: Any) -> bool:
    """Tell whether a fit is worth keeping as a whole: it is, unless free or kept in parts."""
    if getattr(estimator, "_free", False):
        return False
    return not (getattr(estimator, "_keeps_parts", False) and estimator.memory is not None)


def _weight_name(estimator: Any) -> str | None:
    """Name of the fit parameter that brings the weights to where they count, None if none does."""
    members = _members(estimator)
    if has_fit_parameter(estimator, "sample_weight") and not members:
        return "sample_weight"
    if not _forwards_parameters(estimator):
        return None
    if get_config()["enable_metadata_routing"]:
        return "sample_weight"  # who gets it is what the sub-estimators requested
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = _weight_name(last)
        return None if inner is None else f"{step}__{inner}"
    if hasattr(estimator, "estimator"):
        return _weight_name(estimator.estimator)
    supported = all(_weight_name(member) == "sample_weight" for member in members)
    return "sample_weight" if members and supported else None


def _members(estimator: Any) -> list[Any]:
    """Members of a voting or stacking ensemble, whose fit takes weights only if theirs do."""
    named = getattr(estimator, "estimators", None)
    if not isinstance(named, list):
        return []
    return [pair[1] for pair in named if isinstance(pair, tuple) and pair[1] != "drop"]


def _forwards_parameters(estimator: Any) -> bool:
    """Whether ``fit`` takes arbitrary keyword arguments, as meta-estimators do to pass them on."""
    if not hasattr(estimator, "fit"):
        return False
    parameters = signature(estimator.fit).parameters.values()
    return any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters)


def _final_name(estimator: Any) -> str:
    """Class name of the estimator, or of the last step of a Pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return type(estimator).__name__
