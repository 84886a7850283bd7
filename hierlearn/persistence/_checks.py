"""What must hold in a fitted model, checked on one that comes out of a file."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Hashable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..exceptions import ModelFileError

# Keys of one mapping that share a hash: they are compared one by one.
_MAX_ALIKE = 100
_MAX_LOOKED_AT = 100_000
_KEYS = (bool, int, float, str, tuple, frozenset, type(None), np.generic)


def hashable(keys: list[Any]) -> list[Hashable]:
    """Refuse keys of other types than plain ones, and ones made to be compared one by one.

    Parameters
    ----------
    keys : list

    Returns
    -------
    list
        The same.

    Raises
    ------
    ModelFileError
    """
    if not all(isinstance(key, _KEYS) for key in keys):
        raise ModelFileError("keys must be plain values. Got an object instead.")
    if keys and max(Counter(map(hash, keys)).values()) > _MAX_ALIKE:
        raise ModelFileError("keys must differ in their hashes. Got too many alike.")
    return keys


def check_object(made: Any) -> None:
    """Check an object whose attributes a file has chosen.

    Parameters
    ----------
    made : object

    Raises
    ------
    ModelFileError
        If its attributes do not fit each other.
    """
    if not isinstance(made, BaseEstimator):
        return
    state = vars(made)
    if state.get("memory") is not None:
        raise ModelFileError("memory must be None in a file: a cache holds pickles. Got a place.")
    if type(made).__module__.startswith("hierlearn."):
        _fill_defaults(made)
        _check_classes(state)
        _check_partition(state)
        _check_network(state)
    else:
        _check_trees(made)


def check_made(state: dict[str, Any]) -> None:
    """Check what compiled code is given by the constructors of our own classes.

    Parameters
    ----------
    state : dict
        Arguments by name.

    Raises
    ------
    ModelFileError
    """
    embeddings, wide = state.get("embeddings"), state.get("n_looked_at", 1)
    if "embeddings" in state and (not isinstance(embeddings, np.ndarray) or embeddings.ndim != 2):
        raise ModelFileError("embeddings must be a matrix. Got another value.")
    if type(wide) is not int or not 1 <= wide <= _MAX_LOOKED_AT:
        raise ModelFileError(f"n_looked_at must be from 1 to {_MAX_LOOKED_AT}. Got {wide!r}.")


def _fill_defaults(made: Any) -> None:
    """Give an estimator the parameters that came after its file was written."""
    for name, parameter in inspect.signature(type(made).__init__).parameters.items():
        missing = name != "self" and name not in vars(made)
        if missing and parameter.default is not parameter.empty:
            setattr(made, name, parameter.default)
        elif missing and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            raise ModelFileError(f"{type(made).__name__} must have {name!r}. Got none instead.")


def _check_classes(state: dict[str, Any]) -> None:
    """Check that classes are a list without repetitions, and features a number."""
    classes = state.get("classes_")
    if "classes_" in state:
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not classes.size:
            raise ModelFileError("classes_ must be a one-dimensional array. Got another value.")
        if len(set(hashable(classes.tolist()))) != classes.size:
            raise ModelFileError("classes_ must name each class once. Got one twice.")
    features = state.get("n_features_in_", 1)
    if not isinstance(features, (int, np.integer)) or features < 0:
        raise ModelFileError(f"n_features_in_ must be a number. Got {str(features)[:80]} instead.")
    names = state.get("feature_names_in_")
    if names is not None and (not isinstance(names, np.ndarray) or names.shape != (features,)):
        raise ModelFileError("feature_names_in_ must name every feature. Got other names.")


def _check_partition(state: dict[str, Any]) -> None:
    """Check that a partition is of the classes."""
    from ..partition import LabelPartition

    classes, partition = state.get("classes_"), state.get("partition_")
    if not isinstance(partition, LabelPartition) or classes is None:
        return
    if partition.n_classes != classes.size:
        raise ModelFileError(
            f"partition_ must be of the {classes.size} classes. Got one of {partition.n_classes} "
            "instead."
        )


def _check_network(state: dict[str, Any]) -> None:
    """Check that a network takes the rows and gives a column for each class."""
    if "module_" not in state or "_input_shape" not in state or "classes_" not in state:
        return
    from ..networks import storing

    shape = state["_input_shape"]
    if not all(type(length) is int and length > 0 for length in shape):
        raise ModelFileError(f"_input_shape must be of whole numbers. Got {shape!r} instead.")
    storing.check_network(state["module_"], shape, len(state["classes_"]))


def _check_trees(made: Any) -> None:
    """Check that scikit-learn's trees read the features that they are given."""
    state = vars(made)
    features = state.get("n_features_in_")
    if "tree_" in state and getattr(state["tree_"], "n_features", None) != features:
        raise ModelFileError(f"tree_ must be of the {features} features. Got another tree.")
    members = state.get("estimators_", ())
    if isinstance(members, (list, np.ndarray)):
        for member in np.ravel(np.array(members, dtype=object)):
            if hasattr(member, "tree_") and member.n_features_in_ > features:
                raise ModelFileError(
                    f"a tree must read at most the {features} features. Got "
                    f"{member.n_features_in_} instead."
                )


def holds_unchecked_trees(made: Any) -> bool:
    """Tell whether compiled code reads the trees of an estimator without any check of theirs.

    Parameters
    ----------
    made : object

    Returns
    -------
    bool
    """
    return type(made).__name__.startswith("GradientBoosting") and "estimators_" in vars(made)
