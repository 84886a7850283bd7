"""The candidates of network selection: what they are called and where they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from sklearn.base import is_regressor

from .._input import last_step

STAND_INS = ("branch", "flat")
"""Candidates that only a hierarchy can supply."""

_DEFAULT_SIZES = ((), (25, 10), (50,), (100,), (200,), (200, 150))


def default_candidates() -> list[tuple[str, Any]]:
    """Return multi-layer perceptrons from none to two hidden layers, by name."""
    from ..networks import TorchMLPClassifier

    return name_candidates([TorchMLPClassifier(sizes) for sizes in _DEFAULT_SIZES])


def name_candidates(candidates: Any, reserved: Collection[str] = ()) -> list[tuple[str, Any]]:
    """Return candidates as (name, classifier) pairs.

    Parameters
    ----------
    candidates : list of classifier, list of (str, classifier), or mapping of str to classifier
        Each classifier may be ``"flat"`` or ``"branch"``.
    reserved : collection of str, default=()
        Names that no candidate may have: those of the parameters that the names stand beside.

    Returns
    -------
    list of (str, classifier or str)
        A classifier without a name is called after its layers where it has
        ``hidden_layer_sizes`` ("mlp-200-150"), after how much of its backbone is tuned
        ("transfer-frozen"), else after its class; of several with the same name
        each gets a number.

    Raises
    ------
    ValueError
        If there are none, a name occurs twice, is reserved or contains "__", or something else
        than a classifier or a known string is among them.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neural_network import MLPClassifier
    >>> from hierlearn.hierarchy.candidates import name_candidates
    >>> named = name_candidates([MLPClassifier((20,)), GaussianNB(), GaussianNB(), "flat"])
    >>> [name for name, _ in named]
    ['mlp-20', 'gaussiannb-1', 'gaussiannb-2', 'flat']
    """
    if isinstance(candidates, Mapping):
        named = list(candidates.items())
    elif isinstance(candidates, list | tuple):
        named = _named(list(candidates))
    else:
        named = []
    if not named:
        raise ValueError(
            "candidates must be a list of classifiers or of (name, classifier) pairs, or a dict, "
            f"and hold at least one. Got {candidates!r} instead."
        )
    for name, estimator in named:
        _check_candidate(name, estimator)
    _check_names([name for name, _ in named], reserved)
    return named


def hidden_layers(estimator: Any) -> tuple[int, ...] | None:
    """Return the units in each hidden layer of a perceptron; None for any other classifier."""
    sizes = getattr(last_step(estimator), "hidden_layer_sizes", None)
    if sizes is None:
        return None
    return (int(sizes),) if isinstance(sizes, int) else tuple(int(size) for size in sizes)


def _named(candidates: list[Any]) -> list[tuple[str, Any]]:
    """Name what has no name; pairs have one."""
    pairs = [isinstance(candidate, tuple) and len(candidate) == 2 for candidate in candidates]
    if any(pairs):
        if not all(pairs):
            raise ValueError(
                "candidates must be named all or none. Got (name, classifier) pairs beside others "
                "instead; give a name to each."
            )
        return candidates
    names = [_describe(candidate) for candidate in candidates]
    repeated, seen = Counter(names), Counter[str]()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(f"{name}-{seen[name]}" if repeated[name] > 1 else name)
    return list(zip(unique, candidates, strict=True))


def _describe(candidate: Any) -> str:
    if isinstance(candidate, str):
        return candidate
    last = last_step(candidate)
    network, tune = getattr(last, "network", None), getattr(last, "tune", None)
    if isinstance(network, str):
        return network
    if tune is not None:
        return f"transfer-{tune}"
    sizes = hidden_layers(last)
    if sizes is not None:
        return "-".join(["mlp", *map(str, sizes or ["linear"])])
    return type(last).__name__.lower()


def _check_candidate(name: Any, estimator: Any) -> None:
    if isinstance(estimator, str):
        if estimator not in STAND_INS:
            raise ValueError(
                "candidates must be classifiers, or one of the strings 'branch', 'flat'. Got "
                f"{estimator!r} instead."
            )
    elif isinstance(estimator, type) or not _is_classifier(estimator):
        raise ValueError(
            f"candidates must be classifiers, with fit and predict. Got {estimator!r} for "
            f"{name!r} instead."
        )


def _is_classifier(estimator: Any) -> bool:
    methods = hasattr(estimator, "fit") and hasattr(estimator, "predict")
    return methods and not is_regressor(estimator)


def _check_names(names: list[Any], reserved: Collection[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or "__" in name:
            raise ValueError(
                "candidates must have names that are strings without double underscores. Got "
                f"{name!r} instead."
            )
        if name in reserved:
            raise ValueError(
                "candidates must have names that are no parameters of NetworkSelector. Got "
                f"{name!r} instead; give it another."
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"candidates must have different names. Got {repeated[0]!r} more than once instead."
        )
