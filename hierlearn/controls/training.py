"""The flat network inside an estimator, trained as long and made as expensive as the whole."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._input import last_step, unfrozen
from ..networks.widening import widened
from .measuring import expected_cost, without_seeds

# Forward and backward pass of training, in units of a forward pass.
TRAINING_PASSES = 3


@singledispatch
def equal_epochs(fitted: Any) -> int | None:
    """Return how many epochs of the flat network the whole training of an estimator was worth.

    Everything that was trained is counted, by multiply-adds: the base on the training part of every
    split and on all data, and all that was trained above it. Training of small parts is cheap by
    that count, so the result is never less than the epochs that a sample went through in the final
    model, base and what stands on it together.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        With one of our networks, or a Pipeline ending in one, as base.

    Returns
    -------
    int or None
        None where the base is no network trained by epochs, or not on these rows; where the cost
        of a part is unknown; or where a member is itself a decomposition.
    """
    known = sorted(cls.__name__ for cls in equal_epochs.registry if cls is not object)
    raise ValueError(
        f"fitted must be a {' or a '.join(known)}. Got {type(fitted).__name__} instead."
    )


def trained_as_long(fitted: Any) -> Any:
    """Return an unfitted flat base with :func:`equal_epochs` epochs, or None where that is None.

    With early stopping it may train that many, and stops by the same rule as the base.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        What the base is to be trained as long as.

    Returns
    -------
    classifier or None
        The base, unfitted.
    """
    epochs = equal_epochs(fitted)
    if epochs is None:
        return None
    return _with_last_step(unfitted_base(fitted), max_epochs=epochs)


def as_expensive(fitted: Any, X: Any = None) -> Any:
    """Return an unfitted flat network, widened to no less than the whole's multiply-adds a sample.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        What the network must cost as much as.
    X : {array-like, sparse matrix} or None, default=None
        Rows whose routing the multiply-adds are for; None is the routing of held-out rows.

    Returns
    -------
    classifier or None
        All hidden layers are widened by the same factor. None where the base does not say how wide
        it is: it must be a :class:`TorchMLPClassifier`, or a :class:`TorchClassifier` whose
        ``module`` takes ``width`` or ``hidden_layer_sizes``.
    """
    network = last_step(fitted.base_estimator_)
    params = widened(network, expected_cost(fitted, X).multiply_adds)
    return None if params is None else _with_last_step(unfitted_base(fitted), **params)


def unfitted_base(fitted: Any) -> Any:
    """Return a clone of the base, to be trained anew even if it came fitted.

    Its seeds are the base's. One that came fitted is left without: its seed is not the run's.
    """
    base = fitted.base_estimator_
    return without_seeds(_thawed(base)) if _is_frozen(base) else clone(base)


def _is_frozen(base: Any) -> bool:
    """Tell whether the network would keep its weights if the base were fitted."""
    if isinstance(base, FrozenEstimator):
        return True
    return hasattr(base, "steps") and _is_frozen(base.steps[-1][1])


def _thawed(base: Any) -> Any:
    """Return a clone whose network can be trained; frozen steps before it stay so."""
    base = clone(unfrozen(base))
    if hasattr(base, "steps"):
        name, last = base.steps[-1]
        base.set_params(**{name: _thawed(last)})
    return base


def own_epochs(estimator: Any) -> int:
    """Return the epochs that a network is trained for, zero of what is no network."""
    return int(getattr(last_step(estimator), "max_epochs", 0))


def _with_last_step(estimator: Any, **params: Any) -> Any:
    last_step(estimator).set_params(**params)
    return estimator
