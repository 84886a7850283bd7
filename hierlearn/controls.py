"""What a hierarchy must beat: the same flat network with the same means, and chance partitions.

A hierarchy is trained longer, and costs more at prediction, than the flat network inside it; and a
partition may help because it divides the work, whichever way. So a gain counts only beside

- **flat**: the base network as it is,
- **flat, trained as long**: with as many epochs as the hierarchy's training was worth,
- **flat, as expensive**: made as wide as the hierarchy is expensive to evaluate,
- **permuted**: the same hierarchy on a partition of the same sizes with the classes shuffled,

over several seeds, paired. :func:`compare` measures all of them.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import clone

from .confusion import seed_estimator
from .cost import CostReport, estimator_cost, gate_cost
from .hierarchy import HierarchicalDecompositionClassifier
from .partition import permute_classes

__all__ = [
    "Comparison",
    "GateAlone",
    "Measurement",
    "as_expensive",
    "compare",
    "compare_once",
    "equal_epochs",
    "measure",
    "permuted",
    "trained_as_long",
]

# Forward and backward pass of training, in units of a forward pass.
_TRAINING_PASSES = 3


@dataclass(frozen=True)
class Measurement:
    """One variant, fitted once.

    Parameters
    ----------
    variant : str
        What was measured.
    seed : int
        Random state of the fit.
    accuracy : float
        Share of test samples classified right (FC, final classification, in the paper).
    cluster_accuracy : float
        Share of test samples whose cluster was named right (HC); NaN for flat variants.
    multiply_adds, parameters : float
        Expected cost of a prediction and numbers stored; NaN where unknown.
    fit_seconds, predict_seconds : float
        Wall-clock time of the fit and of predicting the test set.
    """

    variant: str
    seed: int
    accuracy: float
    cluster_accuracy: float
    multiply_adds: float
    parameters: float
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class Comparison:
    """Measurements of several variants over several seeds; print it.

    Parameters
    ----------
    measurements : tuple of Measurement
    """

    measurements: tuple[Measurement, ...]

    @property
    def variants(self) -> list[str]:
        """Names of the variants, in the order measured."""
        return list(dict.fromkeys(m.variant for m in self.measurements))

    def values(self, variant: str, field: str = "accuracy") -> np.ndarray:
        """Return one figure of a variant for every seed, shape (n_seeds,)."""
        found = [m for m in self.measurements if m.variant == variant]
        if not found:
            raise KeyError(f"variant must be one of {self.variants}. Got {variant!r} instead.")
        return np.array([getattr(m, field) for m in sorted(found, key=lambda m: m.seed)])

    def difference(self, variant: str, control: str, level: float = 0.95) -> tuple[float, ...]:
        """Return the mean difference in accuracy and its interval, paired by seed.

        Parameters
        ----------
        variant, control : str
            Names of the two.
        level : float, default=0.95
            Confidence of Student's interval over seeds.

        Returns
        -------
        mean, low, high : float
            ``low`` and ``high`` are NaN with a single seed.
        """
        paired = self.values(variant) - self.values(control)
        mean, n_seeds = float(paired.mean()), len(paired)
        if n_seeds < 2:
            return mean, math.nan, math.nan
        half = float(stats.t.ppf((1 + level) / 2, n_seeds - 1) * stats.sem(paired))
        return mean, mean - half, mean + half

    def to_records(self) -> list[dict[str, Any]]:
        """Return the measurements as dicts, for JSON or a data frame."""
        return [asdict(measurement) for measurement in self.measurements]

    def table(self, control: str | None = None) -> str:
        """Return the means as text, with the paired difference to a control (the first variant)."""
        control = control or self.variants[0]
        head = f"{'':<34}{'HC %':>7}{'accuracy %':>12}  {'vs ' + control:<24}"
        head += f"{'mult-adds':>12}{'parameters':>12}{'fit s':>8}{'predict s':>11}"
        return "\n".join([head, *(self._row(variant, control) for variant in self.variants)])

    def _row(self, variant: str, control: str) -> str:
        accuracy = self.values(variant) * 100
        spread = f" ±{accuracy.std(ddof=1):.1f}" if len(accuracy) > 1 else ""
        cells = f"{variant:<34}{_percent(self.values(variant, 'cluster_accuracy').mean()):>7}"
        cells += f"{f'{accuracy.mean():.1f}{spread}':>12}  {self._against(variant, control):<24}"
        for field, width in (("multiply_adds", 12), ("parameters", 12)):
            cells += f"{_count(self.values(variant, field).mean()):>{width}}"
        cells += f"{np.median(self.values(variant, 'fit_seconds')):>8.1f}"
        return cells + f"{np.median(self.values(variant, 'predict_seconds')):>11.2f}"

    def _against(self, variant: str, control: str) -> str:
        if variant == control:
            return ""
        mean, low, high = (100 * value for value in self.difference(variant, control))
        interval = "" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
        return f"{mean:+.1f}{interval}"

    def __str__(self) -> str:
        return self.table()


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def _count(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{round(value):,}"


# -- the controls ------------------------------------------------------------------------------


def equal_epochs(fitted: HierarchicalDecompositionClassifier) -> int | None:
    """Return how many epochs of the flat network the hierarchy's whole training was worth.

    Counted are the base on the training part of every split and on all data, and all members that
    were trained above it, for the choice of ``mixing`` too, by multiply-adds. A branch epoch is
    cheap by that count, so the result is never less than the epochs that a sample went through in
    the final model, base and branch together.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier
        With one of our networks, or a Pipeline ending in one, as base.

    Returns
    -------
    int or None
        None where the base is no network trained by epochs, where the members' cost is unknown, or
        where a member is itself a decomposition.
    """
    network = _last_step(fitted.base_estimator_)
    nested = any(hasattr(fine, "fine_estimators_") for fine in fitted.fine_estimators_)
    if nested or not hasattr(network, "max_epochs"):
        return None
    epochs = network.max_epochs
    n_samples = int(fitted.class_counts_.sum())
    base_shares = [size / n_samples for size in fitted._probe_sizes]
    members = _member_epochs(fitted, estimator_cost(network).multiply_adds, n_samples)
    if math.isnan(members):
        return None
    stages = [*base_shares, 1.0] if fitted.mixing_choice_ is not None else [1.0]
    refits = 0.0 if fitted._is_prefit() else 1.0
    worth = epochs * (sum(base_shares) + refits) + sum(stages) * members
    longest = max((_own_epochs(fine) for fine in fitted.fine_estimators_), default=0)
    return max(math.ceil(worth), epochs + longest)


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def _own_epochs(estimator: Any) -> int:
    return int(getattr(_last_step(estimator), "max_epochs", 0))


def _member_epochs(
    fitted: HierarchicalDecompositionClassifier, flat: float, n_samples: int
) -> float:
    """Return what the members above the base cost to train once on all data, in flat epochs."""
    partition, counts = fitted.partition_, fitted.class_counts_
    rows = [counts[partition.members(cluster)].sum() for cluster in range(partition.n_clusters)]
    members = [(fitted.hierarchy_estimator_, n_samples)]
    members += list(zip(fitted.fine_estimators_, rows, strict=True))
    total = sum(
        estimator_cost(member).multiply_adds * _own_epochs(member) * n_rows
        for member, n_rows in members
    )
    # The trunk's features cost one forward pass of, at most, the whole network.
    trunk = 0 if fitted._family.split is None else 1 / _TRAINING_PASSES
    return total / (flat * n_samples) + trunk


def trained_as_long(fitted: HierarchicalDecompositionClassifier) -> Any:
    """Return an unfitted flat base with :func:`equal_epochs` epochs, or None where that is None."""
    epochs = equal_epochs(fitted)
    if epochs is None:
        return None
    return _with_last_step(clone(fitted.base_estimator_), max_epochs=epochs)


def as_expensive(fitted: HierarchicalDecompositionClassifier) -> Any:
    """Return an unfitted flat perceptron, widened to the hierarchy's multiply-adds a sample.

    Every hidden layer is widened by the same factor. None where the base is no
    :class:`TorchMLPClassifier`.
    """
    network = _last_step(fitted.base_estimator_)
    if not hasattr(network, "hidden_layer_sizes"):
        return None
    target = fitted.cost_report().hierarchy.multiply_adds
    sizes = _widened(network, target)
    return _with_last_step(clone(fitted.base_estimator_), hidden_layer_sizes=sizes)


def _widened(network: Any, multiply_adds: float) -> tuple[int, ...]:
    """Return the hidden layer sizes, scaled alike, whose network comes closest to the target."""
    ends = int(np.prod(network._input_shape)), len(network.classes_)

    def sizes(factor: float) -> tuple[int, ...]:
        return tuple(max(1, round(size * factor)) for size in network.hidden_layer_sizes)

    def excess(factor: float) -> float:
        widths = (ends[0], *sizes(factor), ends[1])
        return sum(a * b for a, b in itertools.pairwise(widths)) - multiply_adds

    low, high = 0.0, 1.0
    while excess(high) < 0:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return sizes(high)


def _with_last_step(estimator: Any, **params: Any) -> Any:
    _last_step(estimator).set_params(**params)
    return estimator


def permuted(fitted: HierarchicalDecompositionClassifier, seed: int = 0) -> Any:
    """Return the same hierarchy, unfitted, on its own partition with the classes permuted.

    Sizes of clusters, overlaps included, are those that were learnt; only which class is where is
    left to chance.
    """
    partition = permute_classes(fitted.partition_, random_state=seed)
    return clone(fitted).set_params(partitioner=partition, gamma=None)


class GateAlone:
    """The hierarchy classifier's own class posteriors, as a classifier: no class assignment.

    A branch as gate is the base network with its upper layers fine-tuned on all classes. What the
    hierarchy adds to that is due to dividing the classes, not to fine-tuning.
    """

    def __init__(self, fitted: HierarchicalDecompositionClassifier) -> None:
        self.fitted = fitted

    def predict(self, X: Any) -> np.ndarray:
        """Return the class that the gate would name."""
        posteriors = self.fitted._family.gate_class_posteriors(self.fitted._check_X(X))
        return self.fitted.classes_[posteriors.argmax(axis=1)]

    def cost_report(self) -> CostReport:
        """Price the trunk and the gate."""
        return gate_cost(self.fitted)


# -- measuring ---------------------------------------------------------------------------------


def measure(
    variant: str, estimator: Any, seed: int, fit_seconds: float, X: Any, y: ArrayLike
) -> Measurement:
    """Measure a fitted classifier on test data."""
    start = time.perf_counter()
    predicted = estimator.predict(X)
    seconds = time.perf_counter() - start
    cost = estimator_cost(estimator)
    return Measurement(
        variant=variant,
        seed=seed,
        accuracy=float(np.mean(predicted == np.asarray(y))),
        cluster_accuracy=_cluster_accuracy(estimator, X, y),
        multiply_adds=cost.multiply_adds,
        parameters=cost.parameters,
        fit_seconds=fit_seconds,
        predict_seconds=seconds,
    )


def _cluster_accuracy(estimator: Any, X: Any, y: ArrayLike) -> float:
    if not isinstance(estimator, HierarchicalDecompositionClassifier):
        return math.nan
    codes = np.searchsorted(estimator.classes_, np.asarray(y))
    named = estimator.transform(X).argmax(axis=1)
    return float(np.mean(named == estimator.partition_.labels[codes]))


def _fit(estimator: Any, X: Any, y: ArrayLike) -> float:
    start = time.perf_counter()
    estimator.fit(X, y)
    return time.perf_counter() - start


def compare(
    estimator: HierarchicalDecompositionClassifier,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Measure a hierarchy beside its controls.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier
        What to measure; cloned, with each seed as ``random_state``.
    X, y : array-like
        Training data.
    X_test, y_test : array-like
        Test data.
    seeds : sequence of int, default=(0, 1, 2)
        One paired run each.
    progress : callable or None, default=None
        Called with a line before each fit.

    Returns
    -------
    Comparison
        Variants ``"flat"``, ``"flat, trained as long"``, ``"flat, as expensive"``, ``"gate alone"``
        (the base with its upper layers fine-tuned on all classes), ``"hierarchy"`` (as configured),
        ``"hierarchy, hard"``, ``"hierarchy, soft"`` (both without mixing) and
        ``"hierarchy, permuted"``; those that make no sense for the base are left out.

    Raises
    ------
    ValueError
        If ``estimator`` is no HierarchicalDecompositionClassifier, or ``seeds`` no sequence.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
    >>> from hierlearn.controls import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = HierarchicalDecompositionClassifier(TorchMLPClassifier((16,), max_epochs=3))
    >>> result = compare(clf, X[:900], y[:900], X[900:], y[900:], seeds=[0])
    >>> result.variants[:2]
    ['flat', 'flat, trained as long']
    """
    if not isinstance(seeds, Iterable):
        raise ValueError(
            f"seeds must be a sequence of integers. Got {seeds!r} instead; give range({seeds})."
        )
    found: list[Measurement] = []
    for seed in seeds:
        _, measurements = compare_once(
            estimator, X, y, X_test, y_test, seed=int(seed), progress=progress
        )
        found += measurements
    return Comparison(tuple(found))


def _quiet(line: str) -> None:
    """Say nothing."""


def compare_once(
    estimator: HierarchicalDecompositionClassifier,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[HierarchicalDecompositionClassifier, list[Measurement]]:
    """Fit a hierarchy and its controls once, with one seed; see :func:`compare`.

    Returns
    -------
    hierarchy : HierarchicalDecompositionClassifier
        The fitted clone of ``estimator``.
    measurements : list of Measurement
        Every variant's.
    """
    if not isinstance(estimator, HierarchicalDecompositionClassifier):
        raise ValueError(
            "estimator must be a HierarchicalDecompositionClassifier. Got "
            f"{type(estimator).__name__} instead; put a Pipeline into its base_estimator."
        )
    say = progress or _quiet

    def run(variant: str, unfitted: Any) -> Measurement:
        say(f"seed {seed}: {variant}")
        seconds = _fit(seed_estimator(unfitted, seed), X, y)
        return measure(variant, unfitted, seed, seconds, X_test, y_test)

    hierarchy = seed_estimator(clone(estimator), seed)
    say(f"seed {seed}: hierarchy")
    seconds = _fit(hierarchy, X, y)
    controls = {
        "flat": clone(hierarchy.base_estimator_),
        "flat, trained as long": trained_as_long(hierarchy),
        "flat, as expensive": as_expensive(hierarchy),
    }
    variants = {
        "hierarchy": hierarchy,
        "hierarchy, hard": hierarchy.rerouted("hard", mixing=0.0),
        "hierarchy, soft": hierarchy.rerouted("soft", mixing=0.0),
    }
    found = [run(name, control) for name, control in controls.items() if control is not None]
    if hierarchy._family.gate_is_branch:
        gate = GateAlone(hierarchy)
        found.append(measure("gate alone", gate, seed, seconds, X_test, y_test))
    found += [measure(name, v, seed, seconds, X_test, y_test) for name, v in variants.items()]
    return hierarchy, [*found, run("hierarchy, permuted", permuted(hierarchy, seed))]
